"""What did not count, in words: every reason that there is has some, or is known to need none."""

from collections import Counter

from tests.docs.test_reference import reasons_in_docs

from screening.results.cards.dropped import ANY, DAILY, WORDS, dropped


def test_every_reason_has_words_or_needs_none() -> None:
    assert set(WORDS) | DAILY == set(reasons_in_docs())
    assert not set(WORDS) & DAILY


def test_the_most_frequent_reason_stands_first_and_all_are_counted() -> None:
    drops = Counter({
        ("p", "wbc", "no_unit"): 1, ("p", "wbc", "comparator"): 1, ("p", "wbc", "unknown_unit"): 3,
        ("p", "lactate", "duplicate"): 9, ("", "wbc", "foreign_subject"): 2, ("q", "wbc", "no_unit"): 5,
        ("", "", "not_a_resource"): 1, ("p", "", "medication_by_reference"): 1,
    })  # fmt: skip
    assert dropped(drops, "p") == {
        "wbc": "not used: 3 in an unknown unit, 2 of another patient, 1 a bound such as <5, and no value, 1 without a unit",
        ANY: "not used: 1 a medication by reference, 1 no FHIR resource",
    }
    assert dropped(Counter(), "p") == {}
