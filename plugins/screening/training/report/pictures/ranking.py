"""Pictures of how well stays are ranked: ROC and precision-recall, by subgroup, and candidate against candidate."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from screening.training.report.pictures.canvas import (
    BAND,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Evaluation,
    below,
    columns,
    drawable,
    numbers,
    rows_down,
    say,
    sheet,
)
from screening.training.report.wording import candidate, interval, number, people

PARTS = (("cross_validation", "cross-validation", ORANGE, "--"), ("test", "untouched patients", BLUE, "-"))


def curves(evaluation: Evaluation) -> Figure:
    """Draw ROC and precision-recall curves with their bands, of the untouched patients and of the cross-validation."""
    parts, label = evaluation["parts"], evaluation["label"]
    test = parts["test"]
    figure, (roc, precision) = sheet(
        evaluation,
        _what_ranks(evaluation),
        f"Untouched patients: {people(test, label)}. Cross-validation: {people(parts['cross_validation'], label)}. Bands "
        "and brackets: 95 % intervals by resampling patients.",
        5.2,
        widths=(1, 1),
    )
    _panel(roc, evaluation, ("roc", "fpr", "tpr"), "auroc")
    roc.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1.2, label="chance: 0.50")
    roc.set(xlabel="1 − specificity (false positive rate)", ylabel="sensitivity", title="ROC (area: AUROC)")
    _panel(precision, evaluation, ("precision_recall", "recall", "precision"), "auprc")
    share = test["prevalence"]
    precision.axhline(share, color=GREY, linestyle=":", linewidth=1.2, label=f"chance (prevalence): {number(share)}")
    precision.set(xlabel="sensitivity (recall)", ylabel="PPV (precision)", title="Precision-recall (area: AUPRC)")
    for axes in (roc, precision):
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        below(axes)
    return figure


def _panel(axes: Axes, evaluation: Evaluation, names: tuple[str, str, str], area: str) -> None:
    curve_name, across, up = names
    for part, name, colour, line in PARTS:
        found = evaluation["parts"][part]
        curve = found["curves"][curve_name]
        if not drawable(curve[up]):
            axes.plot([], [], line, color=colour, label=f"{name}: undefined")
            continue
        x = numbers(curve[across])
        axes.fill_between(x, numbers(curve["low"]), numbers(curve["high"]), color=colour, alpha=BAND, linewidth=0)
        axes.plot(x, numbers(curve[up]), line, color=colour, label=f"{name}: {interval(found[area])}")
    for name, figures in evaluation["baselines"].items():
        if area in figures:  # areas only: the baselines' curves are not kept
            axes.plot([], [], " ", label=f"baseline {candidate(name)}: {interval(figures[area])}")


def _what_ranks(evaluation: Evaluation) -> str:
    test, label = evaluation["parts"]["test"], evaluation["label"]
    auroc = test["auroc"]
    if auroc["value"] is None:
        there = f"{test['positives']:,} of {test['stays']:,} stays with {label}"
        return f"No ranking can be told of the untouched patients: {there}"
    told = f"AUROC {interval(auroc)} on untouched patients"
    if evaluation["tiny"]:
        return f"Too few to judge by: {told}"
    if auroc["low"] is None or auroc["low"] <= 0.5:
        return f"Chance is not ruled out: {told}"
    return f"Stays with {label} are ranked higher: {told}"


def subgroups(evaluation: Evaluation) -> Figure:
    """Draw a forest plot of the AUROC by subgroup."""
    rows, test, label = evaluation["subgroups"], evaluation["parts"]["test"], evaluation["label"]
    figure, (axes, table) = sheet(
        evaluation,
        _what_groups(rows),
        f"Untouched patients: {people(test, label)}. Bars: 95 % intervals. In the large: calibration in "
        "log-odds; above 0 the risk is told too low.",
        1.9 + 0.3 * len(rows),
        widths=(1.2, 1),
        sharey=True,
    )
    heights = rows_down(axes, [f"{row['group']}: {row['level'] or 'unknown'}" for row in rows])
    whole = test["auroc"]["value"]
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1.2)
    if whole is not None:
        axes.axvline(whole, color=BLUE, linewidth=1)
        axes.text(whole, -0.65, f"all: {number(whole)}", color=BLUE, ha="center", va="bottom", fontsize=8)
    for row, height in zip(rows, heights, strict=True):
        _dot(axes, row["auroc"], height, BLUE)
    cells = [
        (f"{row['stays']:,}", f"{row['positives']:,}", interval(row["auroc"]), number(row["calibration_in_the_large"]))
        for row in rows
    ]
    columns(table, (("stays", 1), ("positive", 1), ("AUROC", 1.9), ("in the large", 1.2)), cells)
    lows = [row["auroc"]["low"] for row in rows if row["auroc"]["low"] is not None]
    axes.set_xlim(min(0.45, *lows, 0.45) - 0.02, 1.01)
    axes.set_xlabel("AUROC (dotted: chance)")
    return figure


def _what_groups(rows: Sequence[Mapping[str, Any]]) -> str:
    known = [row for row in rows if row["auroc"]["value"] is not None]
    if not known:
        return "No subgroup's AUROC can be told: none has stays of both labels"
    worst = min(known, key=lambda row: row["auroc"]["value"])
    return f"Lowest AUROC by subgroup: {worst['group']} {worst['level'] or 'unknown'}, {interval(worst['auroc'])}"


def candidates(evaluation: Evaluation) -> Figure:
    """Draw each candidate's figures with their intervals, out of fold."""
    found, best = evaluation["candidates"], evaluation["best"]
    part = evaluation["parts"]["cross_validation"]
    named = candidate(best)
    f1 = found[best]["f1"]
    figure, panels = sheet(
        evaluation,
        f"{named[0].upper()}{named[1:]} is taken: best F1 out of fold, {interval(f1)}, of {len(found)} candidates"
        if len(found) > 1 else f"{named[0].upper()}{named[1:]} is the only candidate: F1 out of fold {interval(f1)}",
        f"Cross-validation: {people(part, evaluation['label'])}. Bars: 95 % intervals; where they overlap, the order may "
        "be chance. With equal F1 the simpler candidate is taken.",
        1.7 + 0.34 * len(found),
        widths=(1, 1, 1, 1),
        sharey=True,
    )  # fmt: skip
    shown = (
        ("f1", "F1 (more is better)"),
        ("auroc", "AUROC (more)"),
        ("auprc", "AUPRC (more)"),
        ("brier", "Brier (less)"),
    )
    heights = rows_down(panels[0], [candidate(name) for name in found])
    for axes, (key, title) in zip(panels, shown, strict=True):
        axes.set_xlabel(title)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=4)
        if all(figures[key]["value"] is None for figures in found.values()):
            say(axes, "undefined")
            continue
        for height, (name, figures) in zip(heights, found.items(), strict=True):
            _dot(axes, figures[key], height, GREEN if name == best else GREY)
            _told(axes, figures[key]["value"], height)
        axes.margins(x=0.15)
    return figure


def _dot(axes: Axes, figure: Mapping[str, float | None], height: float, colour: str) -> None:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return
    if low is not None and high is not None:
        axes.hlines(height, low, high, color=colour, linewidth=2)
    axes.plot([value], [height], "o", color=colour, markersize=6)


def _told(axes: Axes, value: float | None, height: float) -> None:
    if value is None:
        axes.text(0.5, height, "undefined", transform=axes.get_yaxis_transform(), ha="center", va="center", fontsize=8)
    else:
        axes.annotate(number(value, 3), (value, height), (0, 5), textcoords="offset points", ha="center", fontsize=8)
