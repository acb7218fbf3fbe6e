"""A CDS Hooks request, checked before anything else looks at it (CDS Hooks 2.0.1, "Calling a CDS Service").

What is known is checked strictly and what is unknown is ignored, so that an EHR may send more than this service asks for. An
optional member that is null counts as absent: many clients write one so. A refusal names every field at fault and repeats
none of their values.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cds_hooks.json_body import read_object
from cds_hooks.refusals import Refusal
from screening.fhir_client.address import is_loopback

CLINICIANS = ("Practitioner", "PractitionerRole")
_USERS = (*CLINICIANS, "Patient", "RelatedPerson")
"""https://cds-hooks.hl7.org/hooks/STU1/patient-view.html: who a user can be."""
LOGICAL_ID = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9\-.]{1,64}")
"""https://hl7.org/fhir/R4/datatypes.html#id, but for . and .., which lead elsewhere where they stand in a URL's path."""
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_AN_ID = "must be a FHIR id: 1 to 64 of A-Z, a-z, 0-9, - and ."
_A_SERVER = {
    False: "must be an absolute https URL (http on loopback alone)",
    True: "must be an absolute http or https URL",
}
_NEEDS_ENCOUNTER = frozenset({"encounter-start"})
_VISIBLE = re.compile(r"[!-~]+")
"""What can stand in an HTTP header without becoming two."""
_LONGEST_TOKEN, _LONGEST_TEXT = 16_384, 2048


@dataclass(frozen=True, slots=True)
class FhirAuthorization:
    """The EHR's access token for this one call; it is for that server alone, and is kept nowhere.

    Attributes
    ----------
    access_token
        Never shown, also not by `repr`.
    scope
        SMART scopes, such as `patient/Observation.read`.
    subject
        The OAuth client id under which this service is known to the EHR's authorization server.
    expires_in
        Seconds.
    patient
        The one patient to whom the token is restricted: `context.patientId`; None where it is not restricted.
    """

    access_token: str = field(repr=False)
    scope: frozenset[str]
    subject: str
    expires_in: int
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call of a service.

    Attributes
    ----------
    hook, hook_instance
        Which hook, and the EHR's name for this one call.
    user_id
        `Type/id` of who looks at the chart.
    patient_id, encounter_id
        Logical ids of the patient, and of the encounter if there is one.
    prefetch
        What the EHR sent unasked, by prefetch key, as it came: `prefetch.sort_out` tells what it is. Never shown.
    fhir_server
        The EHR's FHIR base URL as sent, https or on loopback unless http is allowed; whether it may be asked is not
        decided here.
    authorization
        None where the EHR grants no access.
    """

    hook: str
    hook_instance: str
    user_id: str
    patient_id: str
    encounter_id: str | None = None
    prefetch: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fhir_server: str | None = None
    authorization: FhirAuthorization | None = None

    @property
    def clinician(self) -> bool:
        """Whether the user is one: a patient or relative looking at a portal must not meet a clinician's alert."""
        return self.user_id.partition("/")[0] in CLINICIANS


def parse(body: bytes, hooks: Collection[str], *, strict_instance: bool, allow_http: bool = False) -> HookRequest:
    """Read and check a request.

    Parameters
    ----------
    body
        As received.
    hooks
        The hooks that the service called is listed for.
    strict_instance
        Whether `hookInstance` must be a UUID, as CDS Hooks says; else it may be any text of up to 64 printable characters,
        which some clients send.
    allow_http
        Whether `fhirServer` may be plain http on another machine than this one (CH-26).

    Raises
    ------
    Refusal
        400, naming every field that is at fault.
    """
    problems: dict[str, str] = {}
    request = _Members(read_object(body), "", problems)
    hook = request.text("hook", "must be a hook that this service is listed for", _one_of(hooks))
    instance = request.text(
        "hookInstance", "must be a UUID" if strict_instance else "must be a text of 1 to 64 printable characters",
        _UUID.fullmatch if strict_instance else _short,
    )  # fmt: skip
    context = request.members("context", required=True)
    user = context.text("userId", f"must be Type/id, with a type out of {', '.join(_USERS)}", _is_user)
    patient = context.text("patientId", _AN_ID, LOGICAL_ID.fullmatch)
    encounter = context.text("encounterId", _AN_ID, LOGICAL_ID.fullmatch, required=hook in _NEEDS_ENCOUNTER)
    server = request.text("fhirServer", _A_SERVER[allow_http], _is_server_url(allow_http),
                          required=request.has("fhirAuthorization"))  # fmt: skip
    request.members("extension")  # reserved: an object, of which nothing is known here
    prefetch = request.members("prefetch")
    authorization = _authorization(request, patient)
    if problems:
        said = "; ".join(f"{name} {what}" for name, what in problems.items())
        raise Refusal(400, f"The request is no CDS Hooks 2.0 request: {said}.", diagnostics=", ".join(problems))
    return HookRequest(
        hook, instance, user, patient, encounter or None, prefetch.content, server or None, authorization
    )


