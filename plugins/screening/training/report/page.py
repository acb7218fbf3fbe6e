"""The report of a training run: what it made, what the gate said, who was learned from, and what the figures are.

Three files in one folder: `report.html`, a page that needs nothing else; `report.md`, its tables; `evaluation.json`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from screening.schema import Schema
from screening.staging import Folder
from screening.training.plan import TrainingPlan
from screening.training.report.document import Block, Caution, Drawing, Items, Section, Table, html, markdown
from screening.training.report.facts import Facts, as_json
from screening.training.report.wording import candidate, interval, number, people, warnings
from screening.training.staged import save_bytes

HTML, MARKDOWN, EVALUATION = "report.html", "report.md", "evaluation.json"
_PARTS = {
    "test": "untouched patients",
    "cross_validation": "cross-validation (out of fold)",
    "train": "learned from (looks better than it is)",
}
_AT = ("sensitivity", "specificity", "ppv", "npv", "f1", "alerts_per_100", "number_needed_to_evaluate")
_NAMES = {
    "auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier", "f1": "F1", "ppv": "PPV", "npv": "NPV", "ece": "ECE",
    "e_avg": "E average", "e_90": "E90", "e_max": "E max", "alerts_per_100": "alerts per 100 stays",
}  # fmt: skip


def write_report(
    folder: Folder, schema: Schema, plan: TrainingPlan, evaluation: Mapping[str, Any], facts: Facts
) -> None:
    """Write the report; the same input gives the same bytes.

    Parameters
    ----------
    folder
        Is made where it is missing; files of these names are overwritten.
    evaluation
        Of the chosen candidate; `tests/unit/training/evaluation_example.py` shows its shape.

    Raises
    ------
    FatalError
        The evaluation holds a number that is not finite.
    DataFileError
        The folder cannot be written.
    """
    from screening.training.report.pictures.album import pictures

    held = {EVALUATION: as_json(evaluation, EVALUATION)}
    title = f"Training of {facts.named}"
    sections = list(_sections(schema, plan, evaluation, facts))
    held[MARKDOWN] = markdown(title, sections)
    drawn = [Drawing(one.svg, one.how_to_read) for one in pictures(evaluation)]
    sections.insert(-1, Section("Pictures", drawn))
    held[HTML] = html(title, sections)
    for name, text in held.items():
        save_bytes(folder, name, text.encode())


def _sections(schema: Schema, plan: TrainingPlan, evaluation: Mapping[str, Any], facts: Facts) -> Iterator[Section]:
    yield Section("", [_what(schema, evaluation, facts), *map(Caution, warnings(evaluation))])
    yield Section("The gate", _gate(facts.gate))
    yield Section("Who is left at each step", [_attrition(evaluation)])
    yield Section("Data", _data(evaluation, plan, facts))
    yield Section("Figures", _figures(evaluation))


def brief(schema: Schema, evaluation: Mapping[str, Any], facts: Facts) -> str:
    """Return in Markdown what a person must know who decides whether a model is published: a page's worth of the report."""
    test = {_PARTS["test"]: evaluation["parts"]["test"]}
    figures: list[Block] = [
        "With 95 % intervals by resampling patients:",
        _across(test, ("auroc", "auprc", "brier", "f1", *_AT[:4])),
    ]
    opening = Section("", [_what(schema, evaluation, facts), *map(Caution, warnings(evaluation))])
    return markdown(
        f"Training of {facts.named}", [opening, Section("The gate", _gate(facts.gate)), Section("Figures", figures)]
    )


def _what(schema: Schema, evaluation: Mapping[str, Any], facts: Facts) -> str:
    return (
        f"A model for the screen {schema.name} {schema.version}, to tell stays with {evaluation['label']} from others. "
        f"{candidate(evaluation['best'])} is the candidate taken. Trained on: {facts.data}. Made "
        f"{facts.created.isoformat(timespec='seconds')}; sha256 of the model file {facts.sha256}."
    )


