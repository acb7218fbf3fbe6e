"""A DAG for each schema with a schedule; one that cannot be used says so every day and stops no other."""

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.dags.conftest import ROOT

from screening_airflow.dag_factory import screening_dags

SEPSIS = (ROOT / "include" / "schemas" / "sepsis.yaml").read_text(encoding="utf-8")


@pytest.fixture
def schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of schemas."""
    monkeypatch.setenv("SCREENING_SCHEMAS", str(tmp_path))
    return tmp_path


def refusal(dag: Any) -> str:
    """What the one task of a refused DAG says when it runs."""
    (task,) = dag.tasks
    with pytest.raises(AirflowFailException) as caught:
        task.execute({})
    return str(caught.value)


def test_each_schema_with_a_schedule_has_its_dag(schemas: Path) -> None:
    (schemas / "a.yaml").write_text(SEPSIS)
    (schemas / "b.yml").write_text(SEPSIS.replace("name: sepsis", "name: other"))
    (schemas / "c.yaml").write_text(
        SEPSIS.replace("name: sepsis", "name: by_hand").replace('schedule: "0 2 * * *"', "")
    )
    assert sorted(screening_dags()) == ["screening_other", "screening_sepsis"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (SEPSIS.replace("window:", "windw:"), "windw: unknown key"),
        ("features: [", "not readable as YAML"),
        (SEPSIS.replace('"0 2 * * *"', '"99 99 * *"').replace("name: sepsis", "name: x"), "no cron expression"),
        (SEPSIS, "another schema is called sepsis"),
    ],
)
def test_a_schema_that_cannot_be_used_fails_every_day_and_stops_no_other(
    schemas: Path, broken: str, words: str
) -> None:
    (schemas / "a.yaml").write_text(SEPSIS)
    (schemas / "broken.yaml").write_text(broken)
    dags = screening_dags()
    assert sorted(dags) == ["screening_broken", "screening_sepsis"]
    assert len(dags["screening_sepsis"].tasks) == 7
    assert words in refusal(dags["screening_broken"])
    assert words in (dags["screening_broken"].doc_md or "")
    assert dags["screening_broken"].schedule is not None


def test_a_refused_schema_does_not_take_another_s_name(schemas: Path) -> None:
    (schemas / "a.yaml").write_text(SEPSIS)
    (schemas / "sepsis.yaml").write_text("name: sepsis")
    assert sorted(screening_dags()) == ["screening_sepsis", "screening_sepsis_refused"]
