"""What the docs show of a run is of the champion, and whole."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_the_real_patients_were_screened_with_the_present_champion() -> None:
    champion = json.loads((ROOT / "include" / "models" / "sepsis" / "champion.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "real-data.md").read_text(encoding="utf-8")
    assert re.findall(r"sha256 (\w+)", text) == [champion["sha256"][:12]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_table_ends_at_its_head(page: Path) -> None:
    lines = [*page.read_text(encoding="utf-8").splitlines(), ""]
    heads = [number for number, line in enumerate(lines) if re.fullmatch(r"\|[-:| ]+\|", line)]
    assert [lines[number - 1] for number in heads if not lines[number + 1].startswith("|")] == []
