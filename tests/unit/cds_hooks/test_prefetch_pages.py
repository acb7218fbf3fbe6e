"""A page that was cut is a part, unless it can be seen to hold the whole window."""

from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from tests.charts import T, bundle, heart_rate_schema, observation, schema_of, sepsis
from tests.unit.cds_hooks.hook_requests import hook_request

from cds_hooks.hook_request import parse
from cds_hooks.prefetch import Prefetch, sort_out
from screening.queries import MARGIN
from screening.schema import Schema

NEXT = "https://ehr.example.org/fhir?page=2"
BEYOND = 24 + MARGIN / timedelta(hours=1)
Json = dict[str, Any]


def sorted_out(page: Any, schema: Schema | None = None, t: datetime | None = T, key: str = "heart_rate") -> Prefetch:
    body = orjson.dumps(hook_request({key: page}))
    request = parse(body, ("patient-view",), strict_instance=True)
    return sort_out(request, schema or sepsis(), prediction_time=t, require_patient_match=True)


def partial(page: Any, *args: Any, **more: Any) -> dict[str, str | None]:
    found = sorted_out(page, *args, **more)
    assert (found.problems, found.no_data) == ({}, frozenset())
    return dict(found.partial)


def more_to_come(page: Json, url: Any = NEXT) -> Json:
    return page | {"link": [{"relation": "self", "url": "x"}, {"relation": "next", "url": url}]}


def hourly(count: int, every: float = 8.0, **more: Any) -> Json:
    """Make a page of heart rates, newest first."""
    return bundle(*(observation(value=60.0 + n / 100, hours=1 + n * every, **more) for n in range(count)))


def test_ch31_a_page_with_a_next_link_is_a_part_and_is_used() -> None:
    found = sorted_out(more_to_come(hourly(3)))
    assert found.partial == {"heart_rate": NEXT}
    assert len(found.contents) == 1
    assert NEXT not in repr(found)  # it may carry what is not ours to show


@pytest.mark.parametrize("url", [None, "", 5, {}])
def test_ch31_a_next_link_without_an_address_is_a_part(url: Any) -> None:
    assert partial(more_to_come(hourly(3), url)) == {"heart_rate": None}


def test_ch31_a_page_that_counts_more_than_it_holds_is_a_part() -> None:
    assert partial(hourly(3) | {"total": 4}) == {"heart_rate": None}
    assert partial(hourly(3) | {"total": 3}) == {}
    assert partial(hourly(3) | {"total": "4"}) == {}


@pytest.mark.parametrize("page", [more_to_come(bundle()), bundle() | {"total": 7}])
def test_ch31_an_empty_page_with_more_to_come_is_a_part_and_not_nothing(page: Json) -> None:
    found = sorted_out(page)
    assert list(found.partial) == ["heart_rate"]
    assert (found.no_data, found.contents) == (frozenset(), ())


@pytest.mark.parametrize(("count", "cut"), [(199, False), (200, True), (201, True)])
@pytest.mark.parametrize("listed", [False, True])
def test_ch31_a_page_as_long_as_the_template_lets_through_is_a_part(count: int, cut: bool, listed: bool) -> None:
    page = hourly(count, every=0.01)
    assert (partial([one["resource"] for one in page["entry"]] if listed else page) == {"heart_rate": None}) is cut


def test_ch31_what_is_only_included_does_not_count_as_found() -> None:
    page = hourly(150, every=0.01)
    page["entry"] += bundle(*(observation("wbc", n + 1.0) for n in range(100)), mode="include")["entry"]
    assert partial(page) == {}


def test_ch31_a_full_page_that_reaches_beyond_the_window_is_whole() -> None:
    assert partial(hourly(200, every=0.4)) == {}
    assert partial(more_to_come(hourly(12))) == {}
    assert partial(hourly(12) | {"total": 900}) == {}


@pytest.mark.parametrize(("hours", "whole"), [(BEYOND, True), (BEYOND + 0.01, True), (BEYOND - 0.01, False)])
def test_ch31_beyond_is_before_the_window_and_its_margin(hours: float, whole: bool) -> None:
    page = bundle(*(observation(hours=n) for n in [*range(1, 10), hours]))
    assert (partial(more_to_come(page)) == {}) is whole


