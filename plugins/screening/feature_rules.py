"""Which keys of a feature go together, by the kind of resource that it comes from.

What a key cannot do for a kind is refused, so that nobody believes in a range that nothing is held against.
"""

from typing import TYPE_CHECKING

from screening.units import KNOWN

if TYPE_CHECKING:
    from screening.schema_features import Feature

_FIELDS = {  # (resource, field): transform and unit
    ("Patient", "birthDate"): ("calculate_age", "a"),
    ("Patient", "gender"): ("encode_gender", None),
    ("Encounter", "period"): ("hours_since_admission", "h"),
}
MIMIC_SYSTEMS = {
    table: f"http://mimic.mit.edu/fhir/mimic/CodeSystem/{name}"
    for table, name in (("chartevents", "mimic-chartevents-d-items"), ("labevents", "mimic-d-labitems"))
}
"""Table → the code system in which MIMIC-IV-on-FHIR gives its item ids."""
_VALUE_KEYS = ["range", "molar_mass", "assume_unit"]


def code_problems(feature: "Feature") -> list[str]:
    """Say what is wrong with the tutorial's way of naming a code."""
    if (feature.code is None) != (feature.code_system is None):
        return ["code and code_system go together (or give codes: a list of {system, code})"]
    pair = [(feature.code_system, feature.code)]
    if feature.code is not None and pair != [(coding.system, coding.code) for coding in feature.codes]:
        return ["give either code with code_system or codes, not both"]
    return []


def source_problems(feature: "Feature") -> list[str]:
    """Say what a feature's keys lack, or have without effect, for its kind of source."""
    kind = feature.fhir_resource
    if kind in ("Patient", "Encounter"):
        problems, idle = _field_problems(feature)
    elif kind == "Observation":
        problems, idle = _observation_problems(feature)
    else:
        problems, idle = _presence_problems(feature)
    if kind != "Observation":
        idle.append("order")
    elif feature.order and feature.how == "count":
        problems.append("order has no effect with aggregate count: absence is the value 0")
    if kind not in ("Patient", "Encounter"):
        idle += ["field", "transform"]
        if not feature.codes:
            problems.append(f"{kind} features need code with code_system, or codes")
        if feature.how in ("present", "count") and feature.required:
            problems.append(f"required has no effect with aggregate {feature.how}: absence is the value 0")
    said = [key for key in idle if getattr(feature, key) not in (None, (), False)]
    return problems + [f"{key} has no effect on {_such(feature)} feature" for key in said]


def _such(feature: "Feature") -> str:
    if feature.fhir_resource == "Observation":
        return "an Observation" if feature.unit else "a counting"
    return f"{'an' if feature.fhir_resource == 'Encounter' else 'a'} {feature.fhir_resource}"


def _field_problems(feature: "Feature") -> tuple[list[str], list[str]]:
    kind, problems = feature.fhir_resource, []
    known = {name: how for (source, name), how in _FIELDS.items() if source == kind}
    transform, unit = known.get(feature.field or "", ("", None))
    if not transform:
        problems.append(f"{_such(feature)} feature needs field: {' or '.join(known)}")
    else:
        if feature.transform != transform:
            problems.append(f"field {feature.field} needs transform: {transform}")
        if feature.unit not in (None, unit):
            problems.append(
                f"field {feature.field} is in {unit}: write that unit, or none" if unit else "gender has no unit"
            )
    return problems, [*_VALUE_KEYS, "codes", "aggregate"]


def _observation_problems(feature: "Feature") -> tuple[list[str], list[str]]:
    problems, idle = [], []
    if feature.unit is None:
        idle += _VALUE_KEYS
        if feature.how != "count":
            problems.append("an Observation feature needs unit")
    elif feature.molar_mass and KNOWN[feature.unit].dimension not in ("mass concentration", "molar concentration"):
        problems.append(f"molar_mass has no effect: {feature.unit} is no concentration")
    if feature.how == "present":
        problems.append("aggregate present is for Condition and medication features")
    return problems, idle


def _presence_problems(feature: "Feature") -> tuple[list[str], list[str]]:
    wrong = feature.how not in ("present", "count")
    problems = [f"a {feature.fhir_resource} feature can be aggregated by present or count"] if wrong else []
    return problems, [*_VALUE_KEYS, "unit"]


def mimic_problems(feature: "Feature") -> list[str]:
    """Say where training would learn another thing than what screening reads.

    The item ids that training takes must be the MIMIC codes that screening matches, where the feature has such codes at all:
    a model of arterial pressure must not meet heart rates.
    """
    source = feature.mimic
    if source is None:
        return []
    if feature.fhir_resource == "Patient":
        fits = source.table == "patients" and not source.itemid
        return [] if fits else ["mimic: a Patient feature comes from {table: patients}, without itemid"]
    if feature.fhir_resource != "Observation":
        return [f"mimic has no effect on {_such(feature)} feature: training cannot read it from MIMIC"]
    if source.table == "patients" or not source.itemid:
        return ["mimic: an Observation feature needs table: chartevents or labevents, and its itemid"]
    coded = {coding.code for coding in feature.codes if coding.system in MIMIC_SYSTEMS.values()}
    mine = {coding.code for coding in feature.codes if coding.system == MIMIC_SYSTEMS[source.table]}
    items = {str(item) for item in source.itemid}
    if coded and (coded != mine or mine != items):
        read, matched = ", ".join(sorted(items)), ", ".join(sorted(coded))
        problem = f"mimic: training would read {source.table} {read}, screening matches {matched} of MIMIC's codes"
        return [f"{problem}: name the same items in both"]
    return []
