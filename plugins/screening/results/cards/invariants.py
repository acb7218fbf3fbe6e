"""What every CDS Hooks response and every feedback must hold, whoever made it: CDS Hooks 2.0.1, attribute by attribute.

`cds-resp-1` to `-7` and `cds-fb-1` to `-3` are the invariants of HL7's own logical models (FSH of the repository
HL7/cds-hooks, `CDSHooksResponse` and `CDSHooksFeedback`) in plain Python; the rest are the specification's tables and its
rule that no attribute is null or empty. Stricter than the letter, as this project wants it: cards and suggestions need a
UUID4, without which there is no feedback; addresses are https, or http on loopback; and an attribute that 2.0.1 does not
have (a `title` on a card, 3.0's `actionSelectionBehavior`) is refused, since clients drop it in silence.
"""

import re
from typing import Any

from screening.results.cards.shapes import (
    Member,
    Shape,
    empty,
    is_text,
    is_url,
    is_utc,
    is_uuid,
    is_uuid4,
    objects,
    problems,
)

INDICATORS = ("info", "warning", "critical")
SELECTIONS = ("at-most-one", "any")
ACTION_SELECTIONS = ("all", "any", "at-most-one")
ACTIONS = ("create", "update", "delete")
OUTCOMES = ("accepted", "overridden")
SUMMARY_LENGTH = 139
_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")

Json = dict[str, Any]


def problems_of_response(body: Any) -> list[str]:
    """Return what is wrong with the body of a service's 200, each with path and rule; empty where nothing is."""
    return [*problems(body, RESPONSE), *empty(body, keep=("cards",))]


def problems_of_feedback(body: Any) -> list[str]:
    """Return what is wrong with the body of a call to a feedback endpoint; empty where nothing is."""
    return [*problems(body, FEEDBACK), *empty(body)]


def _is_summary(value: Any) -> bool:
    return is_text(value) and len(value) <= SUMMARY_LENGTH and len(value.splitlines()) == 1


def _one_of(*choices: str) -> Any:
    return lambda value: isinstance(value, str) and value in choices


def _is_resource(value: Any) -> bool:
    return isinstance(value, dict) and is_text(value.get("resourceType"))


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and bool(_REFERENCE.fullmatch(value))


def _resp_1(card: Json) -> bool:
    chosen = [one for one in objects(card.get("suggestions")) if one.get("isRecommended") is True]
    return card.get("selectionBehavior") != "at-most-one" or len(chosen) <= 1


def _resp_2(action: Json) -> bool:
    return action.get("type") != "delete" or ("resourceId" in action and "resource" not in action)


def _resp_3(link: Json) -> bool:
    return link.get("type") == "smart" or "appContext" not in link


def _resp_5(suggestion: Json) -> bool:
    return all("description" in action for action in objects(suggestion.get("actions")))


def _resp_7(suggestion: Json) -> bool:
    return suggestion.get("actionSelectionBehavior", "all") in ACTION_SELECTIONS


def _carries_resource(action: Json) -> bool:
    return action.get("type") not in ("create", "update") or ("resource" in action and "resourceId" not in action)


def _update_says_of_what(action: Json) -> bool:
    resource = action.get("resource")
    return action.get("type") != "update" or not isinstance(resource, dict) or is_text(resource.get("id"))


def _uuids_differ(body: Json) -> bool:
    cards = objects(body.get("cards"))
    holders = [*cards, *(one for card in cards for one in objects(card.get("suggestions")))]
    ids = [one["uuid"].lower() for one in holders if isinstance(one.get("uuid"), str)]
    return len(ids) == len(set(ids))


