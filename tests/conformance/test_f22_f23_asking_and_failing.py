"""F22 and F23: the peer downloads whole charts, and swallows every error, those of its own code included."""

import ast
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from tests.charts import ROOT, SICK, T, chart, matrix, observation, patient, results, sepsis

from screening.features import featurize
from screening.outcome import Outcome
from screening.queries import queries
from screening.readers.fhir import read
from screening.scoring import score

LIBRARY = ROOT / "plugins/screening"


def test_f22_only_the_codes_and_days_that_are_needed_are_asked_for() -> None:
    """The peer's search has neither code= nor date=, so that every chart is downloaded whole."""
    (search,) = [url for url in queries(sepsis(), "p", T) if url.startswith("Observation?")]
    asked = parse_qs(urlsplit(search).query)
    assert asked["patient"] == ["p"]
    assert len(asked["date"]) == 2
    for feature in sepsis().of("Observation"):
        assert all(f"{c.system}|{c.code}" in asked["code"][0].split(",") for c in feature.codes)


def test_f22_a_server_that_ignores_the_search_costs_time_and_no_score() -> None:
    """The peer trusts that what came back is what was meant."""
    noise = [
        observation(hours=24 * 400),
        observation(hours=-5),
        observation(who="somebody"),
        observation(code={"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}),
        {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}},
    ]
    assert results([*noise, *chart()], cohort=["p"]) == results(chart(), cohort=["p"])


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceType": "Patient", "id": "bad", "birthDate": ["?"], "gender": {}, "link": 5},
        {"resourceType": "Observation", "id": [], "code": 5, "subject": "?", "valueQuantity": []},
        {"resourceType": "Observation", "status": {}, "effectivePeriod": [], "component": {}},
        {"resourceType": "Bundle", "entry": [None, 5, [], {"resource": 7}]},
        None,
        17,
        "an HTML page",
    ],
)
def test_f23_one_broken_resource_costs_nobody_else(broken: Any) -> None:
    """The peer wraps each patient in try/except, so that a broken one is lost and so is the reason."""
    found = {one.patient_id: one for one in results([broken, *chart("p"), broken], cohort=["p", "bad"])}
    assert found["p"] == results(chart("p"))[0]
    assert found["bad"].outcome in (Outcome.NOT_FOUND, Outcome.INSUFFICIENT_DATA)


def test_f23_who_cannot_be_read_is_failed_with_a_reason_and_counted() -> None:
    """The peer prints "No data" or "Error", goes on, and exits with 0."""
    content = [*chart("p"), *chart("twice"), patient("twice", gender="female")]
    found = {one.patient_id: one for one in results(content, cohort=["p", "twice", "ghost"])}
    assert Counter(one.outcome.value for one in found.values()) == {"scored": 1, "failed": 1, "not_found": 1}
    assert found["twice"].detail == ("two Patient resources of one id contradict each other",)


def test_f23_a_fault_of_the_program_is_no_patients_fault() -> None:
    """The peer counts a TypeError of its own code as a patient without data."""

    class Broken:
        name, version, feature_names = "broken", "1", tuple(sepsis().feature_names)

        def check_fits(self, names: Any, **more: Any) -> None: ...
        def impute(self, rows: Any) -> Any:
            return rows, np.zeros(rows.shape, bool), np.zeros(len(rows), bool)

        def predict_with_contributions(self, rows: Any) -> Any:
            raise TypeError("a defect")

    with pytest.raises(TypeError, match="a defect"):
        score(matrix(chart()), sepsis(), Broken())  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        featurize(None, sepsis(), T)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        read(5, sepsis())  # type: ignore[arg-type]


CORE = sorted(
    path
    for path in LIBRARY.rglob("*.py")
    if path.parent.name in ("screening", "readers", "results", "fhir_client") and path.name != "__init__.py"
)


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_f23_no_handler_takes_every_error_and_goes_on(path: Path) -> None:
    """The peer's `except Exception` hides programming errors."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            broad = caught in ("everything", "Exception", "BaseException")
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert not broad or raises, f"{path.name}, line {node.lineno}"


def test_f23_the_values_of_a_patient_without_data_are_told_as_dropped() -> None:
    """The peer's "No data" does not tell whether there was none or none that it could read."""
    content = [patient(), *[observation(name, number, status="preliminary-ish") for name, number in SICK.items()]]
    assert matrix(content).drops == {("p", name, "status"): 1 for name in SICK}
