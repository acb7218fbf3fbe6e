"""The schema YAML: what loads, what each key means, and what is refused with the path of its key."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts import LOINC, ROOT, sepsis

from screening.errors import SchemaError
from screening.schema import DESCRIBING, Schema, load_schema, parse_schema

LEAST = f"""
name: small
version: "1"
features:
  heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: bpm}}
"""
AGE = "fhir_resource: Patient, field: birthDate, transform: calculate_age"
CONDITION = f"fhir_resource: Condition, code: A41.9, code_system: {LOINC}"
OBSERVATION = f"fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min"


@pytest.fixture
def tutorial(real_data: Path) -> Path:
    return real_data / "healthchain-demo-patients/sepsis_vitals.yaml"


def problems(text: str) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        parse_schema(text)
    return caught.value.problems


def with_feature(body: str, more: str = "") -> str:
    return f"{LEAST}  extra: {{{body}}}\n{more}"


def plain(schema: Schema) -> dict[str, Any]:
    return schema.model_dump(mode="json", exclude_unset=True)


def test_the_least_schema_and_its_defaults() -> None:
    schema = parse_schema(LEAST)
    feature = schema.features["heart_rate"]
    assert (schema.name, schema.version, schema.feature_names) == ("small", "1", ("heart_rate",))
    assert schema.lookback is None
    assert (schema.min_observed, schema.missing, schema.preliminary) == (1, "insufficient", True)
    assert (schema.risk_levels.moderate, schema.risk_levels.high) == (0.4, 0.7)
    assert (feature.how, feature.unit, feature.required, feature.range) == ("mean", "/min", False, None)
    assert [(coding.system, coding.code) for coding in feature.codes] == [(LOINC, "8867-4")]


def test_the_tutorials_schema_loads_unchanged(tutorial: Path) -> None:
    schema = load_schema(tutorial)
    assert schema.feature_names == (
        "heart_rate", "temperature", "respiratory_rate", "wbc", "lactate", "creatinine", "age", "gender_encoded",
    )  # fmt: skip
    units = {name: feature.unit for name, feature in schema.features.items()}
    assert units == {
        "heart_rate": "/min", "temperature": "[degF]", "respiratory_rate": "/min", "wbc": "10*3/uL",
        "lactate": "[iU]/L", "creatinine": "mg/dL", "age": None, "gender_encoded": None,
    }  # fmt: skip
    assert all(feature.required and feature.range is None for feature in schema.features.values())
    assert [schema.features["lactate"].codes[0].code, schema.features["age"].transform] == ["50843", "calculate_age"]
    assert schema.metadata["event_date_strategy"] == "earliest"
    assert schema.lookback is None


def test_the_tutorials_vocabulary_and_ours_say_the_same() -> None:
    ours = LEAST.replace(
        "code: 8867-4, code_system: http://loinc.org", 'codes: [{system: "http://loinc.org", code: 8867-4}]'
    )
    assert ours != LEAST
    assert parse_schema(ours).features["heart_rate"].codes == parse_schema(LEAST).features["heart_rate"].codes


class TestTheShippedSchema:
    def test_every_observation_has_a_range_a_ucum_unit_and_an_aggregate(self) -> None:
        schema = sepsis()
        measured = schema.of("Observation")
        assert len(measured) == 6
        assert all(f.range is not None and f.aggregate == "mean" for f in measured)
        assert [f.unit for f in measured] == ["/min", "Cel", "/min", "10*3/uL", "mmol/L", "mg/dL"]

    def test_it_has_the_item_ids_of_mimic_code_and_none_of_the_peers_wrong_ones(self) -> None:
        items = {name: sorted(f.mimic.itemid) for name, f in sepsis().features.items() if f.mimic}
        assert items == {
            "heart_rate": [220045], "temperature": [223761, 223762], "respiratory_rate": [220210], "wbc": [51301],
            "lactate": [50813], "creatinine": [50912], "age": [], "gender_encoded": [],
        }  # fmt: skip

    def test_the_codes_of_the_fhir_side_name_the_same_items(self) -> None:
        for feature in sepsis().of("Observation"):
            assert feature.mimic is not None
            coded = {int(c.code) for c in feature.codes if "mimic" in c.system}
            assert coded == set(feature.mimic.itemid), feature.name
            table = {"chartevents": "mimic-chartevents-d-items", "labevents": "mimic-d-labitems"}[feature.mimic.table]
            assert all(c.system.endswith(table) for c in feature.codes if "mimic" in c.system)

    def test_no_code_feeds_two_features(self) -> None:
        pairs = [(c.system, c.code) for feature in sepsis().features.values() for c in feature.codes]
        assert len(pairs) == len(set(pairs))

    def test_what_it_lets_order_is_what_it_reads(self) -> None:
        orders = {f.name: f.order for f in sepsis().features.values() if f.order}
        assert set(orders) == {"wbc", "lactate", "creatinine"}
        for name, order in orders.items():
            assert (order.system, order.code) in [(c.system, c.code) for c in sepsis().features[name].codes]
            assert order.display

    def test_the_champion_fits_the_shipped_schema_whatever_the_cards_show(self) -> None:
        manifest = json.loads((ROOT / "include/models/sepsis/1.0.0/manifest.json").read_text(encoding="utf-8"))
        assert sepsis().fingerprint() == manifest["schema_sha256"]

    def test_what_it_asks_for(self) -> None:
        schema = sepsis()
        assert schema.lookback == timedelta(hours=24)
        assert (schema.min_observed, schema.missing) == (3, "insufficient")
        assert [f.name for f in schema.features.values() if f.required] == ["heart_rate", "respiratory_rate", "age"]
        assert schema.outcome is not None
        assert schema.outcome.code == "A41.9"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("24h", timedelta(hours=24)), ("90m", timedelta(minutes=90)), ("90min", timedelta(minutes=90)),
     ("1.5d", timedelta(hours=36)), (" 6 h ", timedelta(hours=6)), ("1m", timedelta(minutes=1)),
     ("36525d", timedelta(days=36525))],
)  # fmt: skip
def test_lookback(text: str, expected: timedelta) -> None:
    assert parse_schema(f"{LEAST}window: {{lookback: '{text}'}}\n").lookback == expected


@pytest.mark.parametrize(
    "text",
    ["'24'", "24", "0h", "0.0d", "-1h", "24H", "1w", "24 hours", "1e3h", "''", "0.0000001m", "36526d", "9" * 400 + "d"],
)
def test_what_is_no_lookback(text: str) -> None:
    (problem,) = problems(f"{LEAST}window: {{lookback: {text}}}\n")
    assert problem.startswith("window.lookback: ")


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (LEAST + "size: 3\n", "size", "unknown key"),
        (LEAST + "window: {lookback: 24h, lookahead: 1h}\n", "window.lookahead", "unknown key"),
        (LEAST.replace("unit: bpm", "unit: bpm, colour: red"), "features.heart_rate.colour", "unknown key"),
        (LEAST + "outcome: {system: s, code: c, text: t}\n", "outcome.text", "unknown key"),
        (with_feature("fhir_resource: Observation, unit: /min, codes: [{system: s, code: c, version: v}]"),
         "features.extra.codes.0.version", "unknown key"),
        (with_feature(f"{OBSERVATION}, mimic: {{table: chartevents, itemid: [1], item: [1]}}"),
         "features.extra.mimic.item", "unknown key"),
        (LEAST.replace("name: small\n", ""), "name", "is missing"),
        (LEAST.replace('version: "1"', ""), "version", "is missing"),
        ("name: small\nversion: '1'\n", "features", "is missing"),
        (LEAST.replace('"1"', "1.0"), "version", "must be text, not 1.0: quote it"),
        (LEAST.replace("8867-4", "220045"), "features.heart_rate.code", "must be text, not 220045: quote it"),
        (with_feature("fhir_resource: Observation, unit: /min, codes: [{system: s, code: 220045}]"),
         "features.extra.codes.0.code", "must be text, not 220045: quote it"),
        (LEAST.replace("name: small", "name: 9lives"), "name", "pattern"),
        (LEAST.replace("name: small", "name: a/b"), "name", "pattern"),
        (LEAST.replace("unit: bpm", "unit: furlong"), "features.heart_rate.unit", "'furlong' is unknown"),
        (LEAST.replace("Observation", "Specimen"), "features.heart_rate.fhir_resource", "Observation"),
        (with_feature(f"{OBSERVATION}, order: 2160-0"), "features.extra.order", "valid dictionary"),
        (with_feature(f"{OBSERVATION}, order: {{system: s}}"), "features.extra.order.code", "is missing"),
        (with_feature(f"{OBSERVATION}, order: {{system: s, code: ''}}"), "features.extra.order.code", "at least 1"),
        (LEAST + "only_screened: 1\n", "only_screened", "boolean"),
        (LEAST + "title: [Sepsis]\n", "title", "must be text"),
        (LEAST + "min_observed: 0\n", "min_observed", "greater than or equal to 1"),
        (LEAST + "min_observed: true\n", "min_observed", "integer"),
        (LEAST + "min_observed: 2\n", "top level", "only 1 features are observed"),
        (LEAST + "missing: guess\n", "missing", "insufficient"),
        (LEAST + "preliminary: 'no'\n", "preliminary", "boolean"),
        (LEAST + "risk_levels: {moderate: 0.7, high: 0.4}\n", "risk_levels", "moderate must be below high"),
        (LEAST + "risk_levels: {moderate: 0.5, high: 0.5}\n", "risk_levels", "moderate must be below high"),
        (LEAST + "risk_levels: {moderate: 0, high: 0.5}\n", "risk_levels.moderate", "greater than 0"),
        (LEAST + "risk_levels: {moderate: .nan, high: 0.5}\n", "risk_levels.moderate", "less than 1"),
        (LEAST + "risk_levels: {high: 70}\n", "risk_levels.high", "less than 1"),
        (LEAST + "cohort: {}\n", "cohort", "exactly one"),
        (LEAST + "cohort: {group: Group/a, patient_ids: [p]}\n", "cohort", "exactly one"),
        (LEAST + "cohort: {group: icu}\n", "cohort.group", "pattern"),
        (LEAST + "cohort: {patient_ids: []}\n", "cohort.patient_ids", "at least 1"),
        (LEAST + "cohort: {patient_ids: [7]}\n", "cohort.patient_ids.0", "must be text, not 7: quote it"),
        (LEAST + "schedule: '0 2 * * *'\n", "top level", "also needs model, outcome and cohort"),
        (LEAST + "model: ../elsewhere\n", "model", "pattern"),
        (with_feature(f"{OBSERVATION}, molar_mass: 0"), "features.extra.molar_mass", "greater than 0"),
        (with_feature(f"{OBSERVATION}, molar_mass: .inf"), "features.extra.molar_mass", "finite"),
        (with_feature(f"{OBSERVATION}, range: [300, 1]"), "features.extra", "low below high"),
        (with_feature(f"{OBSERVATION}, range: [1, 1]"), "features.extra", "low below high"),
        (with_feature(f"{OBSERVATION}, range: [.nan, 1]"), "features.extra", "low below high"),
        (with_feature(f"{OBSERVATION}, range: [1]"), "features.extra.range.1", "is missing"),
        (with_feature(f"{OBSERVATION}, aggregate: average"), "features.extra.aggregate", "'mean'"),
        (with_feature(f"{OBSERVATION}, dtype: float16"), "features.extra.dtype", "float64"),
        (with_feature("fhir_resource: Patient, field: name, transform: calculate_age"), "features.extra.field", "birthDate"),
        ("name: s\nversion: '1'\nfeatures: {}\n", "features", "at least one feature"),
        ("name: s\nversion: '1'\nfeatures: [heart_rate]\n", "features", "at least one feature"),
        (LEAST + "  empty:\n", "features.empty", "valid dictionary"),
        (with_feature(f"{OBSERVATION}, name: other"), "features", "a feature's name is its key"),
        (LEAST.replace("  heart_rate:", '  " heart_rate":'), "features", "no white space around it"),
        (LEAST.replace("  heart_rate:", "  encounter:"), "features", "none of patient_id"),
        (LEAST.replace("  heart_rate:", "  standing:"), "features", "none of patient_id"),
        (f"name: s\nversion: '1'\nfeatures:\n  age: {{{AGE}}}\n",
         "top level", "Patient fields alone scores no data"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(text: str, path: str, message: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"{path}: ")
    assert message in problem


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("fhir_resource: Observation, unit: /min", "need code with code_system, or codes"),
        ("fhir_resource: Observation, unit: /min, codes: []", "need code with code_system, or codes"),
        ("fhir_resource: Observation, unit: /min, code: c", "code and code_system go together"),
        ("fhir_resource: Observation, unit: /min, code_system: s, codes: [{system: s, code: c}]", "go together"),
        ("fhir_resource: Observation, unit: /min, code: c, code_system: s, codes: [{system: s, code: d}]", "not both"),
        ("fhir_resource: Observation, code: c, code_system: s", "an Observation feature needs unit"),
        (f"{OBSERVATION}, field: birthDate", "field has no effect on an Observation feature"),
        (f"{OBSERVATION}, transform: encode_gender", "transform has no effect on an Observation feature"),
        (f"{OBSERVATION}, aggregate: present", "present is for Condition and medication"),
        (f"{OBSERVATION}, aggregate: count, required: true", "required has no effect with aggregate count"),
        (f"{OBSERVATION}, molar_mass: 90.08", "molar_mass has no effect: /min is no concentration"),
        ("fhir_resource: Observation, code: c, code_system: s, aggregate: count, range: [1, 2]", "range has no effect"),
        (
            "fhir_resource: Observation, code: c, code_system: s, aggregate: count, assume_unit: true",
            "assume_unit has no",
        ),
        (f"{OBSERVATION}, aggregate: count, order: {{system: s, code: c}}", "order has no effect with aggregate count"),
        (f"{CONDITION}, order: {{system: s, code: c}}", "order has no effect on a Condition feature"),
        (f"{AGE}, order: {{system: s, code: c}}", "order has no effect on a Patient feature"),
        (
            "fhir_resource: Encounter, field: period, transform: hours_since_admission, order: {system: s, code: c}",
            "order has no effect on an Encounter feature",
        ),
        (f"{CONDITION}, unit: mg/dL", "unit has no effect on a Condition feature"),
        (f"{CONDITION}, range: [0, 1]", "range has no effect on a Condition feature"),
        (f"{CONDITION}, assume_unit: true", "assume_unit has no effect"),
        (f"{CONDITION}, molar_mass: 5", "molar_mass has no effect"),
        (f"{CONDITION}, field: gender", "field has no effect"),
        (f"{CONDITION}, required: true", "required has no effect with aggregate present: absence is the value 0"),
        (f"{CONDITION}, aggregate: mean", "can be aggregated by present or count"),
        ("fhir_resource: MedicationRequest", "need code with code_system, or codes"),
        ("fhir_resource: MedicationAdministration, code: c, code_system: s, aggregate: last", "by present or count"),
        ("fhir_resource: Patient", "needs field: birthDate or gender"),
        ("fhir_resource: Patient, field: period, transform: hours_since_admission", "needs field: birthDate or gender"),
        ("fhir_resource: Patient, field: birthDate", "needs transform: calculate_age"),
        ("fhir_resource: Patient, field: birthDate, transform: encode_gender", "needs transform: calculate_age"),
        ("fhir_resource: Patient, field: gender, transform: calculate_age", "needs transform: encode_gender"),
        ("fhir_resource: Patient, field: gender, transform: encode_gender, unit: mg/dL", "gender has no unit"),
        ("fhir_resource: Patient, field: birthDate, transform: calculate_age, unit: d", "field birthDate is in a"),
        (
            "fhir_resource: Patient, field: gender, transform: encode_gender, range: [0, 1]",
            "range has no effect on a Patient",
        ),
        ("fhir_resource: Patient, field: gender, transform: encode_gender, aggregate: last", "aggregate has no effect"),
        (
            "fhir_resource: Patient, field: gender, transform: encode_gender, codes: [{system: s, code: c}]",
            "codes has no",
        ),
        ("fhir_resource: Encounter", "an Encounter feature needs field: period"),
        ("fhir_resource: Encounter, field: period", "needs transform: hours_since_admission"),
        (
            "fhir_resource: Encounter, field: period, transform: hours_since_admission, unit: min",
            "field period is in h",
        ),
        (
            "fhir_resource: Encounter, field: period, transform: hours_since_admission, aggregate: max",
            "aggregate has no",
        ),
    ],
)
def test_keys_without_effect_and_keys_that_lack_are_refused(body: str, message: str) -> None:
    (problem,) = problems(with_feature(body))
    assert problem.startswith("features.extra: ")
    assert message in problem


@pytest.mark.parametrize(
    "body",
    [
        f"{CONDITION}, aggregate: count",
        CONDITION,
        f"fhir_resource: MedicationRequest, code: c, code_system: {LOINC}",
        f"fhir_resource: MedicationAdministration, code: c, code_system: {LOINC}, aggregate: present",
        "fhir_resource: Encounter, field: period, transform: hours_since_admission, unit: hours, required: true",
        "fhir_resource: Patient, field: birthDate, transform: calculate_age, unit: years, dtype: int64",
        "fhir_resource: Patient, field: gender, transform: encode_gender, mimic: {table: patients}",
        "fhir_resource: Observation, code: c, code_system: s, aggregate: count",
        f"{OBSERVATION}, aggregate: delta, range: [1, 300], display: Change",
        f"{OBSERVATION}, order: {{system: {LOINC}, code: 8867-4}}",
        f"{OBSERVATION.replace('/min', 'mg/dL')}, molar_mass: 113.12, assume_unit: true, range: [0.1, 150]",
    ],
)
def test_what_each_kind_of_source_may_say(body: str) -> None:
    assert parse_schema(with_feature(body)).feature_names == ("heart_rate", "extra")


def test_all_problems_at_once() -> None:
    text = f"""