CODING = Shape(
    (
        Member("code", is_text, "must be text", required=True),
        Member("system", is_text, "must be text", required=True),
        Member("display", lambda value: isinstance(value, str), "must be text"),
    )
)
SOURCE = Shape(
    (
        Member("label", is_text, "must be text (CH-44)", required=True),
        Member("url", is_url, "must be an absolute https URL (CH-47)"),
        Member("icon", is_url, "must be an absolute https URL (CH-47)"),
        Member("topic", CODING, "must be a Coding (CH-47)"),
    )
)
ACTION = Shape(
    (
        Member("type", _one_of(*ACTIONS), f"must be one of {', '.join(ACTIONS)} (CH-49)", required=True),
        Member("description", is_text, "must be text (CH-49)"),
        Member("resource", _is_resource, "must be a whole FHIR resource (CH-49)"),
        Member("resourceId", _is_reference, "must be a relative reference (CH-49)"),
    ),
    (
        ("a delete has resourceId and no resource (cds-resp-2)", _resp_2),
        ("a create or update has a resource and no resourceId (CH-49)", _carries_resource),
        ("the resource of an update has an id (CH-49)", _update_says_of_what),
    ),
)
SUGGESTION = Shape(
    (
        Member("label", is_text, "must be text (CH-49)", required=True),
        Member("uuid", is_uuid4, "must be a UUID4 (CH-45)", required=True),
        Member("isRecommended", lambda value: isinstance(value, bool), "must be true or false (CH-49)"),
        Member("actions", ACTION, "must be actions (CH-49)", array=True),
        Member("actionSelectionBehavior", lambda _: False, "is of CDS Hooks 3.0 (CH-4D)"),
    ),
    (
        ("each action of a suggestion has a description (cds-resp-5)", _resp_5),
        (f"actionSelectionBehavior is one of {', '.join(ACTION_SELECTIONS)} (cds-resp-7)", _resp_7),
    ),
)
LINK = Shape(
    (
        Member("label", is_text, "must be text (CH-4A)", required=True),
        Member("url", is_url, "must be an absolute https URL (CH-4A)", required=True),
        Member("type", _one_of("absolute", "smart"), "must be absolute or smart (CH-4A)", required=True),
        Member("appContext", is_text, "must be text (CH-4A)"),
    ),
    (
        (
            "appContext is for a smart link only (cds-resp-3)",
            lambda link: link.get("type") == "smart" or "appContext" not in link,
        ),
    ),
)
OVERRIDE_REASON = Shape(
    CODING.members, (("an override reason has a display (cds-resp-4)", lambda one: "display" in one),)
)
CARD = Shape(
    (
        Member("uuid", is_uuid4, "must be a UUID4 (CH-45)", required=True),
        Member("summary", _is_summary, "must be one line of fewer than 140 characters (CH-44)", required=True),
        Member("detail", is_text, "must be text (CH-46)"),
        Member("indicator", _one_of(*INDICATORS), f"must be one of {', '.join(INDICATORS)} (CH-44)", required=True),
        Member("source", SOURCE, "says who says so (CH-44)", required=True),
        Member("suggestions", SUGGESTION, "must be suggestions (CH-49)", array=True),
        Member("selectionBehavior", _one_of(*SELECTIONS), f"must be one of {', '.join(SELECTIONS)} (CH-49)"),
        Member("overrideReasons", OVERRIDE_REASON, "must be Codings (CH-4B)", array=True),
        Member("links", LINK, "must be links (CH-4A)", array=True),
    ),
    (
        ("with at-most-one only one suggestion is recommended (cds-resp-1)", _resp_1),
        ("selectionBehavior is required beside suggestions (cds-resp-6)",
         lambda card: "suggestions" not in card or "selectionBehavior" in card),
    ),
)  # fmt: skip
RESPONSE = Shape(
    (
        Member("cards", CARD, "a response has an array of cards (CH-40)", required=True, array=True),
        Member("systemActions", ACTION, "must be actions (CH-4C)", array=True),
    ),
    (("no two cards or suggestions have one uuid (CH-45)", _uuids_differ),),
)

ACCEPTED = Shape((Member("id", is_uuid, "must be a suggestion's uuid (CH-71)", required=True),))
GIVEN_REASON = Shape(
    (
        Member("reason", CODING, "must be a Coding (CH-71)"),
        Member("userComment", is_text, "must be text (CH-71)"),
    ),
    (("has neither a reason nor a userComment (cds-fb-3)", lambda given: "reason" in given or "userComment" in given),),
)
ENTRY = Shape(
    (
        Member("card", is_uuid, "must be a card's uuid (CH-71)", required=True),
        Member("outcome", _one_of(*OUTCOMES), f"must be one of {', '.join(OUTCOMES)} (cds-fb-1)", required=True),
        Member("outcomeTimestamp", is_utc, "must be an RFC 3339 time in UTC (CH-71)", required=True),
        Member("acceptedSuggestions", ACCEPTED, "must be the suggestions taken (CH-71)", array=True),
        Member("overrideReason", GIVEN_REASON, "must be an object (CH-71)"),
    ),
    (
        ("acceptedSuggestions is required where the outcome is accepted (cds-fb-2)",
         lambda entry: entry.get("outcome") != "accepted" or bool(entry.get("acceptedSuggestions"))),
    ),
)  # fmt: skip
FEEDBACK = Shape((Member("feedback", ENTRY, "must be an array of feedback (CH-70)", required=True, array=True),))
