"""docs/cds-hooks.md shows the exchanges as they are, and tells every setting, refusal, figure and field, and no other."""

import ast
import json
import re
from argparse import _SubParsersAction
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image
from tests.docs import card_picture
from tests.docs.exchanges import FOLDER, PAGE, ROOT, exchanges, filled, printed

from cds_hooks import ehrs, service
from cds_hooks.metrics import Metrics
from cds_hooks.settings import _READ, defaults
from screening import __main__ as command_line
from screening.results.cards.invariants import problems_of_response

TEXT = PAGE.read_text(encoding="utf-8")
SIDECAR = ROOT / "plugins" / "cds_hooks"
TREES = {path.relative_to(SIDECAR).as_posix(): ast.parse(path.read_text("utf-8")) for path in SIDECAR.rglob("*.py")}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ANEW = "`PYTHONPATH=plugins python -m tests.docs.exchanges` writes them anew"


def table(heading: str, head: str) -> list[list[str]]:
    """Return the cells of the table under a heading whose head begins with this cell."""
    section = re.split(rf"^#+ {re.escape(heading)}$", TEXT, flags=re.MULTILINE)[1]
    lines = section.split(f"| {head} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def named(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture(scope="module")
def captured() -> dict[str, Any]:
    return dict(exchanges())


def test_the_exchanges_are_what_the_service_answers(captured: dict[str, Any]) -> None:
    kept = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert kept == {name: printed(content) + "\n" for name, content in captured.items()}, ANEW
    assert [json.loads(text) for text in kept.values()] == [captured[name] for name in kept]


def test_the_page_shows_the_exchanges(captured: dict[str, Any]) -> None:
    assert filled(TEXT, captured) == TEXT, ANEW


def test_the_exchanges_show_what_their_names_say(captured: dict[str, Any]) -> None:
    status = {name: content["answer"]["status"] for name, content in captured.items()}
    assert {name: code for name, code in status.items() if code != 200} == {
        "bad_request": 400, "unauthorized": 401, "missing_data": 412, "no_model": 503,
    }  # fmt: skip
    body = {name: content["answer"]["body"] for name, content in captured.items()}
    shown = {name: [card["indicator"] for card in body[name].get("cards", ())] for name in captured}
    assert {name: found for name, found in shown.items() if found} == {
        "high": ["critical"], "moderate": ["warning"], "not_computed": ["info"], "earlier": ["critical"],
    }  # fmt: skip
    assert [problem for one in body.values() if "cards" in one for problem in problems_of_response(one)] == []
    assert "imputed" in body["moderate"]["cards"][0]["detail"]
    assert body["moderate"]["cards"][0]["suggestions"][0]["label"] == "Order Lactate"
    assert body["system_action"]["systemActions"][0]["resource"]["resourceType"] == "RiskAssessment"


def test_the_picture_is_of_the_card_as_it_is() -> None:
    with Image.open(card_picture.PICTURE) as picture:
        assert picture.info["Source"] == card_picture.digest(card_picture.source())


def test_every_setting_is_told_with_its_default() -> None:
    told = {row[0].strip("`"): row[1] for row in table("Settings", "variable")}
    assert set(told) == {f"CDS_{name.upper()}" for name in _READ}
    for name in _READ:
        assert told[f"CDS_{name.upper()}"] == shown_default(name), name


def shown_default(name: str) -> str:
    """Return how the page writes a setting's default."""
    follows = {
        "auth": "must be set",
        "base_url": "`http://` and `CDS_BIND`",
        "feedback_url": "`feedback.db` in `CDS_STATE`",
    }
    value = defaults().get(name, "")
    if name in follows:
        assert value == ""
        return follows[name]
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, Path):
        value = value.relative_to(ROOT).as_posix()
    if isinstance(value, timedelta) or value in (None, ""):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_every_key_of_the_ehr_file_is_told() -> None:
    assert named([row[0] for row in table("The EHR file", "key")]) == list(ehrs._Entry.model_fields)


def refusals() -> Iterator[str]:
    """Yield the words of every refusal in the code, `…` in the place of what varies."""
    for tree in TREES.values():
        known = assigned(tree.body)
        top = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
        for scope in (top, *(node.body for node in ast.walk(tree) if isinstance(node, FUNCTIONS))):
            names = known | assigned(scope)
            for one in (inner for node in scope for inner in ast.walk(node)):
                if isinstance(one, ast.Call) and len(one.args) >= 2 and _refuses(one):
                    said = one.args[1]
                    yield words(names.get(said.id, said) if isinstance(said, ast.Name) else said)