name: small
version: 1
colour: red
min_observed: 99
window: {{lookback: soon}}
risk_levels: {{moderate: 2, high: 0.5}}
features:
  heart_rate: {{fhir_resource: Observation, code: 220045, code_system: {LOINC}, unti: bpm}}
  lactate: {{fhir_resource: Observation, code: "1", code_system: {LOINC}, unit: furlong, shade: blue}}
  age: {{fhir_resource: Patient, field: birthDate, hue: green}}
"""
    found = {problem.split(": ")[0] for problem in problems(text)}
    assert found == {
        "version", "colour", "window.lookback", "risk_levels.moderate", "features.heart_rate.code",
        "features.heart_rate.unti", "features.lactate.unit", "features.lactate.shade", "features.age.hue",
        "features.age",
    }  # fmt: skip


def test_an_unknown_key_hides_nothing_else() -> None:
    assert problems(with_feature("fhir_resource: Patient, field: birthDate, shade: blue", "schedule: daily\n")) == [
        "features.extra.shade: unknown key; remove it or mend its spelling",
        "features.extra: field birthDate needs transform: calculate_age",
    ]
    assert problems(f"{LEAST}colour: red\nmin_observed: 9\n") == [
        "colour: unknown key; remove it or mend its spelling",
        "top level: min_observed: 9, but only 1 features are observed",
    ]


def test_an_unknown_key_behind_a_yaml_alias_is_told_for_each_place() -> None:
    body = f"{{{OBSERVATION}, shade: blue}}"
    text = f"name: s\nversion: '1'\nfeatures:\n  a: &a {body}\n  b: *a\n"
    assert [problem.split(":")[0] for problem in problems(text)] == ["features.a.shade", "features.b.shade"]


def test_the_error_names_its_file_and_counts() -> None:
    with pytest.raises(SchemaError, match=re.escape("wards.yaml: 1 problem(s):\n  - size: unknown key")):
        parse_schema(LEAST + "size: 3\n", "wards.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LEAST + "name: other\n", "line 6, column 1: not readable as YAML: key 'name' stands twice"),
        (LEAST + f"  heart_rate: {{{OBSERVATION}}}\n", "key 'heart_rate' stands twice"),
        (LEAST.replace("unit: bpm", "unit: bpm, unit: /min"), "key 'unit' stands twice"),
        (LEAST + "on: true\n", "key True is not text: quote it"),
        (LEAST + "  7: {}\n", "key 7 is not text: quote it"),
        (LEAST + "? [a, b]\n: c\n", "is not text: quote it"),
        (LEAST + "model: [\n", "not readable as YAML"),
        (LEAST + "model: 2026-13-45\n", "not readable as YAML: month must be in 1..12"),
        (LEAST + "model: !!python/object:os.system {}\n", "not readable as YAML"),
        (LEAST + "model: \x00\n", "not readable as YAML"),
        ("a: &a {b: *a}\n", "not readable as YAML"),
        ("", "the file is empty or is no mapping; it needs name, version and features"),
        ("- name: small\n", "the file is empty or is no mapping; it needs name, version and features"),
        ("just words\n", "the file is empty or is no mapping; it needs name, version and features"),
    ],
)
def test_yaml_that_does_not_say_one_clear_thing_is_refused(text: str, message: str) -> None:
    (problem,) = problems(text)
    assert message in problem


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"gone\.yaml: 1 problem\(s\):\n  - no such file"):
        load_schema(tmp_path / "gone.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: grün\n".encode("latin-1"))
    with pytest.raises(SchemaError, match="cannot be read as UTF-8 text: UnicodeDecodeError"):
        load_schema(latin)
    with pytest.raises(SchemaError, match="cannot be read as UTF-8 text: IsADirectoryError"):
        load_schema(tmp_path)


def test_a_file_and_its_text_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(LEAST)
    assert load_schema(path) == load_schema(str(path)) == parse_schema(LEAST)


def leaves(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(node, dict) and node:
        return [leaf for key, part in node.items() for leaf in leaves(part, (*path, str(key)))]
    return [path]


FULL = f"""
name: small
version: "1"
title: Kidney
description: about
model_info: {{target: sepsis}}
metadata: {{age_calculation: event_date}}
outcome: {{system: s, code: A41.9, display: Sepsis}}
model: small
window: {{lookback: 24h}}
min_observed: 1
risk_levels: {{moderate: 0.3, high: 0.6}}
missing: impute
preliminary: false
cohort: {{search: "Patient?active=true"}}
schedule: "@daily"
only_screened: true
features:
  creatinine:
    fhir_resource: Observation
    codes: [{{system: {LOINC}, code: 2160-0, display: Creatinine}}]
    mimic: {{table: labevents, itemid: [50912]}}
    unit: mg/dL
    molar_mass: 113.12
    range: [0.1, 150]
    aggregate: last
    assume_unit: true
    required: true
    dtype: float32
    display: Creatinine
    order: {{system: {LOINC}, code: 2161-8, display: Creatinine in urine}}
