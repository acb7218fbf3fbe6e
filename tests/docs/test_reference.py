"""The reference docs say what the code does: every schema key with its default, every unit, every reason for a drop."""

import ast
import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from screening import schema as schema_module
from screening import schema_features
from screening.features import featurize
from screening.readers.fhir import read
from screening.schema import DESCRIBING, Feature, Schema, load_schema, parse_schema
from screening.synthetic import Hospital, fhir_resources
from screening.units import KNOWN

ROOT = Path(__file__).resolve().parents[2]
SCREENING = ROOT / "plugins" / "screening"
SCHEMA_DOC = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
OBSERVATIONS_DOC = (ROOT / "docs" / "observations.md").read_text(encoding="utf-8")
MODULES = (schema_module.__name__, schema_features.__name__)
SECTIONS = {
    "Schema": "Top level", "Window": "Window", "RiskLevels": "Risk levels", "Cohort": "Cohort", "Coding": "Codings",
    "Feature": "Features", "MimicSource": "MIMIC",
}  # fmt: skip
"""Model of `MODULES` → heading of the section that tells its keys."""
WORD = re.compile(r"[a-z]+(_[a-z]+)*")


def models() -> dict[str, type[BaseModel]]:
    """Return the schema's parts by name."""
    found = [*vars(schema_module).values(), *vars(schema_features).values()]
    parts = [one for one in found if inspect.isclass(one) and issubclass(one, BaseModel) and one.__module__ in MODULES]
    return {one.__name__: one for one in parts if one is not schema_features.Part}


