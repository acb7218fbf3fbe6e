"""The 31 source attributes of a predictive decision support intervention, 45 CFR 170.315(b)(11)(iv)(B), for a model card.

The names are the regulation's. That they are filled in is no claim that the software is certified or complies.
"""

from collections.abc import Mapping
from typing import Any

from screening.schema import Schema
from screening.training.plan import TrainingPlan
from screening.training.report.card_facts import NOT_DONE, NOT_STATED, hours, limits
from screening.training.report.facts import Facts
from screening.training.report.wording import RESEARCH, interval, number, people

VARIABLES = (
    "race", "ethnicity", "language", "sexual orientation", "gender identity", "sex", "date of birth",
    "social determinants of health", "health status assessments",
)  # fmt: skip
"""Of paragraph (b)(11)(iv)(A)(5) to (13)."""
_USED = {"sex": "gender", "date of birth": "birthDate"}

GROUPS: dict[str, tuple[str, ...]] = {
    "(1) Details and output of the intervention": (
        "(1)(i) Name and contact information for the intervention developer",
        "(1)(ii) Funding source of the technical implementation for the intervention's development",
        "(1)(iii) Description of value that the intervention produces as an output",
        "(1)(iv) Whether the output is a prediction, classification, recommendation, evaluation, analysis, or other type",
    ),
    "(2) Purpose of the intervention": (
        "(2)(i) Intended use of the intervention",
        "(2)(ii) Intended patient population(s) for the intervention's use",
        "(2)(iii) Intended user(s)",
        "(2)(iv) Intended decision-making role (informs, augments, replaces clinical management)",
    ),
    "(3) Cautioned out-of-scope use of the intervention": (
        "(3)(i) Tasks, situations, or populations where a user is cautioned against applying the intervention",
        "(3)(ii) Known risks, inappropriate settings, inappropriate uses, or known limitations",
    ),
    "(4) Intervention development details and input features": (
        "(4)(i) Exclusion and inclusion criteria that influenced the training data set",
        "(4)(ii) Use of variables in paragraph (b)(11)(iv)(A)(5) to (13) as input features",
        "(4)(iii) Demographic representativeness according to these variables",
        "(4)(iv) Relevance of training data to intended deployed setting",
    ),
    "(5) Process used to ensure fairness in development of the intervention": (
        "(5)(i) Approach taken to ensure that the intervention's output is fair",
        "(5)(ii) Approaches to manage, reduce, or eliminate bias",
    ),
    "(6) External validation process": (
        "(6)(i) Data source, clinical setting, or environment other than the source of training and testing data",
        "(6)(ii) Party that conducted the external testing",
        "(6)(iii) Demographic representativeness of external data",
        "(6)(iv) External validation process",
    ),
    "(7) Quantitative measures of performance": (
        "(7)(i) Validity in test data derived from the same source as the initial training data",
        "(7)(ii) Fairness in test data derived from the same source as the initial training data",
        "(7)(iii) Validity in data external to or from a different source than the initial training data",
        "(7)(iv) Fairness in data external to or from a different source than the initial training data",
        "(7)(v) References to evaluation of use of the intervention on outcomes",
    ),
    "(8) Ongoing maintenance of intervention implementation and use": (
        "(8)(i) Process and frequency by which the intervention's validity is monitored over time",
        "(8)(ii) Validity of intervention in local data",
        "(8)(iii) Process and frequency by which the intervention's fairness is monitored over time",
        "(8)(iv) Fairness of intervention in local data",
    ),
    "(9) Update and continued validation or fairness assessment schedule": (
        "(9)(i) Process and frequency by which the intervention is updated",
        "(9)(ii) Frequency by which the intervention's performance is corrected when risks are identified",
    ),
}
"""Group → attributes, in the regulation's order."""


def source_attributes(
    schema: Schema, plan: TrainingPlan, evaluation: Mapping[str, Any], facts: Facts
) -> dict[str, dict[str, str]]:
    """Return group → attribute → answer; what nobody did says so, and so does what nobody stated."""
    answers = _said(schema, plan, evaluation, facts)
    return {
        group: {name: answers.get(name.split(" ")[0], NOT_DONE) for name in names} for group, names in GROUPS.items()
    }


