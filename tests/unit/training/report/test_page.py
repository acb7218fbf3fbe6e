"""The report: what must be known first stands first, nothing is lost or taken for HTML, and it needs nothing else."""

import json
from collections.abc import Iterator
from copy import deepcopy
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.unit.training import run_facts
from tests.unit.training.run_facts import RULES, drawn, evaluation, facts, plan, schema

from screening.errors import FatalError
from screening.training.report.page import EVALUATION, HTML, MARKDOWN, brief, write_report
from screening.training.report.pictures import album

FILES = (HTML, MARKDOWN, EVALUATION)
VOID = {"meta", "br", "hr", "img", "link"}


class _Page(HTMLParser):
    """The page's text, and what in it is not well-formed, leads elsewhere or runs."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.faults: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("script", "link", "iframe", "object", "embed", "img", "base"):
            self.faults.append(tag)
        for name, value in attrs:
            leads = name in ("src", "href", "xlink:href", "action") and not (value or "").startswith("#")
            if leads or name.startswith("on") or "url(" in (value or "").replace("url(#", ""):
                self.faults.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style" and ("url(" in data or "@import" in data):
            self.faults.append(data)
        self.text.append(data)


@pytest.fixture(autouse=True)
def _pictures_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the pictures that were drawn before: each evaluation's are drawn once for all tests."""
    known = {id(evaluation(case)): case for case in ("whole", "tiny", "undefined")}
    ready = {case: list(drawn(case).values()) for case in known.values()}  # before the album is replaced
    monkeypatch.setattr(album, "pictures", lambda found: ready[known.get(id(found), "tiny")])


def _written(folder: Path, case: str = "whole", **other: Any) -> dict[str, str]:
    write_report(folder, schema(), plan(), evaluation(case), facts(**other))
    return {name: (folder / name).read_bytes().decode() for name in FILES}


@pytest.fixture
def report(tmp_path: Path) -> dict[str, str]:
    return _written(tmp_path / "run" / "report")


def _in_order(text: str, *wanted: str) -> Iterator[bool]:
    at = -1
    for words in wanted:
        at = text.find(words, at + 1)
        yield at >= 0


@pytest.mark.parametrize("name", [HTML, MARKDOWN])
def test_every_rule_of_the_gate_is_told_with_its_verdict_and_words(report: dict[str, str], name: str) -> None:
    text = " ".join(_Page(report[name]).text) if name == HTML else report[name]
    flat = " ".join(text.replace("|", " ").split())
    assert [rule["rule"] for rule in RULES if f"{rule['rule']} {rule['verdict']} {rule['words']}" not in flat] == []
    assert "Not promoted" in flat
    assert "better than chance was refused" in flat


@pytest.mark.parametrize("name", [HTML, MARKDOWN])
def test_what_it_is_its_limits_and_the_gate_come_before_any_figure(report: dict[str, str], name: str) -> None:
    order = ("Training of sepsis 1.1.0", "a1a1a1", "not a medical device", "The gate", "Who is left", "Data", "Figures")
    assert all(_in_order(report[name], *order))
    assert all(_in_order(report[HTML], "Who is left", "sha256 of the file", "<figure>", "Calibration; perfect"))


@pytest.mark.parametrize(
    ("synthetic", "tiny", "told"),
    [(True, False, ["Synthetic"]), (False, True, ["Tiny"]), (True, True, ["Synthetic", "Tiny"]), (False, False, [])],
)
def test_flags_are_told_at_the_top(tmp_path: Path, synthetic: bool, tiny: bool, told: list[str]) -> None:
    flagged = {**evaluation("tiny"), "synthetic": synthetic, "tiny": tiny}
    write_report(tmp_path, schema(), plan(), flagged, facts())
    head = (tmp_path / MARKDOWN).read_text().split("## ")[0]
    assert [kind for kind in ("Synthetic", "Tiny") if f"**{kind} data" in head] == told
    assert ("no evidence of performance" in head) is bool(told)
    assert "not validated externally" in head


