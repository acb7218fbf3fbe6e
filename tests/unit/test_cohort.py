"""Who is screened: every way to name patients, what names none, and how a cohort is cut into batches."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.charts import BASE, T, sepsis

from screening.cohort import members, parse_search, split
from screening.errors import FatalError, FhirFatalError, FhirNotFound, FhirTemporaryError
from screening.schema import Cohort


class Server:
    """Answers with what it was given, and keeps what it was asked."""

    def __init__(self, found: list[Any] | None = None, group: Any = None, total: int | None = None) -> None:
        self.found, self.group, self.total = found or [], group, total
        self.asked: list[Any] = []

    def read(self, resource_type: str, resource_id: str) -> dict[str, Any]:
        self.asked.append((resource_type, resource_id))
        if self.group is None:
            raise FhirNotFound(f"{resource_type}/{resource_id} does not exist", status=404)
        return dict(self.group)

    def search_pages(self, resource_type: str, params: list[tuple[str, str]]) -> list[dict[str, Any]]:
        self.asked.append((resource_type, params))
        pages: list[dict[str, Any]] = [{"entry": [{"resource": one}]} for one in self.found] or [{}]
        if self.total is not None:
            pages[-1]["total"] = self.total
        return pages


def stay(reference: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Encounter", "subject": {"reference": reference}, **more}


def search(*found: Any) -> tuple[tuple[str, ...], int]:
    """Return the patients of a search's answer, and how many entries named none."""
    got = members(Cohort(search="Encounter?class=IMP"), T, Server(list(found)), BASE)
    return got.patient_ids, got.unusable


def test_ids_are_taken_once_and_sorted() -> None:
    got = members(Cohort(patient_ids=["b", "Patient/a", " b ", "c.1-X"]), None, Server(), BASE)
    assert (got.patient_ids, got.unusable) == (("a", "b", "c.1-X"), 0)


@pytest.mark.parametrize("text", ["a/b", "Patient/a/_history/1", "a b", "é", "a" * 65, "Group/a", "a?x=1", "a_b"])
def test_what_is_no_id_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(FatalError, match="patient_ids holds what is no logical id") as caught:
        members(Cohort(patient_ids=["a", text]), None, Server(), BASE)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("resource", "who"),
    [
        (stay("Patient/a"), "a"),
        (stay("Patient/a/_history/3"), "a"),
        (stay(f"{BASE}/Patient/a"), "a"),
        ({"resourceType": "Patient", "id": "a"}, "a"),
        ({"resourceType": "Flag", "patient": {"reference": "Patient/a"}}, "a"),
        (stay("https://elsewhere.example.org/Patient/a"), None),
        (stay("Group/a"), None),
        (stay("urn:uuid:a"), None),
        (stay("Patient/a b"), None),
        (stay("Patient/"), None),
        (stay(None), None),
        (stay(5), None),
        ({"resourceType": "Encounter"}, None),
        ({"resourceType": "Encounter", "subject": "Patient/a"}, None),
        ({"resourceType": "Encounter", "subject": {"identifier": {"value": "1"}}}, None),
        ({"resourceType": "Patient"}, None),
        ({"resourceType": "Patient", "id": 5}, None),
        ({"resourceType": "Location", "id": "a"}, None),
    ],
)  # fmt: skip
def test_the_patient_of_what_a_search_finds(resource: dict[str, Any], who: str | None) -> None:
    assert search(stay("Patient/z"), resource) == (tuple(sorted({"z", who} - {None})), int(who is None))


def test_a_patient_with_two_stays_is_screened_once() -> None:
    assert search(stay("Patient/b"), stay("Patient/a"), stay("Patient/b")) == (("a", "b"), 0)


def test_the_order_of_the_server_makes_no_difference() -> None:
    found = [stay(f"Patient/{name}") for name in "dbca"]
    assert search(*found) == search(*reversed(found)) == (("a", "b", "c", "d"), 0)


@pytest.mark.parametrize(("total", "unusable"), [(None, 0), (0, 0), (2, 0), (500, 498)])
def test_who_is_counted_and_not_given_is_told(total: int | None, unusable: int) -> None:
    """A server that cuts its answer and links no next page: the rest of the ward must not vanish without a word."""
    server = Server([stay("Patient/a"), stay("Patient/b")], total=total)
    got = members(Cohort(search="Encounter?class=IMP"), T, server, BASE)
    assert (got.patient_ids, got.unusable) == (("a", "b"), unusable)


@pytest.mark.parametrize("base_url", [BASE, f"{BASE}/"])
def test_the_base_may_end_in_a_slash(base_url: str) -> None:
    server = Server([stay(f"{BASE}/Patient/a")])
    assert members(Cohort(search="Encounter?class=IMP"), T, server, base_url).patient_ids == ("a",)


def member(reference: Any, **more: Any) -> dict[str, Any]:
    return {"entity": {"reference": reference}, **more}


def test_a_group() -> None:
    listed = [
        member("Patient/b"), member("Patient/a", inactive=False), member("Patient/gone", inactive=True),
        member(f"{BASE}/Patient/c"), member("Device/d"), {"entity": {}}, {}, "Patient/x", member("Patient/a"),
    ]  # fmt: skip
    server = Server(group={"resourceType": "Group", "member": listed})
    got = members(Cohort(group="Group/icu"), T, server, BASE)
    assert got.patient_ids == ("a", "b", "c")
    assert got.unusable == 3
    assert server.asked == [("Group", "icu")]


def test_a_group_in_a_group_is_refused() -> None:
    server = Server(group={"member": [member("Patient/a"), member("Group/inner")]})
    with pytest.raises(FhirFatalError, match="Group/icu has a Group as a member"):
        members(Cohort(group="Group/icu"), T, server, BASE)


