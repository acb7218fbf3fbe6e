"""DAG files wire only: they parse fast and import nothing heavy."""

import subprocess
import sys
import textwrap
import time

from tests.dags.conftest import ROOT


def parsed() -> "object":
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(ROOT / "dags"))


def test_the_dags_are_exactly_these() -> None:
    bag = parsed()
    assert bag.import_errors == {}  # type: ignore[attr-defined]
    assert sorted(bag.dags) == ["screening_sepsis", "training_sepsis"]  # type: ignore[attr-defined]


def test_a_dag_file_parses_in_well_under_a_second() -> None:
    parsed()  # Airflow's own imports
    began = time.process_time()
    parsed()
    assert time.process_time() - began < 1.0


def test_parsing_imports_nothing_heavy() -> None:
    code = textwrap.dedent("""
        import sys
        from airflow.dag_processing.dagbag import DagBag
        before = set(sys.modules)
        assert DagBag(sys.argv[1]).dags
        heavy = {"pandas", "numpy", "xgboost", "sklearn", "pyarrow", "fhir", "joblib"}
        print(sorted(heavy & (set(sys.modules) - before)))
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(ROOT / "dags")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_graph_is_the_data_s_way() -> None:
    dag = parsed().dags["screening_sepsis"]  # type: ignore[attr-defined]
    edges = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert edges == {
        "cohort": ["batch.featurize", "batch.fetch", "batch.predict", "batch.write"],
        "batch.fetch": ["batch.featurize"],
        "batch.featurize": ["batch.predict"],
        "batch.predict": ["batch.write"],
        "batch.write": ["summarize"],
        "summarize": ["remove_staging"],
        "remove_staging": [],
    }


def test_the_graph_of_training_is_its_stages_way() -> None:
    dag = parsed().dags["training_sepsis"]  # type: ignore[attr-defined]
    edges = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert edges == {
        "locate": ["fit", "label"],
        "label": ["extract"],
        "extract": ["featurize"],
        "featurize": ["fit"],
        "fit": ["evaluate"],
        "evaluate": ["gate"],
        "gate": ["approve"],
        "approve": ["publish"],
        "publish": ["remove_staging"],
        "remove_staging": [],
    }
    assert [asset.name for asset in dag.get_task("publish").outlets] == ["model_sepsis"]
