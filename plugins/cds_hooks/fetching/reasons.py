"""Why a prefetch key was not obtained, for whoever integrates and for the card: no PHI, and nothing that a server said."""

from screening.errors import FhirNotFhir, TemporaryError
from screening.fhir_client.exchange import Answer

SWITCHED_OFF = "fetching is switched off"
NO_SERVER = "the call names no fhirServer to fetch it from"
NOT_ALLOWED = "the call's fhirServer is none that this service may ask"
NO_TOKEN = "the call's access token is none that can be sent"  # noqa: S105 - words
OTHER_IDS = "this EHR's patients have other ids on this service's own server (own_patients: false)"
NO_ID = "the patient's id is no logical id to ask for"
_STATUS = {
    401: "the FHIR server does not know the access token",
    403: "the FHIR server does not permit this with the access token",
    404: "the FHIR server does not know it",
    410: "the FHIR server says that it was deleted",
    429: "the FHIR server has too much to do",
}


def somebody_else(fields: str) -> str:
    """Say that our own server means another person by the patient's id."""
    return f"this service's own server has somebody else under the patient's id (another {fields})"


def not_known_to_be_the_same(words: str) -> str:
    """Say that our own server does not tell whether it means the same person."""
    return f"whether this service's own server means the same patient could not be found out: {words}"


def lacks(scope: str) -> str:
    """Say which scope the access token lacks."""
    return f"the access token lacks the scope {scope}"


def restricted(scope: str) -> str:
    """Say that nothing was found under a scope that leaves something out: nobody knows what."""
    return f"nothing found, but the access token's scope shows only a part: an unrestricted one is {scope}"


def not_sent(words: str) -> str:
    """Say that a key was neither sent nor obtained, and why not."""
    return f"not sent, and not obtained: {words}"


def incomplete(words: str) -> str:
    """Say that only the first page of a key is known, and why not the rest."""
    return f"sent in part, and the rest was not obtained: {words}"


def words_of(answer: Answer) -> str | None:
    """Say why an answer is of no use; None where it is."""
    error, status = answer.error, answer.status
    if error is None:
        return None
    if isinstance(error, FhirNotFhir):
        return "the FHIR server answered with what is no FHIR in JSON"
    if isinstance(error, TemporaryError) and status < 300:
        return "the FHIR server cannot be reached, or did not answer in full in time"
    if not status:
        return "the FHIR server offers no TLS that can be trusted"
    if status < 300:
        return (
            "the FHIR server's answer cannot be used as a whole: too much, cut off, of another, or with an error in it"
        )
    if status < 400:
        return f"the FHIR server redirects to another place, which is not followed ({status})"
    return f"{_STATUS.get(status, 'the FHIR server refused or failed')} ({status})"