@pytest.mark.parametrize("last", [
    "2026-03-01", "2026-03", "2026", "2026-03-01T10:00:00", "not a time", "", 5, None,
])  # fmt: skip
@pytest.mark.parametrize("place", [0, 5, -1])
def test_ch31_a_time_that_can_be_sorted_in_two_ways_proves_nothing(last: Any, place: int) -> None:
    page = hourly(12)
    page["entry"][place]["resource"]["effectiveDateTime"] = last
    assert partial(more_to_come(page)) == {"heart_rate": NEXT}


def test_ch31_a_period_proves_nothing() -> None:
    page = hourly(12)
    page["entry"][-1]["resource"]["effectivePeriod"] = {"start": "2026-02-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
    assert partial(more_to_come(page)) == {"heart_rate": NEXT}


def test_ch31_an_order_that_is_not_newest_first_proves_nothing() -> None:
    page = hourly(12)
    page["entry"][3], page["entry"][4] = page["entry"][4], page["entry"][3]
    assert partial(more_to_come(page)) == {"heart_rate": NEXT}
    assert partial(more_to_come(page | {"entry": hourly(12)["entry"][::-1]})) == {"heart_rate": NEXT}


def test_ch31_too_few_instants_prove_no_order() -> None:
    assert partial(more_to_come(hourly(7, every=20))) == {"heart_rate": NEXT}
    assert partial(more_to_come(hourly(8, every=20))) == {}
    same = bundle(*(observation(value=60.0 + n, hours=100) for n in range(20)))
    assert partial(more_to_come(same)) == {"heart_rate": NEXT}


def test_ch31_equal_times_are_in_order() -> None:
    page = bundle(*(observation(value=60.0 + n % 2, hours=1 + 8 * (n // 2)) for n in range(24)))
    assert partial(more_to_come(page)) == {}


def test_ch31_resources_of_another_kind_prove_nothing() -> None:
    page = hourly(12)
    page["entry"].append({"resource": {"resourceType": "Media", "effectiveDateTime": "2020-01-01T00:00:00Z"}})
    assert partial(more_to_come(page)) == {"heart_rate": NEXT}


def test_ch31_nothing_is_proven_without_a_prediction_time_or_a_window() -> None:
    assert partial(more_to_come(hourly(12)), t=None) == {"heart_rate": NEXT}
    unbounded = heart_rate_schema(more="description: all that was ever recorded")
    assert partial(more_to_come(hourly(12)), unbounded) == {"heart_rate": NEXT}
    long = heart_rate_schema(more="window: {lookback: 36525d}")
    assert partial(more_to_come(hourly(12)), long, t=T.replace(year=50)) == {"heart_rate": NEXT}


@pytest.mark.parametrize(
    ("kind", "time"), [("MedicationRequest", "authoredOn"), ("MedicationAdministration", "effectiveDateTime")]
)
def test_ch31_medications_have_their_own_times(kind: str, time: str) -> None:
    schema = schema_of(f"given: {{fhir_resource: {kind}, code: '1', code_system: 'http://x.org'}}")
    page = bundle(*({"resourceType": kind, time: (T - timedelta(hours=8 * n)).isoformat()} for n in range(12)))
    assert partial(more_to_come(page), schema, key="given") == {}
    page["entry"][-1]["resource"].pop(time)
    assert partial(more_to_come(page), schema, key="given") == {"given": NEXT}


def test_ch31_what_lasts_has_no_window_to_reach_beyond() -> None:
    schema = schema_of("ill: {fhir_resource: Condition, code: '1', code_system: 'http://x.org'}")
    page = bundle(
        *({"resourceType": "Condition", "effectiveDateTime": (T - timedelta(days=n)).isoformat()} for n in range(50))
    )
    assert partial(page, schema, key="ill") == {}
    assert partial(more_to_come(page), schema, key="ill") == {"ill": NEXT}
