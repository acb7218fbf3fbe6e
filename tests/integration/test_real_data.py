"""Real data featurize and score; what was dropped and why is pinned, so that no change of a rule goes unseen."""

from collections import Counter
from pathlib import Path

import pytest

from screening.data_files import contents
from screening.features import featurize
from screening.model.files import load_file
from screening.model.registry import champion
from screening.outcome import Outcome
from screening.readers.fhir import read
from screening.schema import load_schema
from screening.scoring import score

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "include" / "models"

# folder: values that count, outcomes, missing where insufficient, drops other than by the window
PINNED = {
    "mimic-iv-fhir-demo": (
        38059,
        {"insufficient_data": 75, "scored": 25},
        {"heart_rate": 75, "respiratory_rate": 74, "temperature": 73, "lactate": 73, "creatinine": 7, "wbc": 6},
        {
            "respiratory_rate: out_of_range": 47,
            "heart_rate: out_of_range": 3,
            "temperature: out_of_range": 3,
            "wbc: no_value": 1,
        },
    ),
    "synthea-r4-pysynthea": (
        3691,
        {"insufficient_data": 19, "scored": 14},
        {"temperature": 18, "lactate": 18, "wbc": 17, "creatinine": 14, "heart_rate": 8, "respiratory_rate": 8},
        {"heart_rate: duplicate": 1285, "respiratory_rate: duplicate": 1285},
    ),
    "synthea-r4-smart": (
        4299,
        {"insufficient_data": 609, "excluded": 6},
        {"heart_rate": 609, "respiratory_rate": 609, "lactate": 609, "temperature": 535, "creatinine": 371, "wbc": 270},
        {"wbc: unknown_unit": 1, "creatinine: duplicate": 49},
    ),
    "healthchain-demo-patients": (
        30,
        {"scored": 3, "insufficient_data": 3},
        {"heart_rate": 3, "temperature": 3, "respiratory_rate": 3, "lactate": 3, "wbc": 1},
        {},
    ),
}


@pytest.mark.parametrize("folder", PINNED)
def test_what_counts_and_what_is_dropped(folder: str, real_data: Path) -> None:
    schema = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")
    reading = read(contents([real_data / folder]), schema)
    matrix = featurize(reading, schema, "latest")
    results = score(matrix, schema, champion(MODELS, "sepsis"))
    dropped: Counter[str] = Counter()
    for (_, feature, reason), count in matrix.drops.items():
        if reason != "before_window":
            dropped[f"{feature}: {reason}"] += count
    short = [one for one in results if one.outcome is Outcome.INSUFFICIENT_DATA]
    assert (
        len(reading.observations),
        dict(Counter(one.outcome.value for one in results)),
        dict(Counter(name for one in short for name in one.detail)),
        dict(dropped),
    ) == PINNED[folder]


TUTORIAL = {  # what the tutorial's own software answers; its README rounds to two decimals
    "high_risk_patient": 0.90,
    "moderate_risk_patient": 0.58,
    "high_risk_bundle": 0.86,
    "moderate_risk_bundle": 0.39,
    "low_risk_bundle": 0.21,
}


@pytest.mark.parametrize("name", [*TUTORIAL, "low_risk_patient"])
def test_the_tutorial_s_model_and_schema_score_its_files_as_it_says(name: str, real_data: Path) -> None:
    """With `missing: impute`: no file has the tutorial's lactate code."""
    folder = real_data / "healthchain-demo-patients"
    schema = load_schema(folder / "sepsis_vitals.yaml").model_copy(update={"missing": "impute"})
    bundle = load_file(folder / "sepsis_model.pkl", models_dir=MODELS, allow_unverified=True)
    matrix = featurize(read(contents([folder / f"{name}.json"]), schema), schema, "latest")
    (one,) = score(matrix, schema, bundle)
    assert one.imputed == ("lactate",)
    assert one.probability is not None
    if name in TUTORIAL:
        assert one.probability == pytest.approx(TUTORIAL[name], abs=0.02)
    else:
        assert one.risk_level == "low"  # the tutorial shows no card


def test_the_tutorial_s_own_schema_says_which_feature_no_patient_has(real_data: Path) -> None:
    """F8: its lactate code is another analyte; six observations absent used to pass as valid."""
    folder = real_data / "healthchain-demo-patients"
    schema = load_schema(folder / "sepsis_vitals.yaml")
    bundle = load_file(folder / "sepsis_model.pkl", models_dir=MODELS, allow_unverified=True)
    results = score(featurize(read(contents([folder]), schema), schema, "latest"), schema, bundle)
    assert len(results) == 6
    assert {(one.outcome, one.detail) for one in results} == {(Outcome.INSUFFICIENT_DATA, ("lactate",))}
