"""What is asked of a server: only the codes and days that a schema needs, and never less than what counts."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest
from tests.charts import LOINC, T, heart_rate_schema, schema_of, sepsis

from screening.queries import MARGIN, queries, query_of_key
from screening.schema import Schema
from screening.times import moment, span


def asked(schema: Schema, t: datetime | None = T) -> dict[str, list[tuple[str, str]]]:
    """Return the parameters of each search, by resource type; the Patient's read has none."""
    urls = queries(schema, "p.1", t)
    assert len({urlsplit(url).path for url in urls}) == len(urls)
    return {urlsplit(url).path: parse_qsl(urlsplit(url).query) for url in urls}


def test_the_patient_comes_first_and_is_read() -> None:
    assert queries(sepsis(), "p.1", T)[0] == "Patient/p.1"


def test_the_shipped_schema_asks_for_its_codes_of_its_days() -> None:
    found = asked(sepsis())
    assert list(found) == ["Patient/p.1", "Observation"]
    params = dict(found["Observation"])
    assert params["patient"] == "p.1"
    assert "_count" not in params  # the connection's page size is the client's to add
    wanted = {f"{c.system}|{c.code}" for feature in sepsis().features.values() for c in feature.codes}
    assert len(wanted) == 17
    assert params["code"].split(",") == sorted(wanted)
    dates = [value for name, value in found["Observation"] if name == "date"]
    assert dates == ["ge2026-03-07T22:00:00Z", "le2026-03-12T02:00:00Z"]


@pytest.mark.parametrize("lookback", ["1h", "24h", "7d"])
@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_the_days_asked_for_hold_every_date_that_can_count(lookback: str, hour: int) -> None:
    schema = heart_rate_schema(more=f"window: {{lookback: {lookback}}}")
    t = datetime(2026, 3, 10, hour, tzinfo=UTC)
    low, high = (datetime.fromisoformat(value[2:]) for name, value in asked(schema, t)["Observation"] if name == "date")
    assert schema.lookback is not None
    for offset in range(-20, 20):
        day = (t + timedelta(days=offset)).date().isoformat()
        found = span(day, None)
        assert isinstance(found, tuple)
        start, end = map(moment, found)
        if start > t - schema.lookback and end <= t:  # counts; a server compares it as a UTC day or as any other
            assert low <= start
            assert end <= high


def test_the_margin_is_a_day_without_a_zone() -> None:
    found = span("2026-03-10", None)
    assert isinstance(found, tuple)
    assert timedelta(microseconds=found[1] - found[0]) - timedelta(hours=12) < MARGIN


def test_the_mode_latest_asks_for_all_times() -> None:
    assert "date" not in dict(asked(sepsis(), None)["Observation"])


def test_without_a_window_only_the_future_is_left_out() -> None:
    dates = [v for name, v in asked(heart_rate_schema(more=""))["Observation"] if name == "date"]
    assert dates == ["le2026-03-12T02:00:00Z"]


ALL = schema_of(
    f"""
heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min}}
diabetes: {{fhir_resource: Condition, code: E11.9, code_system: icd}}
ordered: {{fhir_resource: MedicationRequest, code: "7980", code_system: rx}}
given: {{fhir_resource: MedicationAdministration, code: "7980", code_system: rx}}
stay: {{fhir_resource: Encounter, field: period, transform: hours_since_admission}}
"""
)


def test_every_kind_of_source_has_its_search_and_its_date_parameter() -> None:
    found = asked(ALL)
    dates = {kind: sorted({name for name, _ in params} & DATES) for kind, params in found.items()}
    assert dates == {
        "Patient/p.1": [], "Observation": ["date"], "Condition": [], "MedicationRequest": ["authoredon"],
        "MedicationAdministration": ["effective-time"], "Encounter": [],
    }  # fmt: skip
    assert dict(found["Condition"])["code"] == "icd|E11.9"
    assert dict(found["MedicationRequest"])["code"] == dict(found["MedicationAdministration"])["code"] == "rx|7980"
    assert found["Encounter"] == [("patient", "p.1")]


DATES = {"date", "authoredon", "effective-time", "recorded-date", "onset-date"}


def test_a_condition_is_asked_for_whatever_its_age() -> None:
    assert [name for name, _ in asked(ALL)["Condition"]] == ["patient", "code"]


@pytest.mark.parametrize(
    ("code", "token"),
    [
        ("a,b", "s|a\\,b"), ("a|b", "s|a\\|b"), ("a$b", "s|a\\$b"), ("a\\b", "s|a\\\\b"), ("a\\,b", "s|a\\\\\\,b"),
        ("a&b=c", "s|a&b=c"),
    ],
)  # fmt: skip
def test_what_separates_values_in_a_search_is_escaped(code: str, token: str) -> None:
    schema = schema_of(f"it: {{fhir_resource: Condition, code: '{code}', code_system: s}}", "")
    assert dict(asked(schema)["Condition"])["code"] == token


def test_a_code_that_feeds_two_features_is_asked_for_once() -> None:
    code = f"fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min"
    schema = schema_of(f"low: {{{code}, aggregate: min}}\nhigh: {{{code}, aggregate: max}}")
    assert dict(asked(schema)["Observation"])["code"] == f"{LOINC}|8867-4"


def test_the_prediction_time_may_be_told_in_any_zone() -> None:
    assert queries(sepsis(), "p", T.astimezone(ZoneInfo("Asia/Tokyo"))) == queries(sepsis(), "p", T)


def test_the_longest_window_that_a_schema_may_have_can_be_asked_for() -> None:
    params = asked(heart_rate_schema(more="window: {lookback: 36525d}"))["Observation"]
    assert params[2] == ("date", "ge1926-03-08T22:00:00Z")


def test_a_key_asks_as_the_whole_does_for_its_codes_alone() -> None:
    whole = dict(asked(sepsis())["Observation"])
    wanted: set[str] = set()
    for feature in sepsis().of("Observation"):
        path, _, query = query_of_key(sepsis(), feature.name, "p.1", T).partition("?")
        params = parse_qsl(query)
        assert path == "Observation"
        assert [(n, v) for n, v in params if n != "code"] == [(n, v) for n, v in asked(sepsis())[path] if n != "code"]
        wanted |= set(dict(params)["code"].split(","))
    assert wanted == set(whole["code"].split(","))


def test_a_key_of_each_kind_has_the_query_of_its_kind() -> None:
    urls = queries(ALL, "p.1", T)
    assert [query_of_key(ALL, key, "p.1", T) for key in ("patient", *ALL.features)] == urls
    assert "date" not in query_of_key(ALL, "heart_rate", "p.1", None)


def test_a_key_that_the_schema_has_not_is_a_defect() -> None:
    with pytest.raises(KeyError):
        query_of_key(ALL, "other", "p.1", T)