def _gate(gate: Mapping[str, Any]) -> list[Block]:
    rows = [(rule["rule"], rule["verdict"], rule["words"]) for rule in gate["rules"]]
    # the report is written by the gate: a person may still say no
    whole = (
        "Passed: once published, it is the champion."
        if gate["promoted"]
        else "Not promoted: screening goes on as before."
    )
    blocks: list[Block] = [whole]
    if gate["reasons"]:
        blocks.append(Items(list(gate["reasons"])))
    return [*blocks, Table(("rule", "verdict", "words"), rows, empty="No rule was asked.")]


def _attrition(evaluation: Mapping[str, Any]) -> Table:
    rows = [
        (step["step"], *(f"{step[key]:,}" for key in ("stays", "patients", "positives")))
        for step in evaluation["attrition"]
    ]
    return Table(("step", "stays", "patients", f"stays with {evaluation['label']}"), rows)


def _data(evaluation: Mapping[str, Any], plan: TrainingPlan, facts: Facts) -> list[Block]:
    parts, label = evaluation["parts"], evaluation["label"]
    sources = [
        (name, f"{source['rows']:,}" if "rows" in source else "not stated", str(source.get("sha256", "not stated")))
        for name, source in sorted(facts.sources.items())
    ]
    whom = (
        f"Learned from: {people(parts['train'], label)}. Untouched, to judge by: {people(parts['test'], label)}. Every cut "
        f"is between patients; {plan.folds} folds; seed {plan.seed}."
    )
    dropped = [(feature, reason, f"{count:,}") for feature, reason, count in sorted(facts.dropped)]
    return [
        whom,
        Table(("table", "rows", "sha256 of the file"), sources, empty="No source is stated."),
        "Values that do not count, and why:",
        Table(("feature", "reason", "values"), dropped, empty="No value was dropped."),
    ]


def _figures(evaluation: Mapping[str, Any]) -> list[Block]:
    parts = {name: evaluation["parts"][part] for part, name in _PARTS.items()}
    calibration = {name: part["calibration"] for name, part in parts.items()}
    points = {f"{point['name']}: {number(point['threshold'], 3)}": point for point in evaluation["operating_points"]}
    found = {candidate(name): figures for name, figures in evaluation["candidates"].items()}
    baselines = {candidate(name): figures for name, figures in evaluation["baselines"].items()}
    groups = [
        (
            f"{row['group']}: {row['level'] or 'unknown'}",
            *(f"{row[key]:,}" for key in ("stays", "positives")),
            interval(row["auroc"]),
            number(row["calibration_in_the_large"]),
        )
        for row in evaluation["subgroups"]
    ]
    return [
        "With 95 % intervals by resampling patients, at the threshold of the best F1 out of fold:",
        _across(parts, ("auroc", "auprc", "brier", "f1", *_AT[:4])),
        "Calibration; perfect is 1 for the slope and 0 for all else:",
        _across(calibration, ("in_the_large", "intercept", "slope", "ece", "e_avg", "e_90", "e_max")),
        "What each threshold would mean, on the untouched patients:",
        _across(points, _AT, 2),
        f"The candidates, out of fold; {candidate(evaluation['best'])} is taken:",
        _across(found, ("f1", "auroc", "auprc", "brier", "threshold", "calibration_slope")),
        "Baselines, on the untouched patients:",
        _across(baselines, ("auroc", "auprc", "brier", "f1")),
        "Subgroups of the untouched patients; calibration in the large is in log-odds, above 0 for risks told too low:",
        Table(("subgroup", "stays", "positive", "AUROC", "calibration in the large"), groups),
    ]


def _across(columns: Mapping[str, Mapping[str, Any]], names: Sequence[str], digits: int = 3) -> Table:
    """Return a table of one figure a row and one column a mapping; what a mapping has not is not told."""
    rows = []
    for name in names:
        cells = [_told(found[name], digits) if name in found else "" for found in columns.values()]
        rows.append([_NAMES.get(name, name.replace("_", " ")), *cells])
    return Table(("", *columns), rows)


def _told(figure: Any, digits: int) -> str:
    return interval(figure, digits) if isinstance(figure, Mapping) else number(figure, digits)
