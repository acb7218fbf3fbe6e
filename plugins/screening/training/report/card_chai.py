"""The fields of the CHAI applied model card, v0.2 (coalition-for-health-ai/mc-schema), for a model card.

The names are the schema's. That they are filled in is no claim that the card was submitted or reviewed.
"""

from collections.abc import Mapping
from typing import Any

from screening.schema import Schema
from screening.training.plan import TrainingPlan
from screening.training.report.card_facts import NOT_DONE, NOT_STATED, limits
from screening.training.report.card_hti1 import inputs, intended, out_of_scope, output, population, shares
from screening.training.report.facts import Facts
from screening.training.report.wording import RESEARCH, candidate, people, percent, warnings

_METRICS = ("auroc", "auprc", "f1", "sensitivity", "specificity", "ppv", "npv", "brier")


def applied_model_card(
    schema: Schema, plan: TrainingPlan, evaluation: Mapping[str, Any], facts: Facts
) -> dict[str, Any]:
    """Return the card's elements in the order and under the names of CHAI's schema."""
    label = plan.label.name
    return {
        "BasicInfo": {"ModelName": facts.model, "ModelDeveloper": NOT_STATED, "DeveloperContact": NOT_STATED},
        "ReleaseInfo": {
            "ReleaseStage": "research",
            "ReleaseDate": facts.created.date().isoformat(),
            "ReleaseVersion": facts.version or "not published",
            "GlobalAvailability": NOT_STATED,
            "EHRCompatibility": f"FHIR R4 servers that code as the schema does; a test with an EHR in use: {NOT_DONE}",
            "RegulatoryApproval": "none; research software, not a medical device",
        },
        "ModelSummary": {
            "Summary": f"{intended(schema, label)} It gives {output(schema, label)}.",
            "Keywords": [schema.name, label, candidate(evaluation["best"]), "FHIR"],
        },
        "UsesAndDirections": {
            "IntendedUseAndWorkflow": f"{intended(schema, label)} {RESEARCH}",
            "PrimaryIntendedUsers": "researchers and engineers",
            "HowToUse": "by the screening DAG or the command line of this project, with the schema of this version",
            "TargetedPatientPopulation": population(plan),
            "CautionedOutOfScopeSettings": out_of_scope(plan),
        },
        "Warnings": {
            "KnownRisksAndLimitations": " ".join(limits(plan, evaluation)),
            "KnownBiasesOrEthicalConsiderations": f"A study of biases beyond figures by sex and age band: {NOT_DONE}",
            "ClinicalRiskLevel": f"{NOT_DONE}: nobody has classified it",
        },
        "TrustIngredients": _trust(schema, plan, evaluation, facts),
        "KeyMetrics": _metrics(plan, evaluation),
        "Resources": {
            "EvaluationReferences": "metrics.json beside this card; the report of the training run",
            "ClinicalTrial": NOT_DONE,
            "PeerReviewedPublications": f"{NOT_DONE}: none describes this model",
            "ReimbursementStatus": "none",
            "PatientConsentOrDisclosure": NOT_STATED,
        },
        "Bibliography": NOT_STATED,
    }


def _trust(schema: Schema, plan: TrainingPlan, evaluation: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    versions = ", ".join(f"{name} {version}" for name, version in facts.metadata["versions"].items())
    return {
        "AISystemFacts": {
            "OutcomesAndOutputs": output(schema, plan.label.name),
            "ModelType": f"{candidate(evaluation['best'])}, with one calibration map",
            "FoundationModels": "none",
            "InputDataSource": facts.data,
            "OutputAndInputDataTypes": f"input: {', '.join(schema.feature_names)}, numbers; output: a number from 0 to 1",
            "DevelopmentDataCharacterization": f"{people(evaluation['parts']['train'], plan.label.name)} learned from. "
            f"{shares(evaluation)}. {inputs(schema)}",
            "BiasMitigationApproaches": f"{NOT_DONE}, beyond refusing a model that serves a subgroup much worse",
            "OngoingMaintenance": f"monitoring: {NOT_DONE}; new versions are trained on demand",
            "Security": "model.pkl is loaded only after its sha256 is found to be that of the manifest",
            "Transparency": "this card, metrics.json, the report of the training run, and the source code",
        },
        "TransparencyInformation": {
            "FundingSource": NOT_STATED,
            "ThirdPartyInformation": f"libraries: {versions}",
            "StakeholdersConsulted": NOT_DONE,
        },
    }


def _metrics(plan: TrainingPlan, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    test, label = evaluation["parts"]["test"], plan.label.name
    process = (
        f"{percent(plan.untouched.share)} of the patients are kept out of fitting, calibration and thresholds; intervals by "
        f"{plan.bootstrap} resamples of patients. External validation: {NOT_DONE}"
    )
    shared = {
        "Interpretation": " ".join(warnings(evaluation)),
        "TestType": "internal, retrospective, on untouched patients of the same source",
        "TestingDataDescription": people(test, label),
        "ValidationProcessAndJustification": process,
    }
    rank = [{"Label": name, "ValueJson": test[name]} for name in _METRICS]
    fair = [
        {"Label": f"auroc, {row['group']} {row['level'] or 'unknown'}", "ValueJson": row["auroc"]}
        for row in evaluation["subgroups"]
    ]
    safe = [
        {"Label": f"calibration {name}", "ValueJson": test["calibration"][name]}
        for name in ("in_the_large", "intercept", "slope", "ece")
    ]
    low, high = plan.gate.calibration_slope
    goals = {
        "UsefulnessUsabilityEfficacy": (f"to rank stays with {label} above others; usability: {NOT_DONE}", rank),
        "FairnessEquity": (f"no subgroup's AUROC more than {plan.gate.max_subgroup_loss:g} below the whole", fair),
        "SafetyReliability": (
            f"calibration slope {low:g} to {high:g}, ECE at most {plan.gate.max_ece:g}; safety in use: {NOT_DONE}",
            safe,
        ),
    }
    return {name: {"MetricGoal": goal, "Results": results, **shared} for name, (goal, results) in goals.items()}
