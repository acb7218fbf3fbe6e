"""Foreign text within a card: whatever it is, a renderer of Markdown shows it and makes nothing else of it."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.results.cards.charts_opened import Rendered

from screening.results.cards.markdown import LONGEST, escaped, one_line, plain

MARKS = st.text(alphabet="<>&|`[]()!*_#~\\/.:@\"'$^{}-+=\n\t ahtpsw1", max_size=60)
BITS = st.sampled_from(
    [
        "<img src=http://evil.example.com/x onerror=alert(1)>", "<script>", "</td>", "<!--", "-->", "<![CDATA[", "<?php",
        "&lt;b&gt;", "&#60;b&#62;", "[a](javascript:alert(1))", "![x](http://evil.example.com/x.png)",
        "[a]: http://evil.example.com", "[^1]", "| a | b |", "\n\n# heading", "\n---\n", "\n|---|", "\n- item",
        "\n1. one", "\n> quote", "```\ncode\n```", "`code`", "~~gone~~", "**bold**", "__bold__", "\\|", "\\\\|",
        "\\", "http://evil.example.com/x", "HTTPS://evil.example.com", "www.evil.example.com", "WwW.1", "example.com",
        "a@evil.example.com", "mailto:a@evil.example.com", "ftp://evil.example.com", "//evil.example.com",
        "xmpp:a@b.example.com/c",
        "3m.com", "пример.рф", "例え.テスト", "\u202eHGIH", "\u2028", "\x00", "\ud800", "\U0001f4a9", "\u200b", "\ufeff",
        "<a@b.example.com>", "<http://evil.example.com>", "- [ ] task", ":::note", "$x$", "^up^", "{x}",
    ]
)  # fmt: skip
FOREIGN = st.lists(st.one_of(MARKS, BITS, st.text(max_size=20)), max_size=6).map("".join)
# What renderers link by themselves: the patterns of mdast-util-gfm-autolink-literal, which looks at text without escapes.
AUTOLINKS = [
    re.compile(r"(https?://|www(?=\.))([-.\w]+)([^ \t\r\n]*)", re.IGNORECASE),
    re.compile(r"([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)"),
    re.compile(r"(?:mailto|xmpp):[-.\w+]+@", re.IGNORECASE),
]


def shown(text: str) -> str:
    """Return what is to be read of a foreign text, without the zero-width spaces that break up addresses."""
    return one_line(text).replace("\u200b", "")


@pytest.mark.parametrize(
    "text", ["<b>x</b>", "*x*", "https://a.example.com", "www.a.example.com", "a@b.example.com", "[a](b)", "`x`"]
)
def test_the_renderer_makes_elements_of_what_is_not_escaped(text: str) -> None:
    assert Rendered(text).elements != ["p"]
    assert Rendered(escaped(text)).elements == ["p"]


@given(FOREIGN)
@example("<img src=http://evil/x>")
@example("| \n# x [a](javascript:1)")
@example("\\")
@example("\\|`")
@example("http:////evil.example.com")
@example("a.b.c.example.com")
@example("www")
def test_ch46_in_a_paragraph_a_foreign_text_is_text_and_nothing_else(text: str) -> None:
    found = Rendered(f"Remark: {escaped(text)}.\n\nAnother.")
    assert found.elements == ["p", "p"]
    assert found.attributes == []
    assert found.text.replace("\u200b", "").split("\n")[0].rstrip() == f"Remark: {shown(text)}.".rstrip()
    assert not [pattern for pattern in AUTOLINKS if pattern.search(found.text)]


@given(FOREIGN, FOREIGN)
def test_ch46_in_a_table_a_foreign_text_stays_within_its_cell(one: str, other: str) -> None:
    found = Rendered(f"| a | b |\n|---|---|\n| x {escaped(one)} | {escaped(other)} y |\n| c | d |")
    assert found.elements == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td", "tr", "td", "td"]
    cells = [[cell.replace("\u200b", "").strip() for cell in row] for row in found.rows]
    assert cells == [["a", "b"], [f"x {shown(one)}".strip(), f"{shown(other)} y".strip()], ["c", "d"]]
    assert not [pattern for pattern in AUTOLINKS if pattern.search(" | ".join(found.rows[1]))]


@given(FOREIGN)
def test_ch46_no_client_that_takes_it_for_html_finds_a_tag(text: str) -> None:
    for made in (escaped(text), plain(text)):
        assert not re.search(r"[<>\n\r]", made)
        made.encode()  # no half of a pair


@pytest.mark.parametrize("mark", list("<>&|`[]!*_#\\"))
def test_ch46_each_mark_of_markdown_and_html_is_escaped(mark: str) -> None:
    made = escaped(f"a{mark}b")
    assert made != f"a{mark}b"
    assert Rendered(made).text.strip() == f"a{mark}b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Heart\n rate\t", "Heart rate"),
        ("a\u2028b\u00a0c\x00d\x85e", "a b c d e"),
        ("\u202eHGIH\u202c \u2066x\u2069", "HGIH x"),
        ("ab\u200bc\ufeff", "abc"),
        ("نام\u200cها", "نام\u200cها"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("Größe µ ≥ 3 💉", "Größe µ ≥ 3 💉"),
        ("", ""),
    ],
)
def test_one_line_leaves_out_what_cannot_be_seen(text: str, expected: str) -> None:
    assert one_line(text) == expected


@given(st.text(), st.integers(min_value=2, max_value=400))
def test_a_text_is_cut_by_the_units_that_a_browser_counts(text: str, longest: int) -> None:
    made = one_line(text, longest)
    assert len(made.encode("utf-16-le")) // 2 <= longest
    if made != one_line(text, 10**6):
        assert made.endswith("…")
        assert one_line(text, 10**6).startswith(made[:-1])


def test_a_long_text_is_cut_before_it_is_escaped() -> None:
    made = escaped("<" * 10_000)
    assert made == "&lt;" * (LONGEST - 1) + "…"


def test_ordinary_words_are_left_alone() -> None:
    for text in (
        "Heart rate",
        "Sex (male 1, female 0)",
        "2.1.0",
        "28.5 10³/µL",
        "/min",
        "naïve, größer; 3 - 2",
        "model's",
    ):
        assert escaped(text) == text
        assert plain(text) == text


@given(st.text())
def test_a_text_cleaned_twice_is_the_same(text: str) -> None:
    once = one_line(text)
    assert one_line(once) == once
    assert all(unicodedata.category(mark) not in ("Cc", "Cs", "Zl", "Zp") for mark in once)
