"""The last screening: which one it is, and that "none" is never said of what could not be looked up."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.charts import sepsis
from tests.unit.cds_hooks.fetching import conftest as fetching
from tests.unit.cds_hooks.fetching.conftest import Authorization, Call, MakeFetcher
from tests.unit.fhir_client.raw_server import DRIPS, RawServer
from tests.unit.fhir_client.stub_server import Stub, fhir, outcome, searchset
from tests.unit.results.assessments import AT, CONTEXT, RESULT, assessment, result

from cds_hooks.earlier_screening import EarlierUnknownError, earlier
from cds_hooks.fetching import reasons
from fhir_sandbox.server import SandboxServer
from screening.results.risk_assessment import build
from screening.schema import Schema

make_fetcher, stub = fetching.make_fetcher, fetching.stub
DAY = timedelta(hours=24)
LATER = AT + timedelta(hours=2)
SCREENED = frozenset({"patient/RiskAssessment.rs"})


@dataclass(frozen=True)
class Read:
    """As the library's `EarlierScreening`, as far as it is looked at here."""

    reference: str
    probability: float
    occurred: datetime


def read(resource: Any, schema: Schema, patient_id: str) -> Read | None:
    (prediction,) = resource.get("prediction") or [None]
    if prediction is None or resource.get("subject") != {"reference": f"Patient/{patient_id}"}:
        return None
    occurred = datetime.fromisoformat(resource["occurrenceDateTime"])
    return Read(f"RiskAssessment/{resource['id']}", prediction["probabilityDecimal"], occurred)


def stored(identity: str = "ra", **changed: Any) -> dict[str, Any]:
    return assessment(id=identity, **changed)


