"""docs/screening-dag.md and docs/connection.md tell every param, outcome, setting and extra, and no other."""

import re
from pathlib import Path

from screening.fhir_client.connection import CLIENT_OPTIONS
from screening.outcome import Outcome
from screening_airflow.dag_factory import params

ROOT = Path(__file__).resolve().parents[2]


def first_column(document: str, heading: str) -> set[str]:
    """The names in the first column of the table under a heading."""
    section = (ROOT / "docs" / document).read_text(encoding="utf-8").split(heading, 1)[1].split("\n## ")[0]
    return {name for cell in re.findall(r"^\| (`.+?`) \|", section, re.M) for name in re.findall(r"`(\w+)`", cell)}


def test_every_param_is_told_with_its_default() -> None:
    assert first_column("screening-dag.md", "## Params") == set(params())
    text = (ROOT / "docs" / "screening-dag.md").read_text(encoding="utf-8")
    for name, param in params().items():
        shown = {None: "none", False: "false"}.get(param.value, str(param.value))
        assert re.search(rf"\| `{name}` \| `?{re.escape(shown)}`? \|", text), name


def test_every_outcome_is_told() -> None:
    assert first_column("screening-dag.md", "## Outcomes") == {kind.value for kind in Outcome}


def test_every_setting_is_told() -> None:
    source = (ROOT / "plugins" / "screening_airflow" / "settings.py").read_text(encoding="utf-8")
    assert first_column("screening-dag.md", "## Settings") == set(
        re.findall(r'(?:environ\.get|_switch)\("(\w+)"', source)
    )


def test_every_extra_of_the_connection_is_told() -> None:
    assert first_column("connection.md", "Extras; any other is refused:") == {*CLIENT_OPTIONS, "zone"}
