"""The EHR is asked for what the schema needs, in words that a CDS Hooks 2.0 client understands, and for nothing else."""

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.charts import LOINC, heart_rate_schema, schema_of, sepsis

from cds_hooks.prefetch_templates import keys, page_size, templates
from screening.errors import SchemaError
from screening.queries import MARGIN
from screening.schema import Schema, load_schema

TOKEN = re.compile(r"\{\{(.*?)\}\}")
ALL_KINDS = f"""
pulse: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min, aggregate: last}}
diabetes: {{fhir_resource: Condition, code: "44054006", code_system: "http://snomed.info/sct"}}
ordered: {{fhir_resource: MedicationRequest, code: "7052", code_system: "http://www.nlm.nih.gov/research/umls/rxnorm"}}
given: {{fhir_resource: MedicationAdministration, code: "7052", code_system: "http://www.nlm.nih.gov/research/umls/rxnorm"}}
hours_in: {{fhir_resource: Encounter, field: period, transform: hours_since_admission}}
age: {{fhir_resource: Patient, field: birthDate, transform: calculate_age}}
"""
NO_WINDOW = "description: all that was ever recorded"


def all_kinds(more: str = "window: {lookback: 24h}") -> Schema:
    return schema_of(ALL_KINDS, more)


def params(template: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(template).query, strict_parsing=True)


def test_ch08_a_key_for_the_patient_and_one_a_feature_named_like_it() -> None:
    found = templates(sepsis())
    features = ["heart_rate", "temperature", "respiratory_rate", "wbc", "lactate", "creatinine"]
    assert list(found) == list(keys(sepsis())) == ["patient", *features]
    assert found["patient"] == "Patient/{{context.patientId}}"


def test_ch07_an_observation_is_asked_for_by_its_codes_newest_first() -> None:
    assert templates(sepsis())["wbc"] == (
        "Observation?patient={{context.patientId}}&code=http://loinc.org|26464-8,http://loinc.org|6690-2,"
        "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-d-labitems|51301&_sort=-date&_count=200"
    )


def test_every_kind_of_feature_has_its_search() -> None:
    code = "http://www.nlm.nih.gov/research/umls/rxnorm|7052"
    whose = ("patient", "{{context.patientId}}")
    found = {key: (urlsplit(text).path, params(text)) for key, text in templates(all_kinds()).items() if "?" in text}
    assert found == {
        "pulse": ("Observation", [whose, ("code", f"{LOINC}|8867-4"), ("_sort", "-date"), ("_count", "200")]),
        "diabetes": ("Condition", [whose, ("code", "http://snomed.info/sct|44054006"), ("_count", "100")]),
        "ordered": ("MedicationRequest", [whose, ("code", code), ("_sort", "-authoredon"), ("_count", "200")]),
        "given": ("MedicationAdministration", [whose, ("code", code), ("_sort", "-effective-time"), ("_count", "200")]),
        "hours_in": ("Encounter", [whose, ("_sort", "-date"), ("_count", "100")]),
    }


@pytest.mark.parametrize("schema", [sepsis(), all_kinds(), all_kinds(NO_WINDOW)], ids=["sepsis", "kinds", "no window"])
def test_ch05_ch06_ch09_ch10_every_template_keeps_to_the_standard(schema: Schema) -> None:
    for key, template in templates(schema).items():
        assert TOKEN.findall(template) == ["context.patientId"]
        if key == "patient":
            continue
        kind, query = urlsplit(template).path, params(template)
        assert {name for name, _ in query} <= {"patient", "code", "_sort", "_count"}
        assert len({name for name, _ in query}) == len(query)
        assert "code" in dict(query) or kind == "Encounter"
        assert "sort:" not in template


@pytest.mark.parametrize("schema", [sepsis(), all_kinds(), all_kinds(NO_WINDOW)])
def test_ch07_no_template_needs_a_token_of_cds_hooks_3(schema: Schema) -> None:
    assert "today" not in "".join(templates(schema).values())


