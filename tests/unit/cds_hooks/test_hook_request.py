"""A request is checked as CDS Hooks 2.0.1 says; every refusal names its field, and none repeats a value."""

import dataclasses
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cds_hooks.hook_requests import HOOKS, TOKEN, authorization, granted, hook_request

from cds_hooks.hook_request import HookRequest, parse
from cds_hooks.refusals import Refusal

MARK = "MARK-of-the-value"


def parsed(content: Any, *, strict: bool = False) -> HookRequest:
    return parse(orjson.dumps(content), HOOKS, strict_instance=strict)


def refused(content: Any, *, strict: bool = False) -> str:
    """Return the fields that a refusal names."""
    with pytest.raises(Refusal) as caught:
        parsed(content, strict=strict)
    refusal = caught.value
    assert refusal.status == 400
    assert refusal.diagnostics
    assert all(name in refusal.text for name in refusal.diagnostics.split(", "))
    assert MARK not in refusal.text + refusal.diagnostics
    assert TOKEN not in refusal.text + refusal.diagnostics
    return refusal.diagnostics


def test_ch20_a_whole_request_is_read() -> None:
    content = granted() | {"prefetch": {"patient": None}, "hook": "encounter-start"}
    content["context"]["encounterId"] = "e.1"
    found = parsed(content, strict=True)
    assert (found.hook, found.hook_instance) == ("encounter-start", "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea")
    assert (found.user_id, found.patient_id, found.encounter_id) == ("Practitioner/dr-1", "p", "e.1")
    assert found.prefetch == {"patient": None}
    assert found.fhir_server == "https://ehr.example.org/fhir"
    assert found.authorization is not None
    assert found.authorization.access_token == TOKEN
    assert found.authorization.scope == {"patient/Patient.read", "patient/Observation.read"}
    assert found.authorization.subject == "cds-service"
    assert (found.authorization.expires_in, found.authorization.patient) == (300, "p")


def test_ch20_the_least_request_is_read() -> None:
    found = parsed(hook_request())
    assert (found.encounter_id, found.fhir_server, found.authorization, dict(found.prefetch)) == (None, None, None, {})


@pytest.mark.parametrize("field", ["hook", "hookInstance", "context"])
@pytest.mark.parametrize("value", ["gone", None, 5, [], "", True])
def test_ch20_what_is_required_is_missed_by_name(field: str, value: Any) -> None:
    content = hook_request() | {field: value}
    if value == "gone":
        del content[field]
    assert refused(content) == field


def test_every_fault_is_named_at_once() -> None:
    content = hook_request(hook="x", context={"userId": 1, "patientId": "../x"}, extension=[])
    assert refused(content) == "hook, context.userId, context.patientId, extension"


@pytest.mark.parametrize("hook", ["order-sign", "Patient-View", "patient-view ", MARK])
def test_ch21_a_hook_that_the_service_is_not_listed_for_is_refused(hook: str) -> None:
    assert refused(hook_request(hook=hook)) == "hook"


@pytest.mark.parametrize("hook", HOOKS)
def test_ch04_one_service_answers_for_every_hook_it_is_listed_for(hook: str) -> None:
    assert parsed(hook_request(hook=hook, context={"encounterId": "e"})).hook == hook


@pytest.mark.parametrize("identity", [
    "../x", "..", ".", "", "a/b", "a" * 65, "a b", "a\n", "ä", "a?x=1", "a#", "%2e%2e", "a_b", 5, ["p"], {"a": 1}, True,
])  # fmt: skip
@pytest.mark.parametrize("field", ["patientId", "encounterId"])
def test_ch22_an_id_that_is_none_is_refused(field: str, identity: Any) -> None:
    assert refused(hook_request(context={field: identity})) == f"context.{field}"


@pytest.mark.parametrize("identity", ["a", "a" * 64, "A-1.z", "...", "-", "f5efdf3f-5b53-5c9f-95a6-047275107c46"])
def test_ch22_every_other_id_is_taken(identity: str) -> None:
    assert parsed(hook_request(context={"patientId": identity})).patient_id == identity


@pytest.mark.parametrize("field", ["userId", "patientId"])
def test_ch22_user_and_patient_are_required(field: str) -> None:
    content = hook_request()
    del content["context"][field]
    assert refused(content) == f"context.{field}"


def test_ch22_an_encounter_that_starts_has_an_id() -> None:
    assert refused(hook_request(hook="encounter-start")) == "context.encounterId"