def assigned(nodes: list[ast.stmt]) -> dict[str, ast.expr]:
    """Return what names are assigned in these statements."""
    return {
        one.targets[0].id: one.value
        for one in nodes
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
    }


def _refuses(one: ast.Call) -> bool:
    """Tell a Refusal, an `outcome(…)`, and the `super().__init__` of a kind of Refusal: status first, words second."""
    called = one.func
    name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
    status = one.args[0]
    numbered = isinstance(status, ast.Name) or (isinstance(status, ast.Constant) and isinstance(status.value, int))
    return name in ("Refusal", "outcome", "__init__") and numbered


def words(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            said = "".join(part.value if isinstance(part, ast.Constant) else "…" for part in parts)
            return re.sub("…+", "…", said)
        case _:
            raise AssertionError(f"a refusal whose words cannot be told: {ast.unparse(node)}")


def test_every_refusal_is_told() -> None:
    told = [row[1].strip("` ") for row in table("Refusals", "status")]
    assert len(told) == len(set(told))
    assert set(told) == set(refusals())


def test_the_search_for_refusals_finds_all_that_are_raised() -> None:
    made = sum(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "Refusal"
        for tree in TREES.values()
        for one in ast.walk(tree)
    )
    assert made > 10
    assert len([*refusals()]) >= made


def test_every_kind_of_answer_is_told() -> None:
    rows = table("What is shown, and when nothing is", "the patient is")
    assert set(named([row[2] for row in rows])) == set(get_args(service.Kind))


def test_every_figure_is_told_with_its_labels() -> None:
    told = {row[0].strip("`"): tuple(named([row[1]])) for row in table("Health, figures, log", "figure")}
    kept = [one for one in vars(Metrics()).values() if hasattr(one, "_labelnames")]
    counted = {"counter": "_total", "histogram": "", "gauge": ""}
    assert told == {f"{one._name}{counted[one._type]}": one._labelnames for one in kept}


def test_every_field_of_the_log_is_told() -> None:
    told = named([row[0] for row in table("Health, figures, log", "field")])
    noted = set()
    for name in ("app.py", "routes.py"):
        for one in ast.walk(TREES[name]):
            match one:
                case ast.Call(func=ast.Attribute(attr="update", value=ast.Attribute(attr="facts"))):
                    noted |= {keyword.arg for keyword in one.keywords}
                case ast.Call(func=ast.Attribute(attr="write", value=ast.Name(id="request_log"))):
                    noted |= {keyword.arg for keyword in one.keywords if keyword.arg}
                case ast.Subscript(value=ast.Attribute(attr="facts"), slice=ast.Constant(value=key)):
                    noted.add(key)
    assert len(told) == len(set(told))
    assert set(told) == noted


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health", "/metrics"])
def test_every_path_of_operations_is_told(path: str) -> None:
    assert f"GET {path}`" in TEXT
    assert f'"{path}"' in (SIDECAR / "operations.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(("verb", "heading"), [("cds-client", "Try it in a minute"), ("report", "Feedback")])
def test_every_option_of_the_commands_is_told(verb: str, heading: str) -> None:
    verbs = _choices(command_line.parser())
    parser = verbs[verb] if verb in verbs else _choices(verbs["feedback"])[verb]
    options = {one.option_strings[0] for one in parser._actions if one.dest != "help"}
    assert set(named([row[0] for row in table(heading, "option")])) == options


def _choices(parser: Any) -> dict[str, Any]:
    (found,) = (one.choices for one in parser._actions if isinstance(one, _SubParsersAction))
    return dict(found)


def test_the_commands_that_are_told_exist() -> None:
    told = re.findall(r"^\$ .*python -m screening (.+?)(?:\s+#.*)?$", TEXT, re.MULTILINE)
    assert len(told) > 5
    for one in told:
        command_line.parser().parse_args(one.split())


@pytest.mark.parametrize("page", ["docs/cds-hooks.md", "README.md", "SECURITY.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    here = ROOT / page
    for target, anchor in re.findall(r"\]\(([\w./-]*)#?([\w-]*)\)", here.read_text(encoding="utf-8")):
        path = (here.parent / target) if target else here
        assert path.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, anchor
