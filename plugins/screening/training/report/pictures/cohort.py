"""Pictures of the data: who is left at each step, and how stays with the label differ from those without."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from screening.training.report.pictures.canvas import (
    BLUE,
    GREY,
    ORANGE,
    PALE,
    VERMILLION,
    Evaluation,
    columns,
    numbers,
    rows_down,
    say,
    sheet,
)
from screening.training.report.wording import UNDEFINED, number, people, percent, unit

SMALL = 0.1
"""A standardized mean difference below it is by custom called none."""


def attrition(evaluation: Evaluation) -> Figure:
    """Draw the stays and the positive stays that are left at each step of exclusion."""
    steps, label = evaluation["attrition"], evaluation["label"]
    first, last = steps[0], steps[-1]
    figure, (all_, positive) = sheet(
        evaluation,
        f"{last['stays']:,} of {first['stays']:,} stays are learned from or judged by, {last['positives']:,} of them "
        f"with {label}",
        f"Before: {people(first, label)}. After all steps: {people(last, label)}. In brackets what the step left out.",
        1.5 + 0.32 * len(steps),
        widths=(1, 1),
        sharey=True,
    )
    rows = rows_down(all_, [step["step"] for step in steps])
    positive.tick_params(axis="y", length=0)
    for axes, key, colour in ((all_, "stays", BLUE), (positive, "positives", VERMILLION)):
        left = [step[key] for step in steps]
        axes.barh(rows, left, height=0.62, color=colour)
        lost = [0, *(before - after for before, after in pairwise(left))]
        for row, n, gone in zip(rows, left, lost, strict=True):
            axes.annotate(
                f"{n:,} (−{gone:,})" if gone else f"{n:,}", (n, row), (4, 0), textcoords="offset points", va="center"
            )
        axes.set_xlim(0, 1.6 * max(*left, 1))
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    all_.set_xlabel("stays")
    positive.set_xlabel(f"stays with {label}")
    return figure


def covariates(evaluation: Evaluation) -> Figure:
    """Draw missing shares and standardized mean differences of the features, positive against negative stays."""
    rows, label = evaluation["covariates"], evaluation["label"]
    figure, (missing, differs, means) = sheet(
        evaluation,
        _what_differs(rows),
        f"All stays learned from and judged by: {people(evaluation['attrition'][-1], label)}. Grey band: differences below "
        f"{SMALL}, by custom none. Right: mean (standard deviation) with and without {label}.",
        1.6 + 0.3 * len(rows),
        widths=(1, 1, 0.9),
        sharey=True,
    )
    heights = rows_down(missing, [_named(row) for row in rows])
    differs.tick_params(axis="y", length=0)
    _missing(missing, rows, heights.tolist(), label)
    _differences(differs, rows, heights.tolist(), label)
    cells = [[_mean(row[side]) for side in ("positive", "negative")] for row in rows]
    columns(means, (("with", 1), ("without", 1)), cells)
    return figure


def _missing(axes: Axes, rows: Sequence[Mapping[str, Any]], heights: Sequence[float], label: str) -> None:
    with_, without = (numbers([row[side]["missing"] for row in rows]) * 100 for side in ("positive", "negative"))
    axes.hlines(heights, np.fmin(with_, without), np.fmax(with_, without), color=PALE, linewidth=3)
    axes.plot(without, heights, "o", color=BLUE, label=f"without {label}")
    axes.plot(with_, heights, "D", color=VERMILLION, markersize=5, label=f"with {label}")
    axes.set_xlim(left=min(-2.0, axes.get_xlim()[0]))
    axes.set_xlabel("missing, % of stays")
    legend = axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=2, handletextpad=0.1, columnspacing=1, borderaxespad=0.2
    )
    legend.set_in_layout(False)  # it reaches over the next panel, which is empty there


def _differences(axes: Axes, rows: Sequence[Mapping[str, Any]], heights: Sequence[float], label: str) -> None:
    found = numbers([row["smd"] for row in rows])
    if np.isnan(found).all():
        say(axes, f"No difference can be told: there is no stay with {label}, or none without")
        return
    axes.axvspan(-SMALL, SMALL, color=PALE, alpha=0.5, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.hlines(heights, 0, found, color=ORANGE, linewidth=2)
    axes.plot(found, heights, "o", color=ORANGE)
    far = 1.15 * max(float(np.nanmax(np.abs(found))), 2 * SMALL)
    axes.set_xlim(-far, far)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("standardized mean difference")


def _what_differs(rows: Sequence[Mapping[str, Any]]) -> str:
    known = [row for row in rows if row["smd"] is not None]
    gaps = [row for row in rows if row["negative"]["missing"] is not None]
    told = []
    if known:
        most = max(known, key=lambda row: abs(row["smd"]))
        told.append(f"{most['feature']} differs most (SMD {most['smd']:+.2f})")
    if gaps:
        most = max(gaps, key=lambda row: row["negative"]["missing"])
        told.append(
            f"{most['feature']} is missing most often ({percent(most['negative']['missing'])} of negative stays)"
        )
    return "; ".join(told) or "Neither differences nor missing values can be told"


def _named(row: Mapping[str, Any]) -> str:
    return ", ".join(part for part in (row["feature"], unit(row["unit"])) if part)


def _mean(side: Mapping[str, float | None]) -> str:
    if side["mean"] is None:
        return UNDEFINED
    digits = 1 if abs(side["mean"]) >= 10 else 2
    return (
        number(side["mean"], digits) if side["sd"] is None else f"{side['mean']:.{digits}f} ({side['sd']:.{digits}f})"
    )
