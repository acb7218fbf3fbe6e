"""What the cards of a schema and a model have in common, and the addresses that a card may link to."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.charts import heart_rate_schema, schema_of, sepsis
from tests.unit.results.cards.charts_opened import BASE, CONTEXT, MODEL, SHA, context_of

from screening.errors import FatalError
from screening.results.cards.context import TITLE_UNITS, card_context, duration, public


def test_it_says_which_model_answers_by_which_bounds() -> None:
    assert (CONTEXT.title, CONTEXT.model_name, CONTEXT.model_version, CONTEXT.model_sha256) == (
        "Sepsis",
        "sepsis",
        "2.1.0",
        SHA,
    )
    assert (CONTEXT.threshold, CONTEXT.synthetic, CONTEXT.tiny) == (0.3059, True, True)
    assert CONTEXT.risk_levels == sepsis().risk_levels
    assert [name for name, words in CONTEXT.features.items() if words.order] == ["wbc", "lactate", "creatinine"]


def test_a_long_title_is_cut_and_an_invisible_one_gives_way_to_the_name() -> None:
    long = context_of(sepsis().model_copy(update={"title": "Sepsis, " * 40}))
    assert TITLE_UNITS - 1 <= len(long.title) <= TITLE_UNITS
    assert long.title.endswith("…")
    assert context_of(sepsis().model_copy(update={"title": "\u200b"})).title == "sepsis"
    assert context_of(sepsis().model_copy(update={"title": "<b>"})).title == "‹b›"


def test_ch47_who_says_so_can_be_named() -> None:
    named = context_of(source_label="Ward 3", source_url="https://ward.example.org/sepsis")
    assert (named.source_label, named.source_url) == ("Ward 3", "https://ward.example.org/sepsis")


def test_mc03_the_model_card_stands_below_the_public_address_whatever_the_models_name() -> None:
    odd = replace(MODEL, name="a b/../c", version="1.0+ü")
    assert (
        card_context(sepsis(), odd, f"{BASE}/").model_card_url
        == f"{BASE}/models/a%20b%2F..%2Fc/1.0%2B%C3%BC/model-card"
    )
    assert context_of(model_card_url="https://x.example.org/card").model_card_url == "https://x.example.org/card"


@pytest.mark.parametrize(
    "url",
    [
        "https://cds.example.org/x",
        "http://127.0.0.1:8091",
        "http://localhost:8091/a",
        "http://[::1]:8091",
        "https://a/(b)",
    ],
)
def test_ch4a_addresses_that_a_card_links_to(url: str) -> None:
    assert public(url) == url.replace("(", "%28").replace(")", "%29")


@pytest.mark.parametrize(
    "url",
    ["http://cds.example.org", "/models", "cds.example.org", "javascript:alert(1)", "https://", "https://me:secret@a.example.org",
     "ftp://a.example.org", "http://127.0.0.1.example.org", "https://[", "", "http://0.0.0.0:8091"],
)  # fmt: skip
def test_ch4a_addresses_that_a_card_never_links_to(url: str) -> None:
    with pytest.raises(FatalError, match="absolute https addresses"):
        public(url)


@pytest.mark.parametrize(
    ("span", "words"),
    [({"seconds": 59}, "under 1 min"), ({"minutes": 1}, "1 min"), ({"minutes": 119}, "119 min"), ({"hours": 2}, "2 h"),
     ({"hours": 24}, "24 h"), ({"hours": 47, "minutes": 59}, "47 h 59 min"), ({"hours": 48}, "2 d"),
     ({"hours": 53}, "2 d 5 h"), ({"days": 7, "hours": 5}, "7 d"), ({"days": 400}, "400 d")],
)  # fmt: skip
def test_an_age_in_words(span: dict[str, int], words: str) -> None:
    assert duration(timedelta(**span)) == words


def test_what_a_score_needs() -> None:
    assert CONTEXT.needs_told.startswith(
        "A score needs at least 3 observed inputs of the last 24 h; never without: Heart rate,"
    )
    small = context_of(heart_rate_schema(more="missing: impute", extra=", required: true"))
    assert small.needs_told == "A score needs at least 1 observed input."
    assert small.lookback == ""


def test_bounds_are_told_with_all_their_digits() -> None:
    schema = schema_of(
        "x: {fhir_resource: Condition, code: c, code_system: s}", "risk_levels: {moderate: 0.12345, high: 0.7}"
    )
    assert "MODERATE from 12.345%, HIGH from 70%." in context_of(schema).bounds_told


def test_a_schema_without_outcome_promises_nothing() -> None:
    assert "Predicted" not in context_of(heart_rate_schema()).facts_told


def test_an_order_without_a_name_of_its_own_takes_the_features() -> None:
    schema = heart_rate_schema(extra=", order: {system: s, code: c}")
    assert context_of(schema).features["heart_rate"].order == {"system": "s", "code": "c"}
