"""Whatever a server sends, reading does not fail, and one broken resource costs nobody else."""

import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.charts import T, observation, patient, rule_bundle, sepsis

from screening.features import featurize
from screening.readers.fhir import read
from screening.scoring import score

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**63]),
    st.floats(),
    st.text(alphabet=st.characters(), max_size=8),
    st.sampled_from(
        [
            "\ud800",
            "Patient/p",
            "urn:uuid:x",
            "9999-12-31",
            "0001-01-01",
            "2026-03-10T11:00:00Z",
            "final",
            "/min",
            "9" * 5000,
        ]
    ),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["coding", "system", "code", "value", "unit", "reference", "start", "end", "versionId", "lastUpdated", "type",
             "resource", "entry", "search", "mode", "resourceType", "fullUrl"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip
GOOD = [
    patient("good"),
    observation(who="good"),
    observation("wbc", 9.0, who="good"),
    observation("lactate", 2.0, who="good"),
]
FIELDS = [
    "id", "meta", "status", "code", "subject", "focus", "effectiveDateTime", "effectivePeriod", "effectiveInstant",
    "issued", "valueQuantity", "component", "modifierExtension", "implicitRules", "encounter", "dataAbsentReason",
    "birthDate", "gender", "deceasedDateTime", "deceasedBoolean", "link", "resourceType", "period",
]  # fmt: skip


def good_row(content: list[Any]) -> dict[str, Any]:
    """Take all the way to the matrix and the score, and return the row of the patient whose data is sound."""
    reading = read(content, sepsis(), patient_ids=["p", "good"])
    found = featurize(reading, sepsis(), T, patient_ids=["good", "p"])
    results = score(found, sepsis(), rule_bundle())
    assert [one.patient_id for one in results] == ["good", "p"]
    numbers = found.rows[list(sepsis().feature_names)].to_numpy()
    assert not np.isinf(numbers).any()
    featurize(reading, sepsis(), "latest")
    return dict(found.rows.iloc[0])


ALONE = good_row(GOOD)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.dictionaries(st.sampled_from(FIELDS), JSON, min_size=1, max_size=3), st.sampled_from([patient(), observation()])
)
def test_a_resource_with_anything_in_its_fields(change: dict[str, Any], sound: dict[str, Any]) -> None:
    row = good_row([patient(), sound | change, *GOOD])
    for name, found in row.items():
        same = ALONE[name]
        both_missing = isinstance(same, float) and math.isnan(same) and math.isnan(found)
        assert found == same or both_missing, name


@settings(max_examples=40, deadline=None, derandomize=True)
@given(JSON)
def test_any_json_at_all(content: Any) -> None:
    row = good_row([content, *GOOD])
    assert row["wbc"] == 9.0


@pytest.mark.parametrize("depth", [200, 990, 1020])
@pytest.mark.parametrize(
    ("begin", "end", "wrap"),
    [
        ("[", "]", "{}"),
        ('{"a":', "}", "{}"),
        ("[", "]", '{{"resourceType": "Observation", "id": "deep", "extension": {}}}'),
        ('{"a":', "}", '{{"resourceType": "Patient", "id": "p", "meta": {}}}'),
    ],
)
def test_nesting_as_deep_as_the_parser_lets_in(begin: str, end: str, wrap: str, depth: int) -> None:
    content = orjson.loads(wrap.format(begin * depth + "1" + end * depth))
    row = good_row([content, *GOOD])
    assert row["heart_rate"] == ALONE["heart_rate"]
    again = good_row([content, content, *GOOD])
    assert again["heart_rate"] == ALONE["heart_rate"]


def test_bundles_within_bundles_without_end() -> None:
    whole: Any = observation(who="good")
    for _ in range(300):
        whole = {"resourceType": "Bundle", "entry": [{"resource": whole}]}
    assert read([whole, *GOOD], sepsis()).drops == {("", "", "not_a_resource"): 1}
