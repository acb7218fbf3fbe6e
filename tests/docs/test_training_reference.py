"""docs/training.md tells every key, param, option, rule and figure of training with its default, and no other."""

import ast
import inspect
import re
from argparse import _SubParsersAction
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.unit.training.evaluation_example import example
from tests.unit.training.gate.test_judge import EVIDENCE, INTEGRITY

from screening import __main__ as command_line
from screening.model import contract
from screening.training import plan as plan_module
from screening.training.learning import artifact
from screening.training.learning.candidates import OURS, SETTINGS, WEIGHTS
from screening.training.plan import CANDIDATES, GateLimits, load_plan

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
SECTIONS = {
    "TrainingPlan": "### Plan", "Label": "### Label", "Cohort": "### Cohort", "Prediction": "### Prediction",
    "Untouched": "### Untouched", "GateLimits": "### Gate",
}  # fmt: skip
"""Model of `screening.training.plan` → heading of the section that tells its keys."""
IDS = [
    *(f"T{number}" for number in range(1, 13)), *(f"E{number}" for number in range(1, 7)),
    *(f"4.{number}" for number in range(1, 6)), *(f"P{number}" for number in range(1, 6)),
]  # fmt: skip


def section(heading: str) -> str:
    """Return the text under a heading, to the next one of its level or above."""
    level = heading.split(" ")[0]
    (_, text) = PAGE.split(f"\n{heading}\n")
    return re.split(rf"\n#{{2,{len(level)}}} ", text)[0]


def table(heading: str, head: str) -> list[list[str]]:
    """Return the cells of the table under a heading whose head begins with this cell."""
    lines = section(heading).split(f"| {head} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def named(rows: list[list[str]]) -> list[str]:
    """Return the names in the first column; a cell may hold several."""
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]


def default_of(model: type[BaseModel], key: str) -> str:
    """Return how the page writes a field's default."""
    field = model.model_fields[key]
    if field.is_required():
        return "required"
    value: Any = field.get_default()
    if isinstance(value, BaseModel):
        return "its defaults"
    if value == ():
        return "empty"
    if isinstance(value, tuple):
        return " to ".join(f"`{one}`" for one in value)
    return f"`{value / timedelta(hours=1):g}h`" if isinstance(value, timedelta) else f"`{value}`"


def test_every_part_of_the_plan_has_its_section() -> None:
    found = inspect.getmembers(plan_module, lambda one: inspect.isclass(one) and issubclass(one, BaseModel))
    mine = {name for name, one in found if one.__module__ == plan_module.__name__ and not name.startswith("_")}
    assert mine == set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_of_the_plan_is_told_with_its_default(name: str) -> None:
    model = getattr(plan_module, name)
    expected = {field.alias or key: default_of(model, key) for key, field in model.model_fields.items()}
    assert {row[0].strip("`"): row[1] for row in table(SECTIONS[name], "key")} == expected


def test_every_setting_of_a_candidate_is_told_and_every_weight_is_refused() -> None:
    rows = table("### Candidates", "candidate")
    assert {row[0].strip("`"): tuple(re.findall(r"`(\w+)`", row[1])) for row in rows} == SETTINGS
    text = section("### Candidates")
    assert [name for name in re.findall(r"`(\w+)`", text) if name in CANDIDATES][: len(CANDIDATES)] == list(CANDIDATES)
    assert [key for key in WEIGHTS if f"`{key}`" not in text] == []
    (ours,) = re.findall(r"What the training sets itself \((.*?)\)", text, re.S)
    assert set(re.findall(r"`(\w+)`", ours)) <= set(OURS)


def test_every_param_is_told_with_its_default() -> None:
    from screening_airflow.training_factory import params

    plan = load_plan(ROOT / "include" / "training" / "sepsis.yaml")
    changes = {"schema_file": "other.yaml", "seed": 1, "candidates": {"xgboost": {}}}
    other = plan.model_copy(update={**changes, "prediction": plan_module.Prediction(after_intime="90m")})
    mine, theirs = params(plan), params(other)
    expected = {
        name: "the plan's" if theirs[name].value != param.value else {None: "none", False: "false"}.get(
            param.value, str(param.value)
        )
        for name, param in mine.items()
    }  # fmt: skip
    assert list(expected.values()).count("the plan's") == 4
    assert {row[0].strip("`"): row[1] for row in table("### The DAG", "param")} == expected


def test_every_option_of_the_command_is_told_with_its_default() -> None:
    verbs = next(one for one in command_line.parser()._actions if isinstance(one, _SubParsersAction))
    options = {one.option_strings[0]: one.default for one in verbs.choices["train"]._actions if one.dest != "help"}
    told = {row[0].strip("`"): row[1] for row in table("### One machine", "option")}
    assert set(told) == set(options)
    for option, default in options.items():
        if default is None or default is False:
            assert told[option] in ("none", "the plan's", "off"), option
        else:
            assert told[option].strip("`") == str(default).removeprefix(f"{ROOT}/"), option


