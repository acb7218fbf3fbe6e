"""The model card: every field of both lists is there, what was not done says so, and no fact is lost on the way."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.training.run_facts import RULES, evaluation, facts, plan, schema

from screening.errors import FatalError
from screening.training.report.model_card import model_card

HTI1 = {1: 4, 2: 4, 3: 2, 4: 4, 5: 2, 6: 4, 7: 5, 8: 4, 9: 2}
"""Paragraph of 45 CFR 170.315(b)(11)(iv)(B) → how many source attributes it has."""
ROMAN = ("i", "ii", "iii", "iv", "v")
CHAI = (
    "BasicInfo", "ModelName", "ModelDeveloper", "DeveloperContact",
    "ReleaseInfo", "ReleaseStage", "ReleaseDate", "ReleaseVersion", "GlobalAvailability", "EHRCompatibility",
    "RegulatoryApproval",
    "ModelSummary", "Summary", "Keywords",
    "UsesAndDirections", "IntendedUseAndWorkflow", "PrimaryIntendedUsers", "HowToUse", "TargetedPatientPopulation",
    "CautionedOutOfScopeSettings",
    "Warnings", "KnownRisksAndLimitations", "KnownBiasesOrEthicalConsiderations", "ClinicalRiskLevel",
    "TrustIngredients", "AISystemFacts", "OutcomesAndOutputs", "ModelType", "FoundationModels", "InputDataSource",
    "OutputAndInputDataTypes", "DevelopmentDataCharacterization", "BiasMitigationApproaches", "OngoingMaintenance",
    "Security", "Transparency",
    "TransparencyInformation", "FundingSource", "ThirdPartyInformation", "StakeholdersConsulted",
    "KeyMetrics", "UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability",
    "MetricGoal", "Results", "Label", "ValueJson", "Interpretation", "TestType", "TestingDataDescription",
    "ValidationProcessAndJustification",
    "Resources", "EvaluationReferences", "ClinicalTrial", "PeerReviewedPublications", "ReimbursementStatus",
    "PatientConsentOrDisclosure",
    "Bibliography",
)  # fmt: skip
"""Every element of https://mc.chai.org/v0.2/schema.xsd that holds something."""
NOT_DONE = (
    "(6)(i)", "(6)(ii)", "(6)(iii)", "(6)(iv)", "(7)(iii)", "(7)(iv)", "(7)(v)", "(8)(i)", "(8)(ii)", "(8)(iii)", "(8)(iv)",
    "(9)(ii)",
)  # fmt: skip


def _card(case: str = "whole", **other: Any) -> tuple[dict[str, Any], str]:
    return model_card(schema(), plan(), evaluation(case), facts(**other))


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _keys(part)
    elif isinstance(value, list):
        for part in value:
            yield from _keys(part)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value