def test_the_page_needs_nothing_else_and_is_well_formed(report: dict[str, str]) -> None:
    page = _Page(report[HTML])
    assert page.faults == []
    assert page.open == []
    assert report[HTML].count("<svg") == len(drawn("whole"))


def test_each_picture_is_there_with_the_sentence_how_to_read_it(report: dict[str, str]) -> None:
    pictures = drawn("whole").values()
    assert [one.name for one in pictures if one.svg not in report[HTML]] == []
    assert [one.name for one in pictures if f"<figcaption>{escape(one.how_to_read)}<" not in report[HTML]] == []


def test_attrition_sources_and_drops_are_told(report: dict[str, str]) -> None:
    for row in (
        "| of 6 h or longer | 25,800 | 17,802 | 3,870 |",
        f"| icustays | 27,000 | {'c3' * 32} |",
        "| labevents | 107,727 | not stated |",
        "| heart_rate | no_value | 3,400 |",
        "| lactate | out_of_range | 12 |",
    ):
        assert row in report[MARKDOWN]


def test_text_is_never_taken_for_html_or_markdown(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>|`x` *y*\n# z"
    rule = {"rule": evil, "verdict": "passed", "words": evil}
    found = _written(
        tmp_path,
        data=evil,
        dropped=[(evil, evil, 1)],
        sources={evil: {"rows": 1}},
        gate={"rules": [rule], "promoted": True, "reasons": [evil]},
    )
    page = _Page(found[HTML])
    assert page.faults == []
    assert "".join(page.text).count("<script>alert(1)</script>") == 7
    assert "<script>" not in found[MARKDOWN].replace(r"\<script", "")
    assert "\n# z" not in found[MARKDOWN]


def test_whoever_approves_is_told_the_gate_s_words_and_the_figures(report: dict[str, str]) -> None:
    told = brief(schema(), evaluation("whole"), facts())
    lines = told.splitlines()
    assert lines[0] == report[MARKDOWN].splitlines()[0]
    assert [line for line in lines if line.startswith("> ")] == [
        line for line in report[MARKDOWN].splitlines() if line.startswith("> ")
    ]
    assert [rule["words"] for rule in RULES if rule["words"] not in told] == []
    (auroc,) = (line for line in lines if line.startswith("| AUROC |"))
    assert report[MARKDOWN].count(auroc.removesuffix("|")) == 1
    assert len(told) < 10_000  # it travels through Airflow's database


def test_the_evaluation_is_written_as_it_is(report: dict[str, str]) -> None:
    assert json.loads(report[EVALUATION]) == evaluation("whole")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_nothing_written(tmp_path: Path, bad: float) -> None:
    broken = deepcopy(evaluation("tiny"))
    broken["threshold"] = bad
    with pytest.raises(FatalError, match=r"evaluation\.json"):
        write_report(tmp_path / "report", schema(), plan(), broken, facts())
    assert not (tmp_path / "report").exists()


def test_an_undefined_evaluation_is_told_as_undefined(tmp_path: Path) -> None:
    found = _written(tmp_path, "undefined")
    assert "| AUROC | undefined |" in found[MARKDOWN]
    assert "nan" not in found[MARKDOWN].lower().split()
    assert "NaN" not in found[EVALUATION]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path, report: dict[str, str]) -> None:
    assert _written(tmp_path / "again") == report


def test_a_model_that_is_not_published_has_no_version(tmp_path: Path) -> None:
    assert _written(tmp_path, version=None)[MARKDOWN].startswith("# Training of sepsis, not published\n")


def test_a_model_that_passed_is_not_called_champion_before_it_is_published(tmp_path: Path) -> None:
    gate = {**run_facts.GATE, "promoted": True, "reasons": []}
    assert "Passed: once published, it is the champion." in _written(tmp_path, gate=gate)[MARKDOWN]