def test_a_group_that_does_not_exist_is_told_as_such() -> None:
    with pytest.raises(
        FhirNotFound, match=r"the cohort's Group/icu is not on the server .* mend the schema's cohort"
    ) as caught:
        members(Cohort(group="Group/icu"), T, Server(), BASE)
    assert caught.value.status == 404


class Refusing(Server):
    """Refuses every search, as late as at its first page."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def search_pages(self, resource_type: str, params: list[tuple[str, str]]) -> Any:
        yield from ()
        raise self.error


@pytest.mark.parametrize("status", [400, 404])
def test_a_search_that_the_server_refuses_is_told_as_the_cohorts(status: int) -> None:
    server = Refusing(FhirFatalError("unknown parameter", status=status))
    with pytest.raises(FhirFatalError, match=r"the server refused the cohort's search \(unknown parameter\)") as caught:
        members(Cohort(search="Encounter?class=IMP"), T, server, BASE)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "error",
    [FhirFatalError("no right to search", status=403), FhirTemporaryError("down", status=503)],
    ids=["403", "503"],
)
def test_every_other_refusal_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        members(Cohort(search="Encounter?class=IMP"), T, Refusing(error), BASE)
    assert caught.value is error


@pytest.mark.parametrize(
    ("cohort", "server", "message"),
    [
        (Cohort(search="Encounter?class=IMP"), Server(), "the cohort is empty: Encounter names no patient;"),
        (Cohort(search="Location?a=b"), Server([{"resourceType": "Location"}] * 3), r"\(3 entries without a usable"),
        (Cohort(group="Group/icu"), Server(group={"member": None}), "Group/icu names no patient"),
        (Cohort(group="Group/icu"), Server(group={"member": [member("Patient/a", inactive=True)]}), "Group/icu names"),
    ],
)
def test_a_cohort_without_a_patient_is_an_error_and_no_quiet_success(
    cohort: Cohort, server: Server, message: str
) -> None:
    with pytest.raises(FatalError, match=message):
        members(cohort, T, server, BASE)


class TestSearch:
    def test_the_shipped_search_asks_for_who_was_there_at_the_prediction_time(self) -> None:
        cohort = sepsis().cohort
        assert cohort is not None
        kind, params = parse_search(cohort.search or "", T)
        assert kind == "Encounter"
        assert params == [
            ("class", "IMP"),
            ("status", "arrived,triaged,in-progress,onleave,finished"),
            ("date", "le2026-03-10T12:00:00.000Z"),
            ("date", "ge2026-03-10T12:00:00.000Z"),
        ]

    def test_the_prediction_time_is_put_in_as_utc(self) -> None:
        there = datetime(2026, 3, 10, 8, tzinfo=timezone(timedelta(hours=-4)))
        assert parse_search("Encounter?date=le{prediction_time}", there)[1][0] == ("date", "le2026-03-10T12:00:00.000Z")

    @pytest.mark.parametrize(
        ("text", "params"),
        [
            ("Patient?active=true", [("active", "true")]),
            ("Patient?active=true&_count=50", [("active", "true"), ("_count", "50")]),
            ("Patient?name=", [("name", "")]),
            ("Patient?", []),
            (
                "Encounter?date=ge2026-03-10T00:00:00+01:00",
                [("date", "ge2026-03-10T00:00:00+01:00")],
            ),
            ("Encounter?identifier=s%7Cv%20w", [("identifier", "s|v w")]),
            ("Encounter?a=1&a=2", [("a", "1"), ("a", "2")]),
        ],
    )
    def test_parameters(self, text: str, params: list[tuple[str, str]]) -> None:
        assert parse_search(text, None)[1] == params

    @pytest.mark.parametrize(
        "text", ["", "Encounter", "encounter?a=b", "https://x/Encounter?a=b", "/Encounter?a=b", "?a=b"]
    )
    def test_what_is_no_search(self, text: str) -> None:
        with pytest.raises(FatalError, match="must read like Encounter"):
            parse_search(text, T)

    def test_a_search_that_needs_a_time_cannot_be_run_for_each_patients_latest(self) -> None:
        with pytest.raises(FatalError, match="needs a prediction time"):
            parse_search("Encounter?date=le{prediction_time}", None)

    def test_the_search_is_asked_as_parsed(self) -> None:
        server = Server([stay("Patient/a")])
        members(Cohort(search="Encounter?class=IMP"), None, server, BASE)
        assert server.asked == [("Encounter", [("class", "IMP")])]


class TestSplit:
    @pytest.mark.parametrize(
        ("count", "size", "most", "lengths"),
        [
            (0, 10, 5, []), (1, 10, 5, [1]), (10, 10, 5, [10]), (11, 10, 5, [10, 1]), (50, 10, 5, [10] * 5),
            (51, 10, 5, [11, 11, 11, 11, 7]), (3, 1, 1000, [1, 1, 1]), (3, 0, 1000, [1, 1, 1]), (3, -5, 1000, [1, 1, 1]),
            (7, 2, 1, [7]),
        ],
    )  # fmt: skip
    def test_lengths(self, count: int, size: int, most: int, lengths: list[int]) -> None:
        assert [len(batch) for batch in split([str(n) for n in range(count)], size, most)] == lengths

    @given(st.lists(st.text(max_size=3), max_size=60), st.integers(-2, 70), st.integers(1, 40))
    def test_everybody_is_in_one_batch_in_order_and_there_are_never_too_many(
        self, ids: list[str], size: int, most: int
    ) -> None:
        batches = split(ids, size, most)
        assert [one for batch in batches for one in batch] == ids
        assert len(batches) <= most
        assert all(batches)