def _answers(card: dict[str, Any]) -> dict[str, str]:
    return {name.split(" ")[0]: answer for group in card["hti1"].values() for name, answer in group.items()}


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\`*|\[\]<>])", r"\1", text)


def test_every_source_attribute_is_in_json_and_markdown() -> None:
    card, text = _card()
    wanted = [f"({group})({ROMAN[n]})" for group, count in HTI1.items() for n in range(count)]
    assert len(wanted) == 31
    assert list(_answers(card)) == wanted
    assert all(_answers(card).values())
    shown = _unescaped(text)
    for group in card["hti1"].values():
        assert [name for name, answer in group.items() if f"- **{name}**: {answer}\n" not in f"{shown}\n"] == []


def test_every_field_of_the_applied_model_card_is_in_json_and_markdown() -> None:
    card, text = _card()
    assert [name for name in CHAI if name not in set(_keys(card["chai"]))] == []
    assert [name for name in CHAI if name not in text] == []
    assert [name for name in _keys(card["chai"]) if name not in (*CHAI, "value", "low", "high")] == []


@pytest.mark.parametrize("name", NOT_DONE)
def test_what_was_not_done_says_so(name: str) -> None:
    card, _ = _card()
    assert _answers(card)[name].startswith("not done")


def test_what_nobody_stated_says_so() -> None:
    card, _ = _card()
    assert _answers(card)["(1)(i)"] == "name: not stated; contact: not stated"
    assert _answers(card)["(1)(ii)"] == "not stated"
    basic, trust = card["chai"]["BasicInfo"], card["chai"]["TrustIngredients"]["TransparencyInformation"]
    assert (basic["DeveloperContact"], trust["FundingSource"]) == ("not stated", "not stated")
    assert trust["StakeholdersConsulted"] == "not done"


def test_no_compliance_is_claimed() -> None:
    card, text = _card()
    assert "No compliance with them, nor with any other standard, is claimed." in card["about"]
    assert not re.search(r"\b(complies|compliant|certified|conforms)\b", text)


@pytest.mark.parametrize(
    ("synthetic", "tiny", "told"),
    [(True, False, ["Synthetic"]), (False, True, ["Tiny"]), (True, True, ["Synthetic", "Tiny"]), (False, False, [])],
)
def test_flags_are_told_at_the_top_and_among_the_limits(synthetic: bool, tiny: bool, told: list[str]) -> None:
    flagged = {**evaluation("tiny"), "synthetic": synthetic, "tiny": tiny}
    card, text = model_card(schema(), plan(), flagged, facts())
    head = text.split("## ")[0]
    assert "> **Research software, not a medical device. Not for clinical use.**" in head
    for where in ("\n".join(card["warnings"]), head, "\n".join(card["limits"]), _answers(card)["(3)(ii)"]):
        assert [kind for kind in ("Synthetic", "Tiny") if f"{kind} data" in where] == told


def test_limits_name_the_label_and_the_lack_of_validation() -> None:
    told = " ".join(_card()[0]["limits"])
    for words in ("diagnosis-code label, untimed", "Not externally validated", "Not for clinical use"):
        assert words in told


def test_facts_come_from_plan_schema_and_manifest() -> None:
    card, _ = _card()
    assert card["label"]["icd10_prefixes"] == list(plan().label.icd10)
    assert card["label"]["icd9_prefixes"] == list(plan().label.icd9)
    assert card["model"]["sha256"] == "a1" * 32
    assert card["model"]["settings"] == plan().candidates["xgboost"]
    assert card["model"]["seed"] == plan().seed
    assert card["model"]["library_versions"] == {"python": "3.11.9", "sklearn": "1.7.2"}
    assert card["cohort"]["inclusion_rules"] == evaluation("whole")["attrition"]
    assert card["cohort"]["split"].startswith("by patient: 20 %")
    assert card["data"]["fingerprint_of_the_learning_rows"] == "f" * 64
    assert card["data"]["tables"][0] == {"table": "icustays", "rows": 27_000, "sha256": "c3" * 32}
    assert card["data"]["learned_from"] == {"stays": 16_000, "patients": 11_200, "positives": 2400}
    assert [rule["rule"] for rule in card["gate"]["rules"]] == [rule["rule"] for rule in RULES]


def test_every_feature_has_unit_codes_missing_share_and_what_is_imputed() -> None:
    rows = {row["feature"]: row for row in _card()[0]["features"]}
    assert list(rows) == list(schema().feature_names)
    assert rows["lactate"] == {
        "feature": "lactate",
        "unit": "mmol/L",
        "required": False,
        "from": "Observation, mean; MIMIC-IV labevents 50813",
        "range": [0.1, 50.0],
        "codes": [
            "http://loinc.org|2524-7",
            "http://loinc.org|32693-4",
            "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-d-labitems|50813",
        ],
        "missing_share": 0.25,
        "imputed_with": 1.875,
    }
    assert rows["age"]["from"] == "Patient.birthDate"
    assert rows["wbc"]["imputed_with"] == "not imputed"


def test_sex_and_birth_date_are_told_as_inputs_and_the_others_as_not_used() -> None:
    told = _answers(_card()[0])["(4)(ii)"]
    assert "sex: used, as gender_encoded; date of birth: used, as age" in told
    assert "race: not used; ethnicity: not used; language: not used" in told
    without = {name: feature for name, feature in schema().features.items() if name != "gender_encoded"}
    card, _ = model_card(schema().model_copy(update={"features": without}), plan(), evaluation("whole"), facts())
    assert "sex: not used; date of birth: used, as age" in _answers(card)["(4)(ii)"]


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("insufficient", "none of both where a required value is missing or too few values are there"),
        ("impute", "none of both where too few values are there"),
    ],
)
def test_the_output_is_told_as_the_schema_deals_with_what_is_missing(missing: str, told: str) -> None:
    card, _ = model_card(schema().model_copy(update={"missing": missing}), plan(), evaluation("whole"), facts())
    assert _answers(card)["(1)(iii)"].endswith(f"else low; {told}")


def test_figures_are_those_of_the_evaluation_with_their_intervals() -> None:
    card, text = _card()
    found, test = card["performance"], evaluation("whole")["parts"]["test"]
    assert found["by_patients"][0]["auroc"] == test["auroc"]
    assert found["at_thresholds"] == evaluation("whole")["operating_points"]
    assert found["by_sex_and_age"] == evaluation("whole")["subgroups"]
    assert found["calibration"][0]["slope"] == test["calibration"]["slope"]
    assert "| test | 4000 | 2800 | 600 | 0.15 | 0.786 (0.767 to 0.804) |" in text


def test_markdown_leaves_nothing_of_the_json_out() -> None:
    card, text = _card()
    shown = _unescaped(text)
    assert [words for words in _texts(card) if " ".join(words.split()) not in shown] == []


@pytest.mark.parametrize("case", ["whole", "tiny", "undefined"])
def test_json_has_no_number_that_is_not_finite(case: str) -> None:
    card, text = _card(case)
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert not re.search(r"\b(nan|inf|None|True|False)\b", text)


def test_a_number_that_is_not_finite_is_refused() -> None:
    broken = deepcopy(evaluation("tiny"))
    broken["parts"]["test"]["auroc"]["value"] = float("nan")
    with pytest.raises(FatalError, match="model card"):
        model_card(schema(), plan(), broken, facts())


def test_an_undefined_figure_is_called_so() -> None:
    card, text = _card("undefined")
    assert card["performance"]["by_patients"][0]["auroc"] == {"value": None, "low": None, "high": None}
    assert "AUROC undefined" in _answers(card)["(7)(i)"]
    assert "| test | 4000 | 2800 | 0 | 0 | undefined |" in text


def test_the_same_input_gives_the_same_bytes_and_another_time_changes_only_the_date() -> None:
    assert _card() == _card()
    later = replace(facts(), created=datetime(2027, 4, 11, 9, tzinfo=UTC))
    card, text = model_card(schema(), plan(), evaluation("whole"), later)
    first, first_text = _card()
    for old, new in (("2026-03-10T12:00:00+00:00", "2027-04-11T09:00:00+00:00"), ("2026-03-10", "2027-04-11")):
        first_text = first_text.replace(old, new)
        first = json.loads(json.dumps(first).replace(old, new))
    assert (card, text) == (first, first_text)


def test_text_of_others_is_not_taken_for_markdown() -> None:
    _, text = _card(data="<script>x</script> | *y*\n# z")
    assert "<script>" not in text.replace(r"\<script", "")
    assert "\n# z" not in text


def test_a_model_that_is_not_published_says_so() -> None:
    card, text = _card(version=None)
    assert text.startswith("# Model card: sepsis, not published\n")
    assert card["chai"]["ReleaseInfo"]["ReleaseVersion"] == "not published"