def at(hours: float) -> str:
    return (AT - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def find(make_fetcher: MakeFetcher, stub: Stub, *resources: dict[str, Any], **given: Any) -> Read | None:
    stub.route = lambda call: fhir(searchset(list(resources)))
    call = Call(stub.base, Authorization(scope=SCREENED, **given), patient_id="p-1")
    return earlier(make_fetcher(stub.base), call, sepsis(), "p-1", LATER, DAY, read)


def test_the_server_is_asked_for_this_patient_and_time(make_fetcher: MakeFetcher, stub: Stub) -> None:
    assert find(make_fetcher, stub, stored()) == Read("RiskAssessment/ra", 0.85, AT)
    assert stub.targets() == [
        "/fhir/RiskAssessment?subject=Patient/p-1&date=ge2026-03-09T14:00:00Z&date=le2026-03-10T14:00:01Z&_count=1000"
    ]


def test_there_may_be_none(make_fetcher: MakeFetcher, stub: Stub) -> None:
    assert find(make_fetcher, stub) is None


def screen(**changed: str | None) -> dict[str, Any]:
    coding = {"system": "urn:airflow-risk-screening:schema", "code": "sepsis", "version": "1.0.0"}
    return {"coding": [coding | changed]}


OTHERS = {
    "another screen": {"code": screen(code="aki")},
    "somebody else's code": {"code": screen(system="http://loinc.org")},
    "no code": {"code": None},
    "not ours": {"identifier": [{"system": "urn:other", "value": "x"}]},
    "no identifier": {"identifier": None},
    "retracted": {"status": "entered-in-error"},
    "cancelled": {"status": "cancelled"},
    "too old": {"occurrenceDateTime": at(22.1)},
    "later": {"occurrenceDateTime": at(-2.1)},
    "of another patient": {"subject": {"reference": "Patient/p-2"}},
    "of another patient, absolute": {"subject": {"reference": "https://other.example/Patient/p-2/_history/1"}},
    "another type": {"resourceType": "Basic"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_of_this_screen_patient_and_time_is_none(make_fetcher: MakeFetcher, stub: Stub, name: str) -> None:
    other = stored("other", **{"prediction": None} | OTHERS[name])
    assert find(make_fetcher, stub, other) is None
    assert find(make_fetcher, stub, other, stored()) == Read("RiskAssessment/ra", 0.85, AT)


@pytest.mark.parametrize("version", ["0.9.0", "1.0.1", None])
def test_one_by_another_version_of_the_screen_alone_is_not_none(
    make_fetcher: MakeFetcher, stub: Stub, version: str | None
) -> None:
    other = stored("other", occurrenceDateTime=at(-1), code=screen(version=version))
    with pytest.raises(EarlierUnknownError, match="another version of this screen"):
        find(make_fetcher, stub, other)
    assert find(make_fetcher, stub, other, stored()) == Read("RiskAssessment/ra", 0.85, AT)
    assert find(make_fetcher, stub, stored("other", occurrenceDateTime=at(22.1), code=screen(version="0.9.0"))) is None


@pytest.mark.parametrize("hours", [22.0, -2.0])
def test_both_ends_of_the_time_count(make_fetcher: MakeFetcher, stub: Stub, hours: float) -> None:
    assert find(make_fetcher, stub, stored(occurrenceDateTime=at(hours))) is not None


@given(hours=st.lists(st.floats(0, 20).map(lambda h: round(h, 3)), min_size=1, max_size=6, unique=True), data=st.data())
def test_the_newest_is_taken_whatever_the_order(hours: list[float], data: st.DataObject) -> None:
    from cds_hooks import earlier_screening

    resources = [stored(f"r{h}", occurrenceDateTime=at(h)) for h in data.draw(st.permutations(hours))]

    class Asked:
        def __init__(self) -> None:
            self.sources = self

        def of_screenings(self, *args: object) -> "Asked":
            return self

        base_url = "https://fhir.example.org"

        def lacks(self, *args: object) -> None: ...

        def why_not(self, *args: object) -> None: ...

        def budget(self) -> None: ...

        def get_each(self, *args: object, patient: None) -> list[Any]:
            return [type("Answer", (), {"resources": resources})]

    found = earlier_screening.earlier(Asked(), Call(None), sepsis(), "p-1", LATER, DAY, read)  # type: ignore[arg-type]
    assert found is not None
    assert found.reference == f"RiskAssessment/r{min(hours)}"


def test_of_two_of_one_moment_the_one_written_last_is_taken(make_fetcher: MakeFetcher, stub: Stub) -> None:
    old = stored("z", meta={"lastUpdated": "2026-03-10T12:00:05.000Z"})
    new = stored("a", meta={"lastUpdated": "2026-03-10T13:00:04+00:00"})
    for resources in ((old, new), (new, old)):
        found = find(make_fetcher, stub, *resources)
        assert found is not None
        assert found.reference == "RiskAssessment/a"


def test_a_subject_made_absolute_by_its_own_server_is_the_patient(make_fetcher: MakeFetcher, stub: Stub) -> None:
    assert find(make_fetcher, stub, stored(subject={"reference": f"{stub.base}/Patient/p-1"})) is not None


@pytest.mark.parametrize(
    "changed",
    [
        {"prediction": None},
        {"occurrenceDateTime": None},
        {"occurrenceDateTime": "2026-03-10"},
        {"occurrenceDateTime": "MARKER"},
        {"occurrenceDateTime": "2026-03-10T12:00:00"},
        {"subject": {"reference": "https://elsewhere.example/Patient/p-1"}},
        {"subject": {"reference": "urn:uuid:0c0"}},
        {"subject": None},
    ],
)
def test_one_of_ours_that_cannot_be_read_is_not_none(
    make_fetcher: MakeFetcher, stub: Stub, changed: dict[str, Any]
) -> None:
    with pytest.raises(EarlierUnknownError, match="RiskAssessment") as caught:
        find(make_fetcher, stub, stored(**changed))
    assert "MARKER" not in str(caught.value)


def test_one_that_cannot_be_read_matters_only_where_it_is_the_newest(make_fetcher: MakeFetcher, stub: Stub) -> None:
    odd = stored("odd", occurrenceDateTime=at(5), prediction=None)
    assert find(make_fetcher, stub, odd, stored()) == Read("RiskAssessment/ra", 0.85, AT)


# ---- what could not be looked up


def ask(fetcher: Any, call: Call, who: str = "p-1", iss: str | None = None) -> str:
    with pytest.raises(EarlierUnknownError) as caught:
        earlier(fetcher, call, sepsis(), who, LATER, DAY, read, iss=iss)
    words = str(caught.value)
    assert words.startswith("the last screening could not be looked up: ")
    return words.removeprefix("the last screening could not be looked up: ")


def test_who_cannot_be_asked_is_said(make_fetcher: MakeFetcher, stub: Stub) -> None:
    call = Call(stub.base, Authorization(), patient_id="p-1")
    assert ask(make_fetcher(), call) == reasons.NOT_ALLOWED
    assert ask(make_fetcher(("a", stub.base)), call, iss="b") == reasons.NOT_ALLOWED
    assert ask(make_fetcher(stub.base), Call(None)) == reasons.NO_SERVER
    assert ask(make_fetcher(stub.base, fetch_from="nowhere"), call) == reasons.SWITCHED_OFF
    assert ask(make_fetcher(stub.base), call, "../p") == reasons.NO_ID
    assert stub.connections == 0


def test_ch54_the_scope_that_is_lacking_is_named(make_fetcher: MakeFetcher, stub: Stub) -> None:
    call = Call(stub.base, Authorization(scope=frozenset({"patient/Observation.rs"})), patient_id="p-1")
    assert "lacks the scope patient/RiskAssessment.s " in ask(make_fetcher(stub.base), call)
    assert stub.connections == 0


def test_nothing_found_under_a_restricted_scope_is_not_none(make_fetcher: MakeFetcher, stub: Stub) -> None:
    stub.route = lambda call: fhir(searchset([]))
    call = Call(stub.base, Authorization(scope=frozenset({"user/RiskAssessment.s?status=final"})), patient_id="p-1")
    assert ask(make_fetcher(stub.base), call).startswith("nothing found, but")


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 410, 429, 500, 503])
def test_a_server_that_refuses_is_not_none(make_fetcher: MakeFetcher, stub: Stub, status: int) -> None:
    stub.route = lambda call: outcome(status)
    assert f"({status})" in ask(make_fetcher(stub.base), Call(stub.base, patient_id="p-1"))


def test_a_search_without_end_is_not_none(make_fetcher: MakeFetcher, stub: Stub) -> None:
    stub.route = lambda call: fhir(searchset([stored()], f"{stub.base}/RiskAssessment?page={len(stub.calls)}"))
    assert "cannot be used as a whole" in ask(make_fetcher(stub.base), Call(stub.base, patient_id="p-1"))


def test_ch51_a_server_that_drips_is_not_none(make_fetcher: MakeFetcher) -> None:
    with RawServer(DRIPS["body"]) as canary:
        fetcher = make_fetcher(canary.base, fetch_seconds=0.2)
        assert "in time" in ask(fetcher, Call(canary.base, patient_id="p-1"))


# ---- where screening writes


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        for hours, probability in ((1, 0.85), (3, 0.7123), (30, 0.1)):
            moment = AT - timedelta(hours=hours)
            server.load([build(result(prediction_time=moment, probability=probability), CONTEXT) | {"id": f"h{hours}"}])
        server.load([build(result(patient_id="p-2"), CONTEXT) | {"id": "other"}])
        yield server


def test_what_screening_wrote_is_found_on_our_own_connection(make_fetcher: MakeFetcher, sandbox: SandboxServer) -> None:
    for fetch_from in ("own", "ehr", "nowhere"):
        fetcher = make_fetcher(fetch_from=fetch_from, fhir_conn=json.dumps({"host": sandbox.base_url}))
        call = Call("https://ehr.example.org/fhir", Authorization(), patient_id="p-1")
        found = earlier(fetcher, call, sepsis(), "p-1", AT, DAY, read)
        assert found == Read("RiskAssessment/h1", 0.85, AT - timedelta(hours=1))
        assert earlier(fetcher, call, sepsis(), "p-1", AT - timedelta(hours=2), DAY, read) == Read(
            "RiskAssessment/h3", 0.7123, AT - timedelta(hours=3)
        )
        assert earlier(fetcher, call, sepsis(), "p-1", AT, timedelta(minutes=30), read) is None
        assert earlier(fetcher, call, sepsis(), "nobody", AT, DAY, read) is None


def test_what_is_read_is_what_screening_writes() -> None:
    assert read(build(RESULT, CONTEXT) | {"id": "x"}, sepsis(), "p-1") == Read("RiskAssessment/x", 0.85, AT)
