"""The demo model is rebuilt byte for byte, and its three patients are what they are called."""

from pathlib import Path

import pytest

from screening import demo_model
from screening.demo_model import build
from screening.model.registry import champion, publish
from screening.schema import load_schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the demo model built anew."""
    models = tmp_path_factory.mktemp("models")
    build(load_schema(ROOT / "include" / "schemas" / "sepsis.yaml"), models)
    return models / "sepsis"


def test_the_demo_model_is_rebuilt_byte_for_byte(rebuilt: Path) -> None:
    kept = ROOT / "include" / "models" / "sepsis"
    names = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(rebuilt) for path in rebuilt.rglob("*") if path.is_file())
    assert [name for name in names if (kept / name).read_bytes() != (rebuilt / name).read_bytes()] == []


def test_manifest_and_card_say_that_it_is_synthetic(rebuilt: Path) -> None:
    assert '"synthetic": true' in (rebuilt / "1.0.0" / "manifest.json").read_text()
    assert "Not for clinical use" in (rebuilt / "1.0.0" / "model_card.md").read_text()


def test_rebuilding_it_leaves_a_trained_champion_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ROOT / "include" / "models" / "sepsis" / "1.0.0" / "model.pkl"
    publish(
        tmp_path, "sepsis", "1.1.0", model=kept.read_bytes(), synthetic=False, training_data="real patients",
        created=demo_model.PRESENT, metrics={}, model_card="", promoted=True,
    )  # fmt: skip
    monkeypatch.setattr(demo_model, "PATIENTS", 150)
    schema = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")
    assert build(schema, tmp_path).version == "1.0.0"
    assert champion(tmp_path, "sepsis").version == "1.1.0"
