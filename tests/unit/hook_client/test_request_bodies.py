"""What an EHR sends, member by member."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from tests.unit.hook_client.conftest import prefetch
from tests.unit.hook_client.stub import CARD, SERVICE, TEMPLATES, fault_of_request

from screening.hook_client.charts import Chart
from screening.hook_client.request_bodies import FhirAccess, feedback, request, without_token
from screening.hook_client.searches import as_searched
from screening.hook_client.services import services

(SEPSIS,) = services({"services": [SERVICE]})
CHART = Chart("a.json", "a", prefetch("a"))
NOW = datetime(2026, 3, 10, 13, tzinfo=timezone(timedelta(hours=1)))


def test_ch20_ch22_a_request_has_what_is_required_and_nothing_else() -> None:
    body = request(CHART, SEPSIS)
    assert body.keys() == {"hook", "hookInstance", "context", "prefetch"}
    assert body["hook"] == "patient-view"
    assert body["context"] == {"userId": "Practitioner/cds-client", "patientId": "a"}
    assert fault_of_request(body) is None


def test_ch23_each_request_has_a_uuid_of_its_own() -> None:
    instances = {request(CHART, SEPSIS)["hookInstance"] for _ in range(1000)}
    assert len(instances) == 1000
    assert all(UUID(one).version == 4 for one in instances)


def test_ch10_ch28_only_what_discovery_asks_for_is_sent() -> None:
    sent = request(CHART, SEPSIS)["prefetch"]
    assert sent == {key: prefetch("a")[key] for key in ("patient", "heart_rate")}
    assert list(sent) == [key for key in TEMPLATES if key in sent]


def test_ch29_what_the_chart_knows_to_be_empty_is_sent_and_what_it_lacks_is_not() -> None:
    known = Chart("a.json", "a", prefetch("a") | {"lactate": None})
    assert request(known, SEPSIS)["prefetch"]["lactate"] is None
    assert "lactate" not in request(CHART, SEPSIS)["prefetch"]


def test_ch09_a_search_is_given_in_the_order_that_its_template_asks_for() -> None:
    times = ["2026-03-10T11:00:00+00:00", "2026-03-10T12:30:00+01:00", "2026-03-09T23:00:00-05:00"]
    entries = [{"resource": {"resourceType": "Observation", "effectiveDateTime": time}} for time in times]
    page = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    newest, template = [entries[1], entries[0], entries[2]], TEMPLATES["heart_rate"]
    assert as_searched(page, template) == page | {"entry": newest}
    assert page["entry"] == entries
    chart = Chart("a.json", "a", prefetch("a") | {"heart_rate": page})
    assert request(chart, SEPSIS)["prefetch"]["heart_rate"]["entry"] == newest
    assert as_searched(page, template.replace("_sort=-date", "_sort=-date2")) == page
    for other in ({"resource": None}, {}, None, {"resource": {"resourceType": "Observation"}}):
        odd = page | {"entry": [*entries, other]}
        assert as_searched(odd, template) == odd
    for content in (None, [], {"resourceType": "OperationOutcome"}, page | {"entry": None}):
        assert as_searched(content, template) == content


def test_ch24_ch25_an_authorization_comes_whole_and_with_its_server() -> None:
    body = request(CHART, SEPSIS, fhir=FhirAccess("https://fhir.example.org/r4", "marker-token"))
    assert body["fhirServer"] == "https://fhir.example.org/r4"
    assert body["fhirAuthorization"] == {
        "access_token": "marker-token", "token_type": "Bearer", "expires_in": 300, "scope": "patient/*.read",
        "subject": "cds-service", "patient": "a",
    }  # fmt: skip
    assert fault_of_request(body) is None
    open_server = request(CHART, SEPSIS, fhir=FhirAccess("https://fhir.example.org/r4"))
    assert "fhirAuthorization" not in open_server
    assert fault_of_request(open_server) is None


def test_ch53_the_access_token_is_in_no_repr_and_in_nothing_that_is_kept() -> None:
    access = FhirAccess("https://fhir.example.org/r4", "marker-token")
    body = request(CHART, SEPSIS, fhir=access)
    kept = without_token(body)
    assert "marker-token" not in repr(access) + repr(kept)
    assert kept["fhirAuthorization"]["scope"] == "patient/*.read"
    assert body["fhirAuthorization"]["access_token"] == "marker-token"
    assert without_token(request(CHART, SEPSIS)).keys() == {"hook", "hookInstance", "context", "prefetch"}


def test_ch70_ch71_feedback_says_what_became_of_each_card() -> None:
    bare = {key: CARD[key] for key in ("summary", "indicator", "source")} | {"uuid": "b"}
    stamp = {"outcomeTimestamp": "2026-03-10T12:00:00Z"}
    assert feedback([CARD, bare], "overridden", NOW) == {"feedback": [
        {"card": CARD["uuid"], "outcome": "overridden", "overrideReason": {"reason": CARD["overrideReasons"][0]}} | stamp,
        {"card": "b", "outcome": "overridden"} | stamp,
    ]}  # fmt: skip
    assert feedback([CARD, bare], "accepted", NOW) == {"feedback": [
        {"card": CARD["uuid"], "outcome": "accepted", "acceptedSuggestions": [{"id": CARD["suggestions"][0]["uuid"]}]}
        | stamp,
    ]}  # fmt: skip


def test_ch45_a_card_without_a_uuid_gets_no_feedback() -> None:
    bare = {key: part for key, part in CARD.items() if key != "uuid"}
    assert feedback([bare], "overridden", NOW.astimezone(UTC)) is None
    assert feedback([CARD | {"suggestions": []}], "accepted", NOW) is None