def _said(schema: Schema, plan: TrainingPlan, evaluation: Mapping[str, Any], facts: Facts) -> dict[str, str]:
    label = plan.label.name
    return {
        "(1)(i)": f"name: {NOT_STATED}; contact: {NOT_STATED}",
        "(1)(ii)": NOT_STATED,
        "(1)(iii)": output(schema, label),
        "(1)(iv)": "a prediction",
        "(2)(i)": f"{intended(schema, label)} {RESEARCH}",
        "(2)(ii)": population(plan),
        "(2)(iii)": "researchers and engineers; no clinician is meant to act on it",
        "(2)(iv)": "none in clinical management; in research it informs, and replaces nobody's judgement",
        "(3)(i)": out_of_scope(plan),
        "(3)(ii)": " ".join(limits(plan, evaluation)),
        "(4)(i)": "; ".join(f"{step['step']}: {step['stays']:,} stays left" for step in evaluation["attrition"]),
        "(4)(ii)": inputs(schema),
        "(4)(iii)": f"{shares(evaluation)}. By race, ethnicity, language, sexual orientation, gender identity, social "
        f"determinants of health and health status: {NOT_DONE}",
        "(4)(iv)": f"The training data are: {facts.data}. A comparison with the place of use: {NOT_DONE}",
        "(5)(i)": f"AUROC and calibration are told by sex and age band; the gate asks that no subgroup with "
        f"{plan.gate.min_positives} positive stays or more loses over {plan.gate.max_subgroup_loss:g} of AUROC. Other "
        f"groups: {NOT_DONE}",
        "(5)(ii)": f"{NOT_DONE}, beyond refusing such a model",
        "(7)(i)": validity(evaluation),
        "(7)(ii)": fairness(evaluation),
        "(8)(i)": f"{NOT_DONE}; the model file has the distribution of each feature to hold later patients against",
        "(9)(i)": f"On demand: a new version is trained, judged by the gate and published beside the old ones. A schedule: "
        f"{NOT_DONE}",
        "(9)(ii)": f"{NOT_DONE}; the version before can be put back at any time",
    }


def output(schema: Schema, label: str) -> str:
    """Return what the model gives."""
    levels = schema.risk_levels
    lacking = "" if schema.missing == "impute" else "a required value is missing or "
    return (
        f"the probability, 0 to 1, that a stay is one with {label}, and a level: moderate from {levels.moderate:g}, high "
        f"from {levels.high:g}, else low; none of both where {lacking}too few values are there"
    )


def intended(schema: Schema, label: str) -> str:
    """Return what the model is for."""
    return f"To study the screening of hospital patients for {label} with the screen {schema.name} {schema.version}."


def population(plan: TrainingPlan) -> str:
    """Return whom the model was made for."""
    return (
        f"patients in intensive care for {hours(plan.cohort.min_stay)} or longer, aged {plan.cohort.min_age} or older"
    )


def out_of_scope(plan: TrainingPlan) -> str:
    """Return where the model must not be applied."""
    return (
        f"any clinical decision; diagnosis; telling when {plan.label.name} begins; patients younger than "
        f"{plan.cohort.min_age} or outside intensive care; records whose codes or units are not those of the schema; time-"
        "critical alarms"
    )


def inputs(schema: Schema) -> str:
    """Return which of the regulation's variables are inputs, as far as a schema can tell."""
    fields = {feature.field: feature.name for feature in schema.of("Patient")}
    told = []
    for variable in VARIABLES:
        used = fields.get(_USED.get(variable))  # type: ignore[arg-type]  # None is nobody's field
        told.append(f"{variable}: {f'used, as {used}' if used else 'not used'}")
    return f"{'; '.join(told)} (by the schema's Patient fields; what is measured is listed under features)"


def shares(evaluation: Mapping[str, Any]) -> str:
    """Return how many of the untouched stays each subgroup has."""
    told = [f"{row['group']} {row['level'] or 'unknown'} {row['stays']:,}" for row in evaluation["subgroups"]]
    return f"Untouched stays: {', '.join(told)} of {evaluation['parts']['test']['stays']:,}"


def validity(evaluation: Mapping[str, Any]) -> str:
    """Return the main figures of the untouched patients."""
    test = evaluation["parts"]["test"]
    names = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier", "f1": "F1", "sensitivity": "sensitivity",
             "specificity": "specificity", "ppv": "PPV"}  # fmt: skip
    figures = ", ".join(f"{name} {interval(test[key], 3)}" for key, name in names.items())
    slope = interval(test["calibration"]["slope"])
    return f"Untouched patients, {people(test, evaluation['label'])}: {figures}, calibration slope {slope}"


def fairness(evaluation: Mapping[str, Any]) -> str:
    """Return the figures by subgroup."""
    return "; ".join(
        f"{row['group']} {row['level'] or 'unknown'} ({row['stays']:,} stays, {row['positives']:,} positive): AUROC "
        f"{interval(row['auroc'])}, calibration in the large {number(row['calibration_in_the_large'])}"
        for row in evaluation["subgroups"]
    )