def test_ch07_days_are_bounded_where_that_is_wanted_and_the_window_has_a_bound() -> None:
    plain, bounded = templates(all_kinds()), templates(all_kinds(), today=True)
    dates = {"pulse": "date", "ordered": "authoredon", "given": "effective-time"}
    for key, template in bounded.items():
        more = f"&{dates[key]}=ge{{{{today() - 4 days}}}}&_sort" if key in dates else "&_sort"
        assert template == plain[key].replace("&_sort", more)
    assert templates(all_kinds(NO_WINDOW), today=True) == templates(all_kinds(NO_WINDOW))


@pytest.mark.parametrize("lookback", ["1h", "10h", "24h", "48h", "7d", "30d"])
def test_ch07_the_days_asked_for_hold_the_window_and_its_margin_wherever_today_is(lookback: str) -> None:
    schema = heart_rate_schema(more=f"window: {{lookback: {lookback}}}")
    assert schema.lookback is not None
    (days,) = map(int, re.findall(r"today\(\) - (\d+) days", templates(schema, today=True)["heart_rate"]))
    for hour in range(24):
        now = datetime(2026, 3, 10, hour, 59, tzinfo=UTC)
        for zone in range(-12, 15):  # the EHR's day begins where it stands
            midnight = (now + timedelta(hours=zone)).replace(hour=0, minute=0) - timedelta(hours=zone)
            assert midnight - timedelta(days=days) <= now - schema.lookback - MARGIN


@pytest.mark.parametrize(("lookback", "size"), [("1h", 150), ("24h", 200), ("48h", 300), ("7d", 650), ("30d", 1000)])
def test_a_page_holds_the_window_and_its_margin_at_three_values_an_hour(lookback: str, size: int) -> None:
    schema = heart_rate_schema(more=f"window: {{lookback: {lookback}}}")
    assert page_size(schema, schema.features["heart_rate"]) == size
    assert schema.lookback is not None
    hours = (schema.lookback + MARGIN) / timedelta(hours=1)
    assert size >= min(1000, math.ceil(3 * hours))


def test_a_schema_without_a_window_asks_for_much() -> None:
    assert templates(heart_rate_schema(more=NO_WINDOW))["heart_rate"].endswith("&_count=1000")


@pytest.mark.parametrize(
    "code", ["a,b", "a|b", "a$b", "a\\b", "a&b=c", "a+b c", "{{context.userId}}", "a#b", "a%2Cb", "ä"]
)
def test_what_a_code_is_made_of_changes_no_template(code: str) -> None:
    lines = f"pulse: {{fhir_resource: Observation, codes: [{{system: '{LOINC}', code: '{code}'}}], unit: /min}}"
    template = templates(schema_of(lines))["pulse"]
    assert TOKEN.findall(template) == ["context.patientId"]
    assert template.isascii()
    assert " " not in template
    asked = dict(params(template))
    assert set(asked) == {"patient", "code", "_sort", "_count"}
    system, _, found = asked["code"].partition("|")
    assert system == LOINC
    assert re.sub(r"\\([\\,|$])", r"\1", found) == code


@pytest.mark.parametrize("name", ["patient", "Patient", "PATIENT", "{{context.userId}}", "a}}"])
def test_a_name_that_would_be_taken_for_another_key_is_refused(name: str) -> None:
    lines = f"'{name}': {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min}}"
    with pytest.raises(SchemaError, match="as a prefetch key"):
        templates(schema_of(lines))


def test_a_patient_field_has_no_key_whatever_its_name() -> None:
    schema = schema_of(
        f"""
patient: {{fhir_resource: Patient, field: gender, transform: encode_gender}}
pulse: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min}}
"""
    )
    assert list(templates(schema)) == ["patient", "pulse"]


def test_ch08_the_tutorials_schema_has_the_keys_of_its_files(real_data: Path) -> None:
    path = real_data / "healthchain-demo-patients" / "sepsis_vitals.yaml"
    assert list(templates(load_schema(path))) == list(keys(sepsis()))
