"""The picture of what the model leans on."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from screening.training.report.pictures.canvas import BLUE, GREY, Evaluation, rows_down, say, sheet
from screening.training.report.wording import people


def importances(evaluation: Evaluation) -> Figure:
    """Draw how much AUROC is lost when one feature is shuffled among the stays, the greatest loss first."""
    rows = [row for row in evaluation["importances"] if row["auroc_loss"] is not None]
    rows.sort(key=lambda row: (-row["auroc_loss"], row["feature"]))
    test, label = evaluation["parts"]["test"], evaluation["label"]
    figure, (axes,) = sheet(
        evaluation,
        _what_it_needs(rows),
        f"Untouched patients: {people(test, label)}. Bars: one standard deviation over the shuffles. A feature that another "
        "can stand in for looks less important than it is.",
        1.5 + 0.28 * max(len(rows), 4),
    )
    if not rows:
        say(axes, "undefined: without stays of both labels there is no AUROC to lose")
        return figure
    heights = rows_down(axes, [row["feature"] for row in rows])
    losses = [row["auroc_loss"] for row in rows]
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.barh(heights, losses, height=0.55, color=BLUE, alpha=0.55)
    for height, row in zip(heights, rows, strict=True):
        loss, sd = row["auroc_loss"], row["sd"] or 0.0
        axes.hlines(height, loss - sd, loss + sd, color=BLUE, linewidth=1.6)
        axes.annotate(f"{loss:.3f}", (max(loss + sd, 0.0), height), (5, 0), textcoords="offset points", va="center")
    axes.margins(x=0.12)
    axes.set_xlabel("loss of AUROC when the feature is shuffled")
    return figure


def _what_it_needs(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "What the model leans on cannot be told of the untouched patients"
    first, loss = rows[0]["feature"], rows[0]["auroc_loss"]
    if loss <= 0:
        return "No feature is missed: shuffling none of them costs AUROC"
    return f"The model leans most on {first}: shuffled, it costs {loss:.3f} of AUROC"