def rows(heading: str) -> dict[str, list[str]]:
    """Return the first table under a heading: key → its other cells."""
    section = re.split(rf"^#+ {re.escape(heading)}$", SCHEMA_DOC, flags=re.M)[1]
    table = section.split("\n|---", 1)[1].split("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.split("\n")[1:]]
    return {line[0].strip("`| "): line[1:] for line in cells}


def default_of(model: type[BaseModel], key: str) -> str:
    """Return how the docs write a field's default."""
    field = model.model_fields[key]
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "its defaults"
    if value in ("", (), [], {}):
        return "empty"
    return f"`{str(value).lower()}`"


def test_every_part_of_the_schema_has_its_section() -> None:
    assert set(models()) == set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_is_told_with_its_default(name: str) -> None:
    model = models()[name]
    told = rows(SECTIONS[name])
    assert list(told) != []
    assert set(told) == set(model.model_fields)
    assert {key: cells[0] for key, cells in told.items()} == {key: default_of(model, key) for key in told}


def test_keys_that_only_describe_are_marked_and_no_others() -> None:
    told = {(name, key): cells for name, heading in SECTIONS.items() for key, cells in rows(heading).items()}
    marked = {where for where, cells in told.items() if "*only describes*" in cells[1]}
    parts = {"features.*": "Feature"} | dict.fromkeys(["features.*.codes.*", "features.*.order", "outcome"], "Coding")
    expected = set()
    for path in DESCRIBING:
        where, _, key = path.rpartition(".")
        expected.add((parts[where] if where else "Schema", key))
    assert marked == expected


@pytest.mark.parametrize("key", ["fhir_resource", "transform", "field", "aggregate"])
def test_every_choice_of_a_feature_is_told(key: str) -> None:
    section = SCHEMA_DOC.split("\n### Sources")[1].split("\n### MIMIC")[0]
    choices = re.findall(r"'(\w+)'", str(Feature.model_fields[key].annotation))
    assert choices
    assert all(re.search(rf"[`: ]{choice}`", section) for choice in choices), choices


def test_every_unit_is_told_under_its_dimension() -> None:
    section = SCHEMA_DOC.split("\n### Units")[1].split("\n## ")[0]
    told = {
        (dimension, code)
        for dimension, codes in re.findall(r"^\| ([a-z ]+) \| (`.+`) \|$", section, re.M)
        for code in re.findall(r"`([^`]+)`", codes)
    }
    assert told == {(unit.dimension, unit.code) for unit in KNOWN.values()}


def test_the_examples_load_and_use_every_key() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", SCHEMA_DOC, re.S)
    loaded = [parse_schema(text) for text in examples]
    assert [one.name for one in loaded] == ["pulse", "ward"]
    plain = [yaml.safe_load(text) for text in examples]
    assert set(plain[1]) == set(Schema.model_fields)
    used = {key for one in plain for feature in one["features"].values() for key in feature}
    assert used | {"name"} == set(Feature.model_fields)
    assert {feature.fhir_resource for feature in loaded[1].features.values()} == set(
        re.findall(r"'(\w+)'", str(Feature.model_fields["fhir_resource"].annotation))
    )


def reasons_in(tree: ast.AST) -> Iterator[str]:
    """Yield every text that this syntax tree can count as a reason for a drop.

    A reason stands in `Dropped(…)`; as the last of a pair that is returned or yielded; as the last of a triple (patient,
    feature, reason); as the second argument of `_drop`; or alone in a `return` of a function that may return a text.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="Dropped"), args=[reason]):
                yield from texts(reason)
            case ast.Return(value=ast.Tuple(elts=[_, reason])) if isinstance(reason, ast.Constant):
                yield from texts(reason)
            case ast.Yield(value=ast.Tuple(elts=[_, reason])) | ast.Tuple(elts=[ast.Name(), _, reason]):
                yield from texts(reason)
            case ast.Call(func=ast.Attribute(attr="_drop"), args=[_, reason, *_]):
                yield from texts(reason)
            case ast.FunctionDef(returns=ast.BinOp(right=ast.Name(id="str"))):
                yield from (word for inner in ast.walk(node) for word in texts(getattr(inner, "value", None), inner))


def texts(node: Any, holder: Any = None) -> Iterator[str]:
    """Yield the one-word texts that an expression can be, of a `return` only where a holder is given."""
    if holder is not None and not isinstance(holder, ast.Return):
        return
    match node:
        case ast.Constant(value=str(word)) if WORD.fullmatch(word):
            yield word
        case ast.IfExp(body=one, orelse=other):
            yield from (*texts(one), *texts(other))
        case ast.BoolOp(values=parts):
            yield from (word for part in parts for word in texts(part))


def reasons_in_code() -> set[str]:
    files = [*(SCREENING / "readers").glob("*.py"), *(SCREENING / f"{name}.py" for name in (
        "units", "times", "window", "observations",
    ))]  # fmt: skip
    return {reason for file in files for reason in reasons_in(ast.parse(file.read_text(encoding="utf-8")))}


def reasons_in_docs() -> list[str]:
    section = OBSERVATIONS_DOC.split("## Every reason")[1]
    return re.findall(r"^\| `(\w+)` \| \S.* \| \S.* \|$", section, re.M)


def test_the_docs_tell_every_reason_that_the_code_has_and_no_other() -> None:
    told = reasons_in_docs()
    assert len(told) == len(set(told))
    assert set(told) == reasons_in_code()


def test_the_search_for_reasons_finds_what_a_dirty_hospital_gives() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    schema = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")
    charts = [list(fhir_resources(patient, "loinc")) for patient in Hospital(size=40, seed=7, now=now).patients()]
    matrix = featurize(read(charts, schema), schema, now)
    found = {reason for _, _, reason in matrix.drops}
    assert len(found) > 5
    assert found <= reasons_in_code()


def test_the_doc_of_a_dropped_value_tells_only_reasons_that_there_are() -> None:
    source = inspect.getdoc(__import__("screening.readers.fhir_fields", fromlist=["quantity"]).quantity) or ""
    named = set(re.findall(r"`(\w+)`", source.split("Dropped\n")[1]))
    assert len(named) > 5
    assert named <= set(reasons_in_docs())


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "docs/deployment.md"])
def test_every_make_target_that_is_named_exists(file: str) -> None:
    path = ROOT / file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M)) <= targets


def test_the_readme_tells_the_two_commands() -> None:
    readme = ROOT / "README.md"
    if readme.exists():  # it is written last
        text = readme.read_text(encoding="utf-8")
        assert "make demo" in text
        assert "make test" in text
