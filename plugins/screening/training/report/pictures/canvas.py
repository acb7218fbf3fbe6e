"""The surface that all pictures share: one style, colours that all eyes tell apart, the same SVG bytes on every run.

No `pyplot`: its figures live in a global list, and a task may draw many. The palette is Okabe and Ito's.
"""

import io
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from screening.training.report.wording import mark

Evaluation = Mapping[str, Any]
Draw = Callable[[Evaluation], Figure]

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
INK, GREY, PALE = "#222222", "#666666", "#DDDDDD"
BAND = 0.18
"""Opacity of an interval's band."""
WIDTH = 7.6
"""Of every picture, in inches."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and printed
    "text.parse_math": False,  # a label with dollars in it is no formula
    "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8.5,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": GREY, "ytick.color": GREY, "axes.edgecolor": GREY,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": PALE, "grid.linewidth": 0.6, "axes.titlelocation": "left", "legend.frameon": False,
    "lines.linewidth": 1.8,
}  # fmt: skip
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class Picture:
    """One drawn picture.

    Attributes
    ----------
    name
        For a file or an anchor: lower case and underscores.
    title
        What is seen, as one sentence; also drawn.
    how_to_read
        One sentence for whoever has not seen such a picture before.
    svg
        An `<svg>` element, to be put into HTML as it is or into a file of its own.
    """

    name: str
    title: str
    how_to_read: str
    svg: str


def picture(name: str, how_to_read: str, draw: Draw, evaluation: Evaluation) -> Picture:
    """Draw one picture; the same evaluation gives the same bytes."""
    with style(name):
        figure = draw(evaluation)
        held = io.StringIO()
        figure.savefig(held, format="svg", metadata=_NO_METADATA)
    title = " ".join(figure.get_suptitle().split())
    return Picture(name, title, how_to_read, _element(held.getvalue(), title))


@contextmanager
def style(salt: str) -> Iterator[None]:
    """Draw in our style, whatever the machine's own settings are; `salt` keeps the ids of two pictures apart."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE | {"svg.hashsalt": salt})  # type: ignore[arg-type]  # its keys are typed as literals
        yield


def sheet(
    evaluation: Evaluation,
    title: str,
    caption: str,
    height: float,
    *,
    rows: int = 1,
    widths: Sequence[float] = (1,),
    **more: Any,
) -> tuple[Figure, list[Axes]]:
    """Return an empty picture and its panels, row by row.

    Parameters
    ----------
    title, caption
        What is seen, and of how many stays; both are broken into lines. The caption also tells of invented or too few data.
    height
        In inches.
    widths
        Of the panels in a row, relative to each other.
    more
        For `Figure.subplots`.
    """
    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    figure.suptitle(textwrap.fill(title, 82), x=0.01, ha="left", fontsize=11, fontweight="bold")
    caption = f"{caption} {mark(evaluation)}".strip()
    figure.supxlabel(textwrap.fill(caption, 118), x=0.01, ha="left", fontsize=8, color=GREY)
    axes = figure.subplots(rows, len(widths), squeeze=False, width_ratios=widths, **more)
    return figure, [*axes.ravel()]


def say(axes: Axes, words: str) -> None:
    """Put words where a curve cannot be."""
    axes.set_axis_off()
    words = textwrap.fill(words, 34)
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=GREY, in_layout=False)


def numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Return a curve's values, NaN where one is undefined: a line has a gap there."""
    return np.array(values, dtype="float64")


def drawable(values: Sequence[float | None]) -> bool:
    """Tell whether a curve has a value at all."""
    return any(value is not None for value in values)


def below(axes: Axes) -> None:
    """Put the legend under a panel, where it covers nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.19), borderaxespad=0, handlelength=1.6, labelspacing=0.35)


def rows_down(axes: Axes, labels: Sequence[str]) -> npt.NDArray[np.float64]:
    """Make a panel of one row a label, the first at the top; return the rows' heights."""
    heights = np.arange(len(labels), dtype="float64")
    axes.set_yticks(heights, labels, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return heights


def columns(axes: Axes, heads: Sequence[tuple[str, float]], rows: Sequence[Sequence[str]]) -> None:
    """Write a table beside a panel whose rows it shares, see `rows_down`; each head with its column's relative width."""
    axes.set_axis_off()
    axes.set_title(" ")  # keeps room for the heads
    ends = np.cumsum([width for _, width in heads])
    there: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "center", "in_layout": False}
    for column, (head, width) in enumerate(heads):
        x = float((ends[column] - width / 2) / ends[-1])
        axes.text(x, -0.65, head, va="bottom", color=GREY, fontsize=8.5, **there)
        for height, row in enumerate(rows):
            axes.text(x, height, row[column], va="center", fontsize=8, **there)


def _element(svg: str, title: str) -> str:
    """Return the `<svg>` element alone, named for readers who do not see, and without ids that nothing refers to."""
    svg = svg[svg.index("<svg") :].strip()
    used = {name for found in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg) for name in found}
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