@pytest.mark.parametrize("user", [
    MARK, "dr-1", "Practitioner", "Practitioner/", "Practitioner/a/b", "Device/1", "practitioner/1", "/1", "Practitioner/..",
    "https://ehr.example.org/fhir/Practitioner/1", "Practitioner/ 1", f"Group/{MARK}", 7,
])  # fmt: skip
def test_ch22_a_user_of_another_kind_is_refused(user: Any) -> None:
    assert refused(hook_request(context={"userId": user})) == "context.userId"


@pytest.mark.parametrize(("user", "clinician"), [
    ("Practitioner/1", True), ("PractitionerRole/1", True), ("Patient/8", False), ("RelatedPerson/8", False),
])  # fmt: skip
def test_ch35_who_is_a_clinician_is_told(user: str, clinician: bool) -> None:
    assert parsed(hook_request(context={"userId": user})).clinician is clinician


@pytest.mark.parametrize("instance", ["x", "fhir-mcp-instance", "d1577c69dfbe44adba6d3e05e953b2ea", "a" * 64])
def test_ch23_a_strict_service_wants_a_uuid_and_another_takes_any_short_text(instance: str) -> None:
    assert refused(hook_request(hookInstance=instance), strict=True) == "hookInstance"
    assert parsed(hook_request(hookInstance=instance)).hook_instance == instance


@pytest.mark.parametrize("instance", ["", " ", "a" * 65, "a\nb", "a\x1b[31m", "\u2028"])
def test_ch23_what_cannot_stand_in_a_log_is_no_instance(instance: str) -> None:
    assert refused(hook_request(hookInstance=instance)) == "hookInstance"


def test_ch23_a_uuid_is_taken_in_either_case() -> None:
    instance = "D1577C69-DFBE-44AD-BA6D-3E05E953B2EA"
    assert parsed(hook_request(hookInstance=instance), strict=True).hook_instance == instance


def test_ch24_authorization_needs_a_server() -> None:
    assert refused(hook_request(fhirAuthorization=authorization())) == "fhirServer"


@pytest.mark.parametrize("field", ["access_token", "token_type", "expires_in", "scope", "subject", "patient"])
def test_ch25_each_member_of_the_authorization_is_required(field: str) -> None:
    assert refused(granted(**{field: None})) == f"fhirAuthorization.{field}"


@pytest.mark.parametrize(("field", "value"), [
    ("token_type", "mac"), ("token_type", MARK), ("expires_in", "300"), ("expires_in", 300.0), ("expires_in", True),
    ("expires_in", -1), ("scope", ["patient/*.read"]), ("scope", " "), ("subject", ""), ("subject", {}),
    ("access_token", ""), ("access_token", f"{TOKEN} {MARK}"), ("access_token", f"{TOKEN}\r\nX: {MARK}"),
    ("access_token", "ä"), ("access_token", "a" * 20_000), ("patient", MARK), ("patient", "q"), ("patient", 1),
])  # fmt: skip
def test_ch25_a_member_that_is_wrong_is_named(field: str, value: Any) -> None:
    assert refused(granted(**{field: value})) == f"fhirAuthorization.{field}"


def test_ch25_a_token_of_the_user_names_no_patient() -> None:
    found = parsed(granted(scope="user/*.read launch", patient=None)).authorization
    assert found is not None
    assert found.patient is None
    assert refused(granted(scope="user/*.read", patient="q")) == "fhirAuthorization.patient"


@pytest.mark.parametrize("wrong", [[], "Bearer x", 1, True])
def test_ch25_an_authorization_that_is_no_object_is_refused(wrong: Any) -> None:
    content = hook_request(fhirServer="https://ehr.example.org/fhir", fhirAuthorization=wrong)
    assert refused(content) == "fhirAuthorization"


@pytest.mark.parametrize("server", [
    "http://ehr.example.org/fhir", "http://169.254.169.254/", "http://2130706433", "http://127.1/", "ftp://ehr.example.org",
    "file:///etc/passwd", "gopher://127.0.0.1", "//ehr.example.org", "ehr.example.org/fhir", "/fhir", "https://", "https:///x",
    "https://:443/", "https://user@ehr.example.org", "https://user:pw@ehr.example.org", "https://ehr.example.org\\@evil",
    "https://ehr.example.org/fhir?x=1", "https://ehr.example.org/fhir#x", "https://ehr.example.org:99999", "https://[::1",
    "https://ehr.example.org/\n", " https://ehr.example.org", "https://ehr.example.org/a b", "https://ärzte.example.org",
    "https://a.example.org/" + "x" * 3000, "", MARK, 5, ["https://ehr.example.org"], {},
])  # fmt: skip
def test_ch26_a_server_must_be_an_absolute_https_url(server: Any) -> None:
    assert refused(hook_request(fhirServer=server)) == "fhirServer"


