"""Pictures of the probability itself: whether it is true, and what acting on it costs and brings."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from screening.training.report.pictures.canvas import (
    BAND,
    BLUE,
    GREY,
    ORANGE,
    VERMILLION,
    Evaluation,
    drawable,
    numbers,
    say,
    sheet,
)
from screening.training.report.wording import interval, number, people


def calibration(evaluation: Evaluation) -> Figure:
    """Draw how often stays of each predicted probability have the label, with the band and the groups behind it."""
    parts, label = evaluation["parts"], evaluation["label"]
    test, other = parts["test"], parts["cross_validation"]
    bins = test["curves"]["calibration_bins"]
    figure, (axes, words) = sheet(
        evaluation,
        _what_holds(test),
        f"Untouched patients: {people(test, label)}. Band: 95 % interval. {_groups(bins)}",
        4.5,
        widths=(1.7, 1),
    )
    words.set_axis_off()
    words.text(0, 1, _figures(test["calibration"]), transform=words.transAxes, va="top", linespacing=1.5)
    curve = test["curves"]["calibration"]
    if not drawable(curve["observed"]):
        say(axes, f"No calibration curve: {test['positives']:,} of {test['stays']:,} untouched stays with {label}")
        return figure
    top = _round_top([*curve["predicted"], *curve["observed"], *(each["observed"] for each in bins)])
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1.2, label="perfect: observed as predicted")
    cross = other["curves"]["calibration"]
    if drawable(cross["observed"]):
        axes.plot(numbers(cross["predicted"]), numbers(cross["observed"]), "--", color=ORANGE, label="cross-validation")
    x = numbers(curve["predicted"])
    axes.fill_between(x, numbers(curve["low"]), numbers(curve["high"]), color=BLUE, alpha=BAND, linewidth=0)
    axes.plot(x, numbers(curve["observed"]), color=BLUE, label="untouched patients, smoothed")
    spots = [[each[key] for each in bins] for key in ("predicted", "observed")]
    axes.plot(
        *spots,
        "o",
        color=BLUE,
        markerfacecolor="white",
        markersize=5,
        clip_on=False,
        label="untouched patients, in groups",
    )
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="predicted probability", ylabel=f"share of stays with {label}")
    axes.set_aspect("equal")
    axes.locator_params(nbins=6)
    words.legend(*axes.get_legend_handles_labels(), loc="lower left", borderaxespad=0, handlelength=1.6)
    return figure


def _what_holds(test: Mapping[str, Any]) -> str:
    found = test["calibration"]
    predicted, observed = found["mean_predicted"], found["mean_observed"]
    if predicted is None or observed is None or found["slope"]["value"] is None:
        return "Calibration cannot be told of the untouched patients"
    told = f"{100 * predicted:.1f} % is predicted on average and {100 * observed:.1f} % observed"
    return f"On untouched patients {told}; slope {interval(found['slope'])}"


def _groups(bins: Sequence[Mapping[str, Any]]) -> str:
    if not bins:
        return "No groups of stays."
    sizes = [each["stays"] for each in bins]
    size = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
    return f"Circles: {len(bins)} groups of {size} stays by predicted probability."


def _figures(found: Mapping[str, Any]) -> str:
    e = ", ".join(number(found[key], 3) for key in ("e_avg", "e_90", "e_max"))
    rows = (
        ("intercept (perfect: 0)", interval(found["intercept"])),
        ("slope (perfect: 1)", interval(found["slope"])),
        ("in the large (perfect: 0)", interval(found["in_the_large"])),
        ("ECE (perfect: 0)", interval(found["ece"], 3)),
        ("E average, E90, E max (perfect: 0)", e),
    )
    return "\n".join(f"{name}\n   {value}" for name, value in rows)


def _round_top(values: Sequence[float | None]) -> float:
    """Return the upper end of both axes: a tenth, so that rare labels are not squeezed into a corner."""
    return float(np.clip(np.ceil(10 * np.nanmax(numbers(values)) + 0.2) / 10, 0.1, 1.0))


def thresholds(evaluation: Evaluation) -> Figure:
    """Draw what each threshold would mean, the operating points marked."""
    curve, label = evaluation["threshold_curve"], evaluation["label"]
    known = [point for point in evaluation["operating_points"] if point["threshold"] is not None]
    points = sorted(known, key=lambda point: point["threshold"])
    key = "; ".join(f"{chr(65 + n)} {point['name']}, at {number(point['threshold'])}" for n, point in enumerate(points))
    chosen = next((each for each in points if each["threshold"] == evaluation["threshold"]), None)
    figure, panels = sheet(
        evaluation,
        _what_it_costs(evaluation["threshold"], chosen, label),
        f"Operating points: {key}; dots with their 95 % intervals. Untouched patients: "
        f"{people(evaluation['parts']['test'], label)}.",
        6.2,
        rows=2,
        widths=(1, 1),
        sharex=True,
    )
    shown = (
        ("sensitivity", f"sensitivity (stays with {label} found)", 1.02),
        ("ppv", f"PPV (share of alerts with {label})", 1.02),
        ("alerts_per_100", "alerts per 100 stays", 102),
        ("number_needed_to_evaluate", f"number needed to evaluate (alerts for one with {label})", None),
    )
    for axes, (name, title, top) in zip(panels, shown, strict=True):
        axes.set_title(textwrap.fill(title, 46), pad=15)
        if not drawable(curve[name]):
            say(axes, "undefined: the untouched stays all have one label")
            continue
        axes.plot(numbers(curve["threshold"]), numbers(curve[name]), color=BLUE)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, top)
        _points(axes, points, name)
    for axes in panels[2:]:
        axes.set_xlabel("threshold on the probability")
    return figure


def _points(axes: Axes, points: Sequence[Mapping[str, Any]], name: str) -> None:
    top, written = axes.get_ylim()[1], -1.0
    for n, point in enumerate(points):
        x, found = point["threshold"], point[name]
        axes.axvline(x, color=GREY, linewidth=0.7, linestyle=":")
        spot = max(x, written + 0.035)  # points that nearly coincide have their letters side by side
        there = axes.get_xaxis_transform()
        axes.text(spot, 1.01, chr(65 + n), transform=there, ha="center", va="bottom", fontsize=8, fontweight="bold")
        written = spot
        if found["value"] is None:
            continue
        if found["low"] is not None and found["high"] is not None:
            axes.vlines(x, found["low"], min(found["high"], top), color=VERMILLION, linewidth=1.5)
        axes.plot([x], [found["value"]], "o", color=VERMILLION, markersize=5)


def _what_it_costs(threshold: float, point: Mapping[str, Any] | None, label: str) -> str:
    if point is None or point["sensitivity"]["value"] is None or point["alerts_per_100"]["value"] is None:
        return f"What the threshold {number(threshold)} would mean cannot be told of the untouched patients"
    found, alerts = point["sensitivity"]["value"], point["alerts_per_100"]["value"]
    finds = f"{alerts:.1f} alerts per 100 stays find {100 * found:.0f} % of the stays with {label}"
    told = f"At the threshold {number(threshold)}: {finds}"
    evaluate = point["number_needed_to_evaluate"]["value"]
    return told if evaluate is None else f"{told}, {evaluate:.1f} alerts for each"


def net_benefit(evaluation: Evaluation) -> Figure:
    """Draw the decision curve: the model against alerting for all and for none."""
    curve, label = evaluation["net_benefit"], evaluation["label"]
    x, model, every = (numbers(curve[name]) for name in ("threshold", "model", "treat_all"))
    figure, (axes,) = sheet(
        evaluation,
        _what_benefit(x, model, every),
        f"Untouched patients: {people(evaluation['parts']['test'], label)}. No interval is drawn: with few of "
        "these the line is mostly chance.",
        4.0,
    )
    if np.isnan(model).all():
        say(axes, "undefined: the untouched stays all have one label")
        return figure
    top = max(float(np.nanmax(model)), float(np.nanmax(every)), 0.01)
    axes.plot(x, every, "--", color=ORANGE, label="alert for every stay")
    axes.axhline(0, color=GREY, linestyle=":", label="alert for none")
    axes.plot(x, model, color=BLUE, label="alert by the model")
    axes.set(xlim=(0, 1), ylim=(min(-0.25 * top, max(1.1 * float(np.nanmin(model)), -top)), 1.08 * top))
    axes.set(xlabel="threshold on the probability", ylabel="net benefit,\ntrue positives a stay")
    axes.legend(loc="upper right")
    return figure


def _what_benefit(x: Any, model: Any, every: Any) -> str:
    if np.isnan(model).all():
        return "Net benefit cannot be told of the untouched patients"
    better = x[model > np.fmax(every, 0) + 1e-9]
    if not len(better):
        return "At no threshold has the model more net benefit than alerting for every stay or for none"
    ends = " and ".join(number(float(end)) for end in (better.min(), better.max()))
    where = f"{len(better)} of {len(x)} thresholds, between {ends}"
    return f"More net benefit than alerting for every stay or for none at {where}"