"""
CHANGES: list[tuple[str, str, bool]] = [
    # what stands, what stands instead, whether it can change a score or what is told beside it
    ("title: Kidney", "title: Other", False),
    ("description: about", "description: other", False),
    ("target: sepsis", "target: other", False),
    ("age_calculation: event_date", "age_calculation: other", False),
    ("display: Sepsis", "display: Other", False),
    ("code: 2160-0, display: Creatinine", "code: 2160-0, display: Other", False),
    ("    display: Creatinine", "    display: Other", False),
    ("dtype: float32", "dtype: float64", False),
    ("active=true", "active=false", False),
    ("@daily", "@weekly", False),
    ("only_screened: true", "only_screened: false", False),
    ("code: 2161-8", "code: 2160-8", False),
    (", display: Creatinine in urine", "", False),
    ("name: small", "name: other", True),
    ('version: "1"', 'version: "2"', True),
    ("code: A41.9", "code: A41.5", True),
    ("model: small", "model: other", True),
    ("24h", "48h", True),
    ("moderate: 0.3", "moderate: 0.2", True),
    ("missing: impute", "missing: insufficient", True),
    ("preliminary: false", "preliminary: true", True),
    ("code: 2160-0", "code: 38483-4", True),
    ("itemid: [50912]", "itemid: [50813]", True),
    ("unit: mg/dL", "unit: umol/L", True),
    ("molar_mass: 113.12", "molar_mass: 113", True),
    ("[0.1, 150]", "[0.1, 15]", True),
    ("aggregate: last", "aggregate: max", True),
    ("assume_unit: true", "assume_unit: false", True),
    ("required: true", "required: false", True),
]


@pytest.mark.parametrize(("old", "new", "matters"), CHANGES, ids=lambda value: str(value).strip())
def test_the_fingerprint_changes_with_all_that_matters_and_with_nothing_else(old: str, new: str, matters: bool) -> None:
    assert FULL.count(old) == 1 or old in ("model: small", "name: small", "code: 2160-0", 'version: "1"')
    changed = parse_schema(FULL.replace(old, new, 1))
    assert changed != parse_schema(FULL)
    assert (changed.fingerprint() != parse_schema(FULL).fingerprint()) is matters


def test_the_fingerprint_tells_the_order_of_features_and_not_the_layout_of_the_yaml() -> None:
    two = yaml.safe_load(FULL)
    two["features"]["heart_rate"] = yaml.safe_load(LEAST)["features"]["heart_rate"]
    turned = two | {"features": dict(reversed(two["features"].items()))}
    texts = [yaml.safe_dump(two, sort_keys=False, default_flow_style=flow) for flow in (True, False)]
    assert parse_schema(texts[0]).fingerprint() == parse_schema(texts[1]).fingerprint()
    assert parse_schema(yaml.safe_dump(turned, sort_keys=False)).fingerprint() != parse_schema(texts[0]).fingerprint()


def test_every_describing_key_is_in_the_full_schema_above_and_accepted() -> None:
    data = yaml.safe_load(FULL)
    data["features"] = {"*": data["features"]["creatinine"]}
    data["features"]["*"]["codes"] = {"*": data["features"]["*"]["codes"][0]}
    known = {".".join(path[:length]) for path in leaves(data) for length in range(1, len(path) + 1)}
    assert set(DESCRIBING) <= known


def test_a_schema_cannot_be_changed_once_it_is_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_schema(LEAST).min_observed = 5


def test_of_names_the_features_of_a_resource_in_order() -> None:
    schema = sepsis()
    assert [f.name for f in schema.of("Patient")] == ["age", "gender_encoded"]
    assert [f.name for f in schema.of("Patient", "Observation")] == list(schema.feature_names)
    assert schema.of("Encounter") == ()


@pytest.mark.parametrize(
    ("name", "title", "heading"),
    [
        ("sepsis", "Sepsis", "Sepsis"),
        ("icu_sepsis", "", "Icu sepsis"),
        ("kidney", "  Acute\n kidney injury ", "Acute kidney injury"),
        ("A", " ", "A"),
    ],
)
def test_what_is_screened_for_in_words(name: str, title: str, heading: str) -> None:
    schema = parse_schema(LEAST.replace("name: small", f"name: {name}") + f"title: {json.dumps(title)}\n")
    assert schema.heading == heading


def test_a_surrounding_blank_in_a_code_is_no_part_of_it() -> None:
    schema = parse_schema(LEAST.replace("8867-4", "' 8867-4 '"))
    assert plain(schema)["features"]["heart_rate"]["codes"] == [{"system": LOINC, "code": "8867-4"}]


CHART = "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-chartevents-d-items"
SOURCES = [
    # codes screening matches, what training would read, the refusal (T1: one YAML, and it cannot contradict itself)
    (f'[{{system: "{CHART}", code: "220045"}}]', "{table: chartevents, itemid: [220045]}", None),
    (f'[{{system: "{LOINC}", code: 8867-4}}]', "{table: chartevents, itemid: [220045]}", None),
    (f'[{{system: "{CHART}", code: "220045"}}]', "{table: chartevents, itemid: [220050]}", "220050, screening matches"),
    (f'[{{system: "{CHART}", code: "220045"}}]', "{table: labevents, itemid: [220045]}", "would read labevents"),
    (f'[{{system: "{CHART}", code: "220045"}}]', "{table: chartevents, itemid: [220045, 220046]}", "name the same"),
    (f'[{{system: "{LOINC}", code: 8867-4}}]', "{table: chartevents}", "needs table: chartevents or labevents"),
    (f'[{{system: "{LOINC}", code: 8867-4}}]', "{table: patients}", "needs table: chartevents or labevents"),
]


@pytest.mark.parametrize(("codes", "mimic", "refusal"), SOURCES)
def test_training_reads_the_items_that_screening_matches(codes: str, mimic: str, refusal: str | None) -> None:
    text = with_feature(f"fhir_resource: Observation, codes: {codes}, unit: /min, mimic: {mimic}")
    if refusal is None:
        assert parse_schema(text).features["extra"].mimic is not None
    else:
        with pytest.raises(SchemaError, match=r"features\.extra: mimic") as error:
            parse_schema(text)
        assert refusal in str(error.value)


def test_training_cannot_read_a_condition_from_mimic() -> None:
    text = with_feature(
        "fhir_resource: Condition, codes: [{system: s, code: c}], mimic: {table: chartevents, itemid: [1]}"
    )
    with pytest.raises(SchemaError, match="mimic has no effect on a Condition feature"):
        parse_schema(text)