@pytest.mark.parametrize("server", [
    "https://ehr.example.org", "https://ehr.example.org:8443/fhir/r4/", "HTTPS://EHR.example.org/x", "https://10.0.0.1/fhir",
    "http://127.0.0.1:8080/fhir", "http://localhost:8080", "http://[::1]:8080/fhir",
])  # fmt: skip
def test_ch26_https_is_taken_and_plain_http_on_loopback(server: str) -> None:
    assert parsed(hook_request(fhirServer=server)).fhir_server == server


@pytest.mark.parametrize(("server", "taken"), [
    ("http://ehr.internal:8080/fhir", True), ("HTTP://10.0.0.1/fhir", True), ("https://ehr.example.org", True),
    ("ftp://ehr.example.org", False), ("http://user@ehr.internal", False), ("http://ehr.internal/fhir?x=1", False),
    ("http://", False),
])  # fmt: skip
def test_ch26_plain_http_is_taken_where_the_site_allows_it_and_nothing_else_is(server: str, taken: bool) -> None:
    body = orjson.dumps(hook_request(fhirServer=server))
    if taken:
        assert parse(body, HOOKS, strict_instance=False, allow_http=True).fhir_server == server
    else:
        with pytest.raises(Refusal, match="must be an absolute http or https URL"):
            parse(body, HOOKS, strict_instance=False, allow_http=True)


def test_ch27_extensions_and_unknown_members_change_nothing() -> None:
    more = {"extension": {"com.x": 1}, "colour": [1, {"a": None}], "patientId": "q"}
    content = hook_request({"patient": None}) | more
    content["context"] |= {"extension": {"a": 1}, "patients": ["q"]}
    assert parsed(content) == parsed(hook_request({"patient": None}))


@pytest.mark.parametrize("extension", [[], [{"com.x": 1}], "x", 1])
def test_ch27_an_extension_is_an_object(extension: Any) -> None:
    assert refused(hook_request(extension=extension)) == "extension"


@pytest.mark.parametrize("prefetch", [[], "x", 1, [{"patient": {}}]])
def test_ch28_a_prefetch_is_an_object(prefetch: Any) -> None:
    assert refused(hook_request() | {"prefetch": prefetch}) == "prefetch"


def test_an_optional_member_that_is_null_is_absent() -> None:
    names = ("extension", "prefetch", "fhirServer", "fhirAuthorization")
    content = hook_request() | dict.fromkeys(names)
    content["context"]["encounterId"] = None
    assert parsed(content) == parsed(hook_request())


def test_ch53_neither_token_nor_prefetch_is_ever_shown() -> None:
    content = granted() | {"prefetch": {"patient": {"resourceType": "Patient", "name": [{"family": MARK}]}}}
    found = parsed(content)
    for said in (repr(found), str(found), repr(found.authorization), f"{found.authorization}"):
        assert TOKEN not in said
        assert MARK not in said
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.patient_id = "q"  # type: ignore[misc]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
NAMES = st.sampled_from([
    ("hook",), ("hookInstance",), ("context",), ("context", "userId"), ("context", "patientId"), ("context", "encounterId"),
    ("fhirServer",), ("fhirAuthorization",), ("prefetch",), ("extension",), ("fhirAuthorization", "access_token"),
    ("fhirAuthorization", "token_type"), ("fhirAuthorization", "expires_in"), ("fhirAuthorization", "scope"),
    ("fhirAuthorization", "subject"), ("fhirAuthorization", "patient"), ("colour",),
])  # fmt: skip


def reads_or_refuses(body: bytes) -> None:
    for strict in (False, True):
        refusal = None
        try:
            parse(body, HOOKS, strict_instance=strict)
        except Refusal as caught:
            refusal = caught
        if refusal is not None:
            assert (refusal.status, bool(refusal.diagnostics)) == (400, True)
            assert TOKEN not in refusal.text


@given(st.binary() | JSON.map(orjson.dumps))
@settings(max_examples=300)
def test_ch20_no_body_raises_anything_but_a_refusal(body: bytes) -> None:
    reads_or_refuses(body)


@given(st.lists(st.tuples(NAMES, JSON), max_size=3), st.integers(0, 500), st.binary(max_size=3))
@settings(max_examples=500)
def test_ch20_no_request_gone_wrong_raises_anything_but_a_refusal(
    changes: list[tuple[tuple[str, ...], Any]], place: int, junk: bytes
) -> None:
    content = granted()
    for path, value in changes:
        holder = content
        for name in path[:-1]:
            holder = holder[name] if isinstance(holder.get(name), dict) else {}
        holder[path[-1]] = value
    body = orjson.dumps(content)
    reads_or_refuses(body)
    reads_or_refuses(body[:place] + junk + body[place + len(junk) :])
