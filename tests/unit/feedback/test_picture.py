"""The picture of a report: well-formed, the same every time, true to the figures, and nothing of a client runs in it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.feedback.cards import GIVEN, SERVICE, answer, issued

from screening.__main__ import main
from screening.feedback.figures import Group, Report
from screening.feedback.picture import as_svg
from screening.feedback.rates import share
from screening.feedback.store import FeedbackStore

SVG = "{http://www.w3.org/2000/svg}"


def group(name: str, accepted: tuple[int, int], overridden: tuple[int, int], few: bool = False) -> Group:
    return Group(name, overridden[1] + 5, overridden[1], share(*accepted), share(*overridden), 60.0, few)


def report(*models: Group, total: Group | None = None) -> Report:
    total = total or group("all", (30, 40), (20, 50))
    return Report(
        service=None, since=None, total=total, services=(), models=models, levels=(), reasons=(), changed=0, before_card=0,
        unknown={}, elsewhere=0, pruned=0, comments=None,
    )  # fmt: skip


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own


def test_ch73_each_rate_is_a_dot_with_its_interval_where_the_axis_says() -> None:
    root = ElementTree.fromstring(as_svg(report(group("m 1", (10, 40), (40, 50)))))  # noqa: S314
    first, _, third, _ = (float(one.attrib["cx"]) for one in root.iter(f"{SVG}circle"))
    assert first == 270 + 180 * 0.75
    assert third == 270 + 180 * 0.25
    found = share(10, 40)
    assert found is not None
    bars = [one.attrib for one in root.iter(f"{SVG}line") if one.attrib.get("stroke-width") == "2.5"]
    assert (float(bars[2]["x1"]), float(bars[2]["x2"])) == (
        round(270 + 180 * found.low, 1), round(270 + 180 * found.high, 1),
    )  # fmt: skip
    assert "25 % (10 of 40)" in texts(as_svg(report(group("m 1", (10, 40), (40, 50)))))


def test_the_title_tells_the_rate_and_its_interval() -> None:
    assert texts(as_svg(report()))[0] == "Users overrode 40 % of the cards that they answered (28 % to 54 %)"
    nothing = group("all", (0, 0), (0, 0))
    svg = as_svg(report(group("m", (0, 0), (0, 0)), total=nothing))
    assert texts(svg)[0] == "None of 5 cards was answered: there is no rate to show"
    assert texts(svg).count("none to count") == 4


def test_small_numbers_are_drawn_hollow_and_said_to_be_few() -> None:
    few = as_svg(report(group("m", (1, 2), (1, 3), few=True)))
    assert "fewer than 20 answers" in few
    assert "m *" in texts(few)
    assert few.count('fill="white" stroke') == 2
    many = as_svg(report(group("m", (30, 40), (20, 50))))
    assert "fewer than" not in many
    assert many.count('fill="white" stroke') == 0
    # Enough answers, but few of them on cards with a suggestion:
    assert "fewer than 20 answers" in as_svg(report(group("m", (1, 2), (20, 50))))


def test_what_was_chosen_and_what_was_removed_is_told() -> None:
    some = replace(report(), service="sepsis-risk", since=datetime(2026, 3, 1, tzinfo=UTC), pruned=7)
    assert texts(as_svg(some))[1] == (
        "sepsis-risk · cards since 2026-03-01T00:00:00+00:00 · 55 issued, 50 answered · 7 without feedback removed since"
    )


@given(st.text(max_size=80))
def test_a_name_is_text_whatever_it_holds(name: str) -> None:
    root = ElementTree.fromstring(as_svg(report(group(name, (1, 2), (1, 2)))))  # noqa: S314
    assert {one.tag.removeprefix(SVG) for one in root.iter()} == {"svg", "rect", "g", "title", "text", "line", "circle"}


def test_a_long_name_is_cut_where_versions_do_not_differ() -> None:
    name = f"{'a' * 60} 10.20.30 (abababababab)"
    svg = as_svg(report(group(name, (30, 40), (20, 50))))
    assert "aaaaaaaa…10.20.30 (abababababab)" in "".join(texts(svg))
    assert f"<title>{name}</title>" in svg


def test_the_command_draws_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    store = FeedbackStore(url)
    store.remember(issued(1))
    store.add(SERVICE, [answer(1, comment="Mrs Miller is well")], GIVEN)
    store.close()
    words = ["feedback", "report", "--url", url, "--comments", "--picture"]
    assert main([*words, str(tmp_path / "one.svg")]) == 0
    assert main([*words, str(tmp_path / "two.svg")]) == 0
    assert "Cards: 1 issued" in capsys.readouterr().out
    drawn = (tmp_path / "one.svg").read_bytes()
    assert drawn == (tmp_path / "two.svg").read_bytes()
    assert b"sepsis 1.0.0" in drawn
    assert b"Miller" not in drawn
    assert main([*words, str(tmp_path / "none" / "x.svg")]) == 2
    assert "x.svg: the picture cannot be written: No such file or directory" in capsys.readouterr().err


def test_the_picture_is_svg_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["feedback", "report", "--picture", "x.png"])
    assert "the picture is SVG: name a file that ends in .svg" in capsys.readouterr().err