def test_every_stage_is_told_in_its_order() -> None:
    from screening_airflow.training_factory import training_dags

    stages = named(table("## What it does", "stage"))
    assert stages == re.findall(r"\w+", PAGE.split("```\n")[1].split("\n")[0].replace("× candidate", ""))
    assert [*stages, "remove_staging"] == [
        task.task_id for task in training_dags()["training_sepsis"].topological_sort()
    ]


def test_every_rule_of_the_gate_is_told_with_its_kind_and_limit() -> None:
    rows = table("## The gate", "rule")
    assert [(row[0], row[1]) for row in rows] == [
        *((name, "evidence") for name in EVIDENCE), *((name, "integrity") for name in INTEGRITY),
    ]  # fmt: skip
    assert {row[2].strip("`") for row in rows if row[2].startswith("`")} == set(GateLimits.model_fields)


def test_every_key_of_an_evaluation_is_told() -> None:
    whole = example(400)
    assert set(named([row[:1] for row in table("## Reading the evaluation", "key")])) == set(whole)
    assert set(named(table("## Reading the evaluation", "part"))) == set(whole["parts"])
    text = section("## Reading the evaluation")
    for keys in (whole["parts"]["test"], whole["operating_points"][0], whole["net_benefit"], whole["baselines"]):
        assert [key for key in set(keys) - {"name", "threshold"} if f"`{key}`" not in text] == []
    assert [key for key in whole["parts"]["test"]["calibration"] if key[:4] != "mean" and f"`{key}`" not in text] == []


def test_every_key_that_training_writes_into_a_model_file_is_told() -> None:
    tree = ast.parse(inspect.getsource(artifact))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    (metadata,) = (
        node.value for node in functions["model_content"].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "metadata"
    )  # fmt: skip
    (meaning,) = (node.value for node in functions["_meaning"].body if isinstance(node, ast.Return))
    written = {
        key.value
        for held in (metadata, meaning)
        if isinstance(held, ast.Dict)
        for key in held.keys
        if isinstance(key, ast.Constant)
    }
    assert len(written) > 20
    assert set(named(table("## The model file", "key"))) == written


def test_every_key_that_a_model_file_may_have_is_told() -> None:
    cells = re.findall(r"^\| (`.+) \| .+ \|$", contract.__doc__ or "", re.M)
    known = {key for cell in cells for key in re.findall(r"`\.?([\w.]+)`", cell)}
    told = {name.removeprefix("metadata.") for name in named(table("### Bring your own model", "key"))}
    assert told == {key.removeprefix("metadata.") for key in known}


def test_every_requirement_is_held_by_tests_that_exist_or_says_why_not() -> None:
    rows = table("## What was asked, and what holds it", "id")
    assert [row[0] for row in rows] == IDS
    for number, asks, held in rows:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", held)
        assert asks
        assert bool(tests) != (number == "4.4"), number
        for file, name in tests:
            text = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert re.search(rf"^ *def {name}\(", text, re.M), f"{file}::{name}"
    assert "not part of this project yet" in next(row[2] for row in rows if row[0] == "4.4")


def test_the_example_is_a_dag_that_runs_after_each_publishing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from types import SimpleNamespace

    from airflow.dag_processing.dagbag import DagBag

    from screening_airflow.training_factory import model_asset

    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (tmp_path / "example.py").write_text(code)
    bag = DagBag(str(tmp_path))
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    (waited_for,) = dag.schedule
    published = model_asset("sepsis")
    assert (waited_for.name, waited_for.uri, waited_for.group) == (published.name, published.uri, published.group)
    event = SimpleNamespace(extra={"name": "sepsis", "version": "1.1.0", "sha256": "ab" * 32})
    with caplog.at_level("INFO"):
        dag.get_task("tell").python_callable(triggering_asset_events={waited_for: [event]})
    assert f"sepsis 1.1.0 screens now, sha256 {'ab' * 32}" in caplog.text


@pytest.mark.parametrize("page", ["training.md", "errors.md", "deployment.md", "screening-dag.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    folder = ROOT / "docs"
    for target, anchor in re.findall(r"\]\(([\w./-]*)#?([\w-]*)\)", (folder / page).read_text(encoding="utf-8")):
        path = folder / (target or page)
        assert path.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, anchor


def test_the_commands_that_are_told_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", PAGE, re.M)) <= targets
    for words in re.findall(r"^python -m screening ([^#\n]+?)\s*(?:#.*)?$", PAGE, re.M):
        command_line.parser().parse_args(words.split())
