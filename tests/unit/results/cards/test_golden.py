"""The golden cards: whoever changes a word of a card sees it here."""

import pytest
from tests.unit.results.cards.golden import FOLDER, cards, text

from screening.results.cards.invariants import problems_of_response


def test_there_is_a_file_for_each_card_and_no_other() -> None:
    assert {file.stem for file in FOLDER.glob("*")} == set(cards())


@pytest.mark.parametrize("name", sorted(cards()))
def test_the_card_is_the_golden_one(name: str) -> None:
    assert text(cards()[name]) == (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert problems_of_response({"cards": [cards()[name]]}) == []
