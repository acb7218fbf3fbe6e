"""What is said of an answer: one clear line, the problems, the card."""

from typing import Any

from screening.hook_client.exchange import Answer
from screening.hook_client.request_bodies import PATIENTS_THEMSELVES
from screening.results.cards.invariants import problems_of_response

Json = dict[str, Any]


def problems(answer: Answer) -> list[str]:
    """Return what is wrong with an answer; none where a clinician can rely on it."""
    if answer.status is None:
        return [f"no answer: {answer.fault}"]
    if answer.status != 200:
        return [f"HTTP {answer.status}{_reason(answer.body)}"]
    if not isinstance(answer.body, dict):
        return ["HTTP 200 with a body that is no JSON object"]
    return [f"not as CDS Hooks 2.0 has it: {problem}" for problem in problems_of_response(answer.body)]


def cards(answer: Answer) -> list[Json]:
    """Return the cards of an answer, as far as it has any."""
    found = answer.body.get("cards") if answer.status == 200 and isinstance(answer.body, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def headlines(answer: Answer, user: str) -> list[str]:
    """Return a line for each problem and each card; one that says "no card" where all is well and there is none.

    Parameters
    ----------
    user
        Who opened the chart: no cards mean another thing to a patient than to a clinician.
    """
    wrong = [f"ERROR: {clean(problem)}" for problem in problems(answer)]
    shown = [clean(f"{card.get('summary')} · {card.get('indicator')}") for card in cards(answer)]
    if wrong or shown:
        return [*wrong, *shown]
    if user.startswith(PATIENTS_THEMSELVES):
        return ["no card (the user is no clinician, or the patient scored low)"]
    return ["no card (scored low)"]


def clean(text: str) -> str:
    """Return one line of text without what a terminal would take for an order."""
    return "".join(one if one.isprintable() else " " for one in text)


def _reason(outcome: Any) -> str:
    """Return the words of an OperationOutcome, and where it says."""
    try:
        issue = outcome["issue"][0]
        words = issue.get("details", {}).get("text") or issue["code"]
        place = issue.get("diagnostics")
    except (AttributeError, LookupError, TypeError):
        return ", and no OperationOutcome that would say why"
    return f": {words}" + (f" ({place})" if place else "")
