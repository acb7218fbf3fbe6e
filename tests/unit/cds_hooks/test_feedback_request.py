"""What a feedback call may say: CH-70 to CH-72, cds-fb-1 to cds-fb-3."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.feedback_request import MAX_COMMENT, MAX_ENTRIES, MAX_SUGGESTIONS, parse_feedback
from cds_hooks.refusals import Refusal
from screening.feedback.entries import FeedbackEntry, Reason

CARD = "4e0a3a1e-3283-4575-ab82-028d55fe2719"
SUGGESTION = "e56e1945-20b3-4393-8503-a1a20fd73152"
AT = "2021-12-11T10:05:31Z"
OVERRIDDEN: dict[str, Any] = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": AT}
ACCEPTED: dict[str, Any] = OVERRIDDEN | {"outcome": "accepted", "acceptedSuggestions": [{"id": SUGGESTION}]}
CODING = {"code": "d7ecf885", "system": "https://example.com/cds-hooks/override-reason-system"}


def body(*entries: Any) -> bytes:
    return json.dumps({"feedback": list(entries)}).encode()


def parsed(entry: Any) -> FeedbackEntry:
    (found,) = parse_feedback(body(entry))
    return found


def refused(content: bytes) -> Refusal:
    with pytest.raises(Refusal) as found:
        parse_feedback(content)
    return found.value


def without(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != name}


def test_ch70_the_standard_s_own_examples() -> None:
    reasoned = OVERRIDDEN | {
        "overrideReason": {"reason": CODING, "userComment": "A comment entered by the clinician."},
    }
    moment = datetime(2021, 12, 11, 10, 5, 31, tzinfo=UTC)
    assert parse_feedback(body(ACCEPTED, OVERRIDDEN, reasoned)) == [
        FeedbackEntry(card=CARD, outcome="accepted", outcome_at=moment, accepted_suggestions=(SUGGESTION,)),
        FeedbackEntry(card=CARD, outcome="overridden", outcome_at=moment),
        FeedbackEntry(
            card=CARD, outcome="overridden", outcome_at=moment,
            reason=Reason(CODING["code"], CODING["system"]), comment="A comment entered by the clinician.",
        ),
    ]  # fmt: skip


def test_ch70_an_empty_batch_is_a_batch() -> None:
    assert parse_feedback(body()) == []


def test_ch72_a_reason_without_display_as_the_sandbox_sends_it() -> None:
    assert parsed(OVERRIDDEN | {"overrideReason": {"reason": CODING}}).reason == Reason(
        CODING["code"], CODING["system"]
    )


def test_a_reason_with_display() -> None:
    found = parsed(OVERRIDDEN | {"overrideReason": {"reason": CODING | {"display": "Busy"}}}).reason
    assert found is not None
    assert found.display == "Busy"


@pytest.mark.parametrize("entry", [
    OVERRIDDEN | {"overrideReason": None, "acceptedSuggestions": None},
    OVERRIDDEN | {"acceptedSuggestions": []},
    OVERRIDDEN | {"acceptedSuggestions": [{"id": SUGGESTION}]},
    ACCEPTED | {"overrideReason": {"userComment": "but later"}},
    OVERRIDDEN | {"extension": {"com.example.x": 1}, "unknown": [1]},
    OVERRIDDEN | {"overrideReason": {"reason": CODING | {"version": "1", "userSelected": True}}},
    OVERRIDDEN | {"overrideReason": {"reason": CODING, "userComment": "  "}},
    OVERRIDDEN | {"card": CARD.upper()}, OVERRIDDEN | {"card": f"urn:uuid:{CARD}"},
])  # fmt: skip
def test_what_the_standard_does_not_forbid_is_taken(entry: Any) -> None:
    assert parsed(entry).card == CARD


@pytest.mark.parametrize(("entry", "field"), [
    (without(OVERRIDDEN, "card"), "card"),
    (OVERRIDDEN | {"card": "x"}, "card"),
    (OVERRIDDEN | {"card": None}, "card"),
    (OVERRIDDEN | {"card": f"{{{CARD}}}"}, "card"),
    (OVERRIDDEN | {"card": [CARD]}, "card"),
    (OVERRIDDEN | {"card": f"{CARD}\n"}, "card"),
    (without(OVERRIDDEN, "outcomeTimestamp"), "outcomeTimestamp"),
    (OVERRIDDEN | {"outcomeTimestamp": 1639217131}, "outcomeTimestamp"),
    (OVERRIDDEN | {"acceptedSuggestions": {"id": SUGGESTION}}, "acceptedSuggestions"),
    (OVERRIDDEN | {"acceptedSuggestions": [{"id": SUGGESTION}] * (MAX_SUGGESTIONS + 1)}, "acceptedSuggestions"),
    (ACCEPTED | {"acceptedSuggestions": [SUGGESTION]}, "acceptedSuggestions[0]"),
    (ACCEPTED | {"acceptedSuggestions": [{"id": SUGGESTION}, {}]}, "acceptedSuggestions[1].id"),
    (ACCEPTED | {"acceptedSuggestions": [{"id": "1"}]}, "acceptedSuggestions[0].id"),
    (OVERRIDDEN | {"overrideReason": {"reason": {"code": "x"}}}, "overrideReason.reason.system"),
    (OVERRIDDEN | {"overrideReason": {"reason": {"system": "x"}}}, "overrideReason.reason.code"),
    (OVERRIDDEN | {"overrideReason": {"reason": "x"}}, "overrideReason.reason"),
    (OVERRIDDEN | {"overrideReason": {"reason": CODING | {"display": 1}}}, "overrideReason.reason.display"),
    (OVERRIDDEN | {"overrideReason": {"reason": CODING | {"code": "x" * 256}}}, "overrideReason.reason.code"),
    (OVERRIDDEN | {"overrideReason": {"userComment": ["x"]}}, "overrideReason.userComment"),
    (OVERRIDDEN | {"overrideReason": {"userComment": "a\u0000b"}}, "overrideReason.userComment"),
    (OVERRIDDEN | {"overrideReason": {"userComment": "x" * (MAX_COMMENT + 1)}}, "overrideReason.userComment"),
    (OVERRIDDEN | {"overrideReason": "busy"}, "overrideReason"),
    ([], ""), (None, ""), ("x", ""),
])  # fmt: skip
def test_ch71_each_violation_is_refused_by_its_field(entry: Any, field: str) -> None:
    found = refused(body(ACCEPTED, entry))
    path = f"feedback[1].{field}" if field else "feedback[1]"
    assert (found.status, found.diagnostics) == (400, path)
    assert found.text.startswith(f"No entry was kept: {path} ")


@pytest.mark.parametrize("outcome", ["ignored", "Accepted", "", None, True, ["accepted"], {"accepted": 1}])
def test_ch71_cds_fb_1_the_outcome_is_accepted_or_overridden(outcome: Any) -> None:
    assert refused(body(OVERRIDDEN | {"outcome": outcome})).diagnostics == "feedback[0].outcome"
    assert refused(body(without(OVERRIDDEN, "outcome"))).diagnostics == "feedback[0].outcome"


@pytest.mark.parametrize("given", [{}, {"acceptedSuggestions": []}, {"acceptedSuggestions": None}])
def test_ch71_cds_fb_2_an_accepted_card_says_which_suggestions_were(given: Any) -> None:
    found = refused(body(without(ACCEPTED, "acceptedSuggestions") | given))
    assert found.diagnostics == "feedback[0].acceptedSuggestions"
    assert "required with the outcome accepted" in found.text


@pytest.mark.parametrize("reason", [{}, {"userComment": ""}, {"reason": None, "userComment": None}, {"extension": {}}])
def test_ch71_cds_fb_3_an_override_reason_has_a_reason_a_comment_or_both(reason: Any) -> None:
    found = refused(body(OVERRIDDEN | {"overrideReason": reason}))
    assert found.diagnostics == "feedback[0].overrideReason"
    assert "must have a reason, a userComment or both" in found.text


@pytest.mark.parametrize(("text", "moment"), [
    ("1985-04-12T23:20:50.52Z", datetime(1985, 4, 12, 23, 20, 50, 520_000, UTC)),
    ("2026-03-01T10:05:31+00:00", datetime(2026, 3, 1, 10, 5, 31, 0, UTC)),
    ("2026-03-01T10:05:31-00:00", datetime(2026, 3, 1, 10, 5, 31, 0, UTC)),
    ("2026-03-01t10:05:31z", datetime(2026, 3, 1, 10, 5, 31, 0, UTC)),
    ("2026-03-01T10:05:31.1234567899Z", datetime(2026, 3, 1, 10, 5, 31, 123_456, UTC)),
    ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
])  # fmt: skip
def test_ch71_times_of_rfc_3339_in_utc(text: str, moment: datetime) -> None:
    assert parsed(OVERRIDDEN | {"outcomeTimestamp": text}).outcome_at == moment


@pytest.mark.parametrize("text", [
    "2026-03-01T10:05:31", "2026-03-01T10:05:31+01:00", "2026-03-01", "2026-03-01T10:05Z", "2026-02-30T10:05:31Z",
    "2026-03-01 10:05:31Z", "2026-W10-1T10:05:31Z", "0000-01-01T00:00:00Z", "2026-03-01T24:00:00Z",
    "9999-12-31T23:59:60Z", "2026-03-01T10:05:31Z\n", "２０２６-03-01T10:05:31Z", "20260301T100531Z", "",
])  # fmt: skip
def test_ch71_other_times_are_refused(text: str) -> None:
    assert refused(body(OVERRIDDEN | {"outcomeTimestamp": text})).diagnostics == "feedback[0].outcomeTimestamp"


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"{}", b"null", b'{"feedback": null}', b'{"feedback": {}}', b'{"feedback": "x"}', b"\xff\xfe",
    b"[" * 100_000, b'{"feedback": NaN}',
])  # fmt: skip
def test_ch71_a_body_that_is_none_is_refused(content: bytes) -> None:
    assert refused(content).status == 400


def test_more_entries_than_a_call_takes() -> None:
    assert len(parse_feedback(body(*[OVERRIDDEN] * MAX_ENTRIES))) == MAX_ENTRIES
    found = refused(body(*[OVERRIDDEN] * (MAX_ENTRIES + 1)))
    assert (found.status, found.diagnostics) == (413, "feedback")


def test_every_entry_s_problem_is_told_up_to_ten() -> None:
    found = refused(body({}, ACCEPTED, *[OVERRIDDEN | {"card": 1}] * 12))
    assert found.diagnostics is not None
    assert found.diagnostics.split(", ")[:2] == ["feedback[0].outcome", "feedback[2].card"]
    assert len(found.diagnostics.split(", ")) == 10
    assert found.text.endswith("and 3 more.")


def test_no_value_of_the_call_is_in_a_refusal() -> None:
    marked = json.dumps(OVERRIDDEN).replace(CARD, "Mrs Miller").replace("overridden", "Miller").replace(AT, "Miller")
    for content in (f'{{"feedback": [{marked}]}}', f'{{"feedback": "{"Miller" * 9}"}}', '{"Miller": 1}', "Miller"):
        found = refused(content.encode())
        assert "Miller" not in f"{found.text} {found.diagnostics} {found}"


def test_a_suggestion_accepted_twice_counts_once() -> None:
    twice = ACCEPTED | {"acceptedSuggestions": [{"id": SUGGESTION}, {"id": SUGGESTION.upper()}]}
    assert parsed(twice).accepted_suggestions == (SUGGESTION,)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
ODD = JSON | st.sampled_from([CARD, AT, "accepted", "overridden", CODING, {"reason": CODING}, [{"id": SUGGESTION}]])
ENTRY = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("card", "outcome", "outcomeTimestamp", "acceptedSuggestions", "overrideReason"), ODD)
)


def answer(content: bytes) -> list[FeedbackEntry] | Refusal:
    try:
        return parse_feedback(content)
    except Refusal as refusal:
        return refusal


@given(st.binary() | JSON.map(lambda found: json.dumps(found).encode()))
def test_ch71_any_bytes_are_refused_or_taken(content: bytes) -> None:
    found = answer(content)
    assert isinstance(found, list) or found.status == 400


@given(st.lists(ENTRY | JSON, max_size=3))
def test_ch71_any_entries_are_refused_by_a_field_or_taken_as_the_rules_say(entries: list[Any]) -> None:
    found = answer(body(*entries))
    if isinstance(found, Refusal):
        assert found.status == 400
        assert re.match(r"feedback\[\d+\]|body$", str(found.diagnostics))
        return
    assert len(found) == len(entries)
    for one in found:
        assert one.outcome in ("accepted", "overridden")
        assert one.accepted_suggestions or one.outcome == "overridden"
        assert one.outcome_at.tzinfo is UTC


@given(st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis asks for none
def test_ch71_any_time_in_utc_comes_back_as_it_is(moment: datetime) -> None:
    with_z = moment.isoformat().removesuffix("+00:00") + "Z"
    assert parsed(OVERRIDDEN | {"outcomeTimestamp": with_z}).outcome_at == moment
