"""One card of each kind as it must be, byte for byte: tests/data/cards.

`PYTHONPATH=plugins python -m tests.unit.results.cards.golden` writes them anew.
"""

import json
from pathlib import Path
from typing import Any

from tests.unit.results.cards.charts_opened import CONTEXT, EARLIER, HIGH, MODERATE, TOO_FEW, ago, opened

from screening.results.cards.card import NOT_SENT, earlier_card, not_computed_card, risk_card

FOLDER = Path(__file__).resolve().parents[3] / "data" / "cards"


def cards() -> dict[str, dict[str, Any] | None]:
    """Return the cards by the name of their file."""
    stale, remarks = {"lactate": ago(hours=30)}, {"lactate": NOT_SENT, "patient": "read with a warning: <b>partial</b>"}
    ordered = {"patient_reference": "Patient/p-1", "encounter_reference": "Encounter/e-1"}
    return {
        "high": risk_card(HIGH, CONTEXT, **opened(**ordered)),
        "moderate_lactate_imputed": risk_card(MODERATE, CONTEXT, **opened(remarks=remarks, **ordered)),
        "moderate_lactate_stale": risk_card(MODERATE, CONTEXT, **opened(stale=stale)),
        "not_computed": not_computed_card(TOO_FEW, CONTEXT, **opened(stale=stale, remarks=remarks, **ordered)),
        "earlier": earlier_card(EARLIER, TOO_FEW, CONTEXT, **opened(stale=stale, remarks=remarks, **ordered)),
    }


def text(card: dict[str, Any] | None) -> str:
    return json.dumps(card, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, card in cards().items():
        (FOLDER / f"{name}.json").write_text(text(card), encoding="utf-8")
