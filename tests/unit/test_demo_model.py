"""The demo model is rebuilt byte for byte, and its three patients are what they are called."""

from pathlib import Path

import pytest

from screening.demo_model import build
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