def _authorization(request: "_Members", patient_id: str) -> FhirAuthorization | None:
    if not request.has("fhirAuthorization"):
        return None
    found = request.members("fhirAuthorization")
    token = found.text("access_token", "must be a bearer token: visible ASCII characters without spaces", _is_token)
    found.text("token_type", "must be Bearer", lambda text: text.lower() == "bearer")  # RFC 6749, 5.1: in any case
    scope = frozenset(found.text("scope", "must be scopes with spaces between", _is_text).split())
    subject = found.text("subject", "must be the OAuth client id of this service", _is_text)
    expires_in = found.seconds("expires_in")
    restricted = any(one.startswith("patient/") for one in scope)
    whose = found.text("patient", "must be context.patientId, since scope is restricted to one patient" if restricted
                       else "must be context.patientId", lambda text: text == patient_id, required=restricted)  # fmt: skip
    return FhirAuthorization(token, scope, subject, expires_in, whose or None)


class _Members:
    """The members of one JSON object; what is wrong with them is noted under their path and becomes "", 0 or {}."""

    def __init__(self, content: dict[str, Any], path: str, problems: dict[str, str]) -> None:
        self.content, self._path, self._problems = content, path, problems

    def has(self, name: str) -> bool:
        return self.content.get(name) is not None

    def text(self, name: str, what: str, fits: Callable[[str], object], *, required: bool = True) -> str:
        found = self.content.get(name)
        if found is None and not required:
            return ""
        if isinstance(found, str) and fits(found):
            return found
        self._note(name, what)
        return ""

    def seconds(self, name: str) -> int:
        found = self.content.get(name)
        if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
            return found
        self._note(name, "must be a whole number of seconds")
        return 0

    def members(self, name: str, *, required: bool = False) -> "_Members":
        found = self.content.get(name)
        if isinstance(found, dict):
            return _Members(found, f"{self._path}{name}.", self._problems)
        if required or found is not None:
            self._note(name, "must be a JSON object")
        return _Members({}, "", {})  # nothing is said of the members of what is not there

    def _note(self, name: str, what: str) -> None:
        missing = self.content.get(name) is None
        self._problems[f"{self._path}{name}"] = f"is missing: it {what}" if missing else what


def _one_of(known: Collection[str]) -> Callable[[str], bool]:
    return lambda text: text in known


def _short(text: str) -> bool:
    return bool(text.strip()) and len(text) <= 64 and text.isprintable()


def _is_text(text: str) -> bool:
    return bool(text.strip()) and len(text) <= _LONGEST_TOKEN and text.isprintable()


def _is_token(text: str) -> bool:
    return len(text) <= _LONGEST_TOKEN and bool(_VISIBLE.fullmatch(text))


def _is_user(text: str) -> bool:
    kind, _, identity = text.partition("/")
    return kind in _USERS and bool(LOGICAL_ID.fullmatch(identity))


def _is_server_url(allow_http: bool) -> Callable[[str], bool]:
    return lambda text: (
        _is_base_url(text)
        and (allow_http or text.lower().startswith("https:") or is_loopback(urlsplit(text).hostname or ""))
    )


def _is_base_url(text: str) -> bool:
    if len(text) > _LONGEST_TEXT or not _VISIBLE.fullmatch(text) or set(text) & set('\\@?#"<>'):
        return False
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and parts.scheme in ("http", "https")
