"""The rates of a report as one SVG picture: a row a model version, a dot a rate, a bar its 95 % interval.

Written by hand and not by matplotlib, which the sidecar's image does not have: there the database is, and there it is drawn.
"""

from collections.abc import Callable, Iterator
from html import escape

from screening.feedback.figures import Group, Report
from screening.feedback.rates import FEW, Share

BLUE, VERMILLION, INK, GREY, PALE = "#0072B2", "#D55E00", "#222222", "#666666", "#DDDDDD"
"""Okabe and Ito's colours, which all eyes tell apart: those of the training report."""
WIDTH, ROW, TOP = 940, 30, 100
_LABEL = 32  # characters of a name; the whole one is its tooltip
_PANELS: tuple[tuple[str, str, int, Callable[[Group], Share | None]], ...] = (
    ("accepted, of the answered with a suggestion", BLUE, 270, lambda group: group.accepted),
    ("overridden, of all answered", VERMILLION, 610, lambda group: group.overridden),
)
_ACROSS, _TOLD = 180, 16  # a panel's width, and the gap before its figures


def as_svg(report: Report) -> str:
    """Return a report's rates by model version as an SVG document; the same report gives the same text.

    Comments and reasons are not in it.
    """
    rows = (report.total, *report.models)
    bottom = TOP + ROW * len(rows)
    parts = [*_heads(report), *_axes(bottom)]
    for at, group in enumerate(rows):
        parts += _row(group, TOP + ROW * at + ROW / 2)
    parts += _foot(report, bottom)
    height = bottom + 120
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_plain(_title(report))}" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="DejaVu Sans, Helvetica, Arial, sans-serif">'
    )
    return "\n".join([begin, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>\n"])


def _title(report: Report) -> str:
    total = report.total
    found = total.overridden
    if found is None:
        return f"None of {total.issued} cards was answered: there is no rate to show"
    return (
        f"Users overrode {_percent(found.share)} of the cards that they answered "
        f"({_percent(found.low)} to {_percent(found.high)})"
    )


def _heads(report: Report) -> Iterator[str]:
    total = report.total
    chosen = [report.service or "all services"]
    if report.since:
        chosen.append(f"cards since {report.since.isoformat()}")
    chosen.append(f"{total.issued} issued, {total.answered} answered")
    if report.pruned:
        chosen.append(f"{report.pruned} without feedback removed since")
    yield _text(12, 26, _title(report), size=16, weight="bold")
    yield _text(12, 48, " · ".join(chosen), colour=GREY)
    for name, colour, left, _ in _PANELS:
        yield _text(left, TOP - 12, name, colour=colour, weight="bold")


def _axes(bottom: int) -> Iterator[str]:
    for _, _, left, _ in _PANELS:
        for tick in (0, 25, 50, 75, 100):
            x = left + _ACROSS * tick / 100
            yield f'<line x1="{x:g}" y1="{TOP}" x2="{x:g}" y2="{bottom}" stroke="{PALE}"/>'
            if tick % 50 == 0:
                yield _text(x, bottom + 16, f"{tick} %", colour=GREY, anchor="middle", size=11)


def _row(group: Group, y: float) -> Iterator[str]:
    name = _plain(group.name)
    # Cut in the middle: versions differ at the end.
    shown = group.name if len(group.name) <= _LABEL else f"{group.name[:8]}…{group.name[9 - _LABEL :]}"
    yield f"<g><title>{name}</title>{_text(12, y + 4, f'{shown} *' if group.few else shown)}</g>"
    for _, colour, left, rate in _PANELS:
        found = rate(group)
        if found is None:
            yield _text(left + _ACROSS / 2, y + 4, "none to count", colour=GREY, anchor="middle", size=11)
            continue
        low, at, high = (left + _ACROSS * part for part in (found.low, found.share, found.high))
        hollow = found.of < FEW  # each rate has a number of its own
        yield f'<line x1="{low:.1f}" y1="{y:g}" x2="{high:.1f}" y2="{y:g}" stroke="{colour}" stroke-width="2.5"/>'
        yield (
            f'<circle cx="{at:.1f}" cy="{y:g}" r="5" fill="{"white" if hollow else colour}" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        told = f"{_percent(found.share)} ({found.count} of {found.of})"
        yield _text(left + _ACROSS + _TOLD, y + 4, told, size=11)


def _foot(report: Report, bottom: int) -> Iterator[str]:
    groups = (report.total, *report.models)
    rates = [found for _, _, _, rate in _PANELS for group in groups if (found := rate(group))]
    few = any(group.few for group in groups) or any(found.of < FEW for found in rates)
    notes = {
        "Dot: the rate. Bar: its 95 % interval (Wilson). It takes answers as independent; those of one clinician or patient "
        "are not.": True,
        "Silence is no answer: the card was ignored, or its EHR sends no feedback.": True,
        f"* and hollow dots: fewer than {FEW} answers, too few to compare.": few,
        "Rates tell what users did with cards, and not whether the cards were right.": True,
    }
    for at, note in enumerate(note for note, holds in notes.items() if holds):
        yield _text(12, bottom + 44 + 18 * at, note, colour=GREY, size=11)


def _text(
    x: float, y: float, words: str, *, size: int = 12, colour: str = INK, anchor: str = "start", weight: str = "normal"
) -> str:
    how = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:g}" y="{y:g}" {how}>{_plain(words)}</text>'


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _plain(text: str) -> str:
    """Return a text that is nothing but text in XML, which has no control characters either."""
    return escape("".join(sign if sign.isprintable() else "\ufffd" for sign in text))
