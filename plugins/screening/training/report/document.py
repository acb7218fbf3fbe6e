"""A short document of headings, paragraphs, lists, tables and pictures, written as Markdown and as one page of HTML.

Whatever text is put in comes out as text: nothing in it is taken for Markdown or HTML, but a picture's own `<svg>`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_CSS = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 54rem; margin: 1.5rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #ccc; }
.caution { border-left: 4px solid #d55e00; background: #fdf3ec; padding: .4rem .8rem; margin: .5rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .87rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid #ddd;
  overflow-wrap: anywhere; min-width: 3rem; }
th { border-bottom-color: #666; overflow-wrap: normal; }
.passed { color: #00664b; } .refused { color: #a33f00; font-weight: bold; } .waived { color: #7a5200; font-weight: bold; }
figure { margin: 1rem 0 2rem; break-inside: avoid; } figure svg { width: 100%; height: auto; }
figcaption { font-size: .87rem; color: #444; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""
_MARKED = ("passed", "refused", "waived")
"""Cells that HTML colours; the word itself tells it too."""


@dataclass(frozen=True)
class Caution:
    """A sentence that must not be missed."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; a table without rows is written as the words in `empty`."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = "none"


@dataclass(frozen=True)
class Drawing:
    """A picture as `<svg>`, and the sentence beneath it; Markdown has the sentence alone."""

    svg: str
    caption: str


Block = str | Caution | Items | Table | Drawing


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; no heading for an empty title."""

    title: str
    blocks: Sequence[Block]


def markdown(title: str, sections: Sequence[Section]) -> str:
    """Return the document as Markdown."""
    parts = [f"# {plain(title)}"]
    for section in sections:
        if section.title:
            parts.append(f"## {plain(section.title)}")
        parts += [_markdown(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def html(title: str, sections: Sequence[Section]) -> str:
    """Return the document as one page that refers to nothing outside itself and has no scripts."""
    parts = [f"<h1>{escape(title)}</h1>"]
    for section in sections:
        heading = f"<h2>{escape(section.title)}</h2>\n" if section.title else ""
        body = "\n".join(_html(block) for block in section.blocks)
        parts.append(f"<section>\n{heading}{body}\n</section>")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_CSS}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def plain(text: str) -> str:
    """Return text so that Markdown shows it as it is, on one line."""
    return re.sub(r"([\\`*|\[\]<>])", r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _markdown(block: Block) -> str:
    if isinstance(block, str):
        return plain(block)
    if isinstance(block, Caution):
        return f"> **{plain(block.text)}**"
    if isinstance(block, Items):
        return "\n".join(f"- {plain(text)}" for text in block.texts)
    if isinstance(block, Drawing):
        return plain(block.caption)
    return table(block.head, block.rows) if block.rows else plain(block.empty)


def _html(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Caution):
        return f'<p class="caution"><strong>{escape(block.text)}</strong></p>'
    if isinstance(block, Items):
        return "<ul>\n" + "\n".join(f"<li>{escape(text)}</li>" for text in block.texts) + "\n</ul>"
    if isinstance(block, Drawing):
        return f"<figure>\n{block.svg}\n<figcaption>{escape(block.caption)}</figcaption>\n</figure>"
    if not block.rows:
        return f"<p>{escape(block.empty)}</p>"
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in block.head)
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in block.rows)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def _cell(text: str) -> str:
    marked = f' class="{text}"' if text in _MARKED else ""
    return f"<td{marked}>{escape(text)}</td>"
