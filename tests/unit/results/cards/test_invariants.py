"""CDS Hooks' invariants: what holds has no problem, each breach is told, and nothing that comes makes them fail."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.results.cards.golden import cards

from screening.results.cards.invariants import problems_of_feedback, problems_of_response

REASON = {"code": "c", "system": "http://s.example.org", "display": "Because"}
CREATE = {"type": "create", "description": "Order", "resource": {"resourceType": "ServiceRequest"}}
SUGGESTION = {"label": "Order", "uuid": "0f9b0e3c-5d1e-4e8e-9f5e-0a1b2c3d4e5f", "actions": [CREATE]}
SECOND = SUGGESTION | {"uuid": "1f9b0e3c-5d1e-4e8e-9f5e-0a1b2c3d4e5f"}
LINK = {"label": "App", "url": "https://app.example.org/launch", "type": "smart", "appContext": "x"}
CARD: dict[str, Any] = {
    "uuid": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
    "summary": "Example",
    "detail": "text",
    "indicator": "info",
    "source": {
        "label": "Service", "url": "https://example.com", "icon": "https://example.com/i.png",
        "topic": {"system": "http://s.example.org", "code": "12345", "display": "Topic"},
    },
    "suggestions": [SUGGESTION],
    "selectionBehavior": "any",
    "overrideReasons": [REASON],
    "links": [LINK],
    "extension": {"com.example.x": 1},
}  # fmt: skip
ENTRY: dict[str, Any] = {
    "card": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
    "outcome": "accepted",
    "acceptedSuggestions": [{"id": "e56e1945-20b3-4393-8503-a1a20fd73152"}],
    "outcomeTimestamp": "2020-12-11T00:00:00Z",
}
DISMISSED = {"outcome": "overridden", "acceptedSuggestions": None}
YES, NO = {"isRecommended": True}, {"isRecommended": False}


def changed_of(whole: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Replace attributes; None takes one away."""
    return {name: value for name, value in (copy.deepcopy(whole) | changes).items() if value is not None}


def response(**changes: Any) -> list[str]:
    return problems_of_response({"cards": [changed_of(CARD, changes)]})


def told(found: list[str], rule: str | None) -> bool:
    return found == [] if rule is None else any(rule in problem for problem in found)


def test_ch40_what_holds_has_no_problem() -> None:
    assert problems_of_response({"cards": []}) == []
    assert problems_of_response({"cards": [], "extension": {"a": 1}}) == []
    assert response() == []
    assert response(detail=None, suggestions=None, selectionBehavior=None, overrideReasons=None, links=None) == []
    assert problems_of_response({"cards": [cards()["high"]]}) == []


@pytest.mark.parametrize(
    "body", [None, [], "cards", 1, {}, {"cards": None}, {"cards": {}}, {"cards": [None]}, {"cards": [[]]}]
)
def test_ch40_what_is_no_response(body: Any) -> None:
    assert problems_of_response(body)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"summary": "x" * 139}, None),
        ({"summary": "x" * 140}, "CH-44"),
        ({"summary": "a\nb"}, "CH-44"),
        ({"summary": None}, "summary: is required"),
        ({"summary": ""}, "CH-44"),
        ({"summary": 7}, "CH-44"),
        ({"indicator": "hard-stop"}, "CH-44"),
        ({"indicator": None}, "indicator: is required"),
        ({"indicator": ["info"]}, "CH-44"),
        ({"source": None}, "source: is required"),
        ({"source": {"url": "https://example.com"}}, "source.label: is required"),
        ({"source": {"label": "S", "url": "/relative"}}, "CH-47"),
        ({"source": {"label": "S", "url": "http://example.com"}}, "CH-47"),
        ({"source": {"label": "S", "url": "http://127.0.0.1:8091/x"}}, None),
        ({"source": {"label": "S", "url": "https://[x"}}, "CH-47"),
        ({"source": {"label": "S", "icon": "javascript:1"}}, "CH-47"),
        ({"source": {"label": "S", "topic": {"code": "c"}}}, "topic.system: is required"),
        ({"source": {"label": "S", "topic": "t"}}, "topic: is no object"),
        ({"uuid": None}, "uuid: is required"),
        ({"uuid": "urn:uuid:4e0a3a1e-3283-4575-ab82-028d55fe2719"}, "CH-45"),
        ({"uuid": "4e0a3a1e-3283-1575-ab82-028d55fe2719"}, "CH-45"),
        ({"detail": 1}, "CH-46"),
        ({"detail": ""}, "CH-48"),
        ({"title": "Sepsis"}, "1 attribute(s) that CDS Hooks 2.0.1 does not have"),
        ({"extension": [1]}, "CH-27"),
        ({"extension": {"a": None}}, "CH-48"),
        ({"links": []}, "CH-48"),
        ({"links": {"a": 1}}, "CH-4A"),
        ({"links": [LINK | {"url": "launch"}]}, "CH-4A"),
        ({"links": [{"label": "a", "url": "https://a.example.org"}]}, "type: is required"),
        ({"links": [LINK | {"type": "other"}]}, "CH-4A"),
        ({"links": [LINK | {"autolaunchable": True}]}, "1 attribute(s)"),
        ({"suggestions": []}, "CH-48"),
        ({"suggestions": SUGGESTION}, "CH-49"),
        ({"suggestions": [SUGGESTION | {"uuid": "x"}]}, "CH-45"),
        ({"suggestions": [{"label": "a"}]}, "uuid: is required"),
        ({"suggestions": [SUGGESTION | {"label": " "}]}, "CH-49"),
        ({"suggestions": [SUGGESTION | {"isRecommended": "yes"}]}, "CH-49"),
        ({"suggestions": [SUGGESTION, SUGGESTION]}, "CH-45"),
        ({"suggestions": [SUGGESTION | {"uuid": CARD["uuid"]}]}, "CH-45"),
        ({"selectionBehavior": "all"}, "CH-49"),
        ({"selectionBehavior": 1}, "CH-49"),
        ({"overrideReasons": [{"code": "c", "display": "d"}]}, "system: is required"),
        ({"overrideReasons": "c"}, "CH-4B"),
        # the logical model's own invariants
        ({"selectionBehavior": "at-most-one", "suggestions": [SUGGESTION | YES, SECOND | YES]}, "cds-resp-1"),
        ({"selectionBehavior": "at-most-one", "suggestions": [SUGGESTION | YES, SECOND | NO]}, None),
        ({"suggestions": [SUGGESTION | YES, SECOND | YES]}, None),
        ({"links": [LINK | {"type": "absolute"}]}, "cds-resp-3"),
        ({"overrideReasons": [{"code": "c", "system": "s"}]}, "cds-resp-4"),
        ({"overrideReasons": [REASON | {"display": ""}]}, "CH-48"),
        ({"selectionBehavior": None}, "cds-resp-6"),
        ({"suggestions": [SUGGESTION | {"actionSelectionBehavior": "any"}]}, "CH-4D"),
        ({"suggestions": [SUGGESTION | {"actionSelectionBehavior": "some"}]}, "cds-resp-7"),
    ],
)
def test_ch44_ch45_ch47_ch48_ch49_ch4a_ch4b_ch4d_each_breach_is_told(changes: dict[str, Any], rule: str | None) -> None:
    assert told(response(**changes), rule), response(**changes)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"type": "delete", "resource": None, "resourceId": "ServiceRequest/a"}, None),
        ({"type": "update", "resource": {"resourceType": "ServiceRequest", "id": "a"}}, None),
        ({"type": "delete"}, "cds-resp-2"),
        ({"type": "delete", "resource": None}, "cds-resp-2"),
        ({"type": "delete", "resourceId": "ServiceRequest/a"}, "cds-resp-2"),
        ({"type": "delete", "resource": None, "resourceId": "https://a.example.org/x"}, "CH-49"),
        ({"description": None}, "cds-resp-5"),
        ({"description": ""}, "CH-48"),
        ({"type": None}, "type: is required"),
        ({"type": "patch"}, "CH-49"),
        ({"resource": None}, "CH-49"),
        ({"resource": {"id": "a"}}, "CH-49"),
        ({"resource": {"resourceType": "ServiceRequest", "note": None}}, "CH-48"),
        ({"type": "update"}, "has an id"),
        ({"resourceId": "ServiceRequest/a"}, "no resourceId"),
    ],
)
def test_ch49_each_breach_of_an_action_is_told(changes: dict[str, Any], rule: str | None) -> None:
    found = response(suggestions=[SUGGESTION | {"actions": [changed_of(CREATE, changes)]}])
    assert told(found, rule), found


def test_ch4c_system_actions_need_no_description_and_are_never_an_empty_array() -> None:
    bare = {"type": "create", "resource": {"resourceType": "RiskAssessment"}}
    assert problems_of_response({"cards": [], "systemActions": [bare]}) == []
    assert problems_of_response({"cards": [], "systemActions": []}) == ["systemActions: is null or empty (CH-48)"]
    assert problems_of_response({"cards": [], "systemActions": [{"type": "create"}]})
    assert problems_of_response({"cards": [], "systemActions": "none"})


def test_ch45_uuids_differ_between_cards_too() -> None:
    plain = changed_of(CARD, {"suggestions": None, "selectionBehavior": None})
    assert problems_of_response({"cards": [plain, plain]}) == [
        "body: no two cards or suggestions have one uuid (CH-45)"
    ]


def test_ch48_only_the_array_of_cards_may_be_empty() -> None:
    assert response(extension={"cards": []}) == ["cards[0].extension.cards: is null or empty (CH-48)"]
    assert response(extension={"a": [{"b": [float("inf"), "", {}]}]}) == [
        f"cards[0].extension.a[0].b[{at}]: is null or empty (CH-48)" for at in range(3)
    ]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, None),
        ({"outcomeTimestamp": "1985-04-12T23:20:50.52+00:00", "extension": {"a": 1}}, None),
        (DISMISSED, None),
        (DISMISSED | {"overrideReason": {"userComment": "no"}}, None),
        (DISMISSED | {"overrideReason": {"reason": {"code": "c", "system": "http://s.example.org"}}}, None),
        ({"outcome": "ignored"}, "cds-fb-1"),
        ({"outcome": None}, "outcome: is required"),
        ({"acceptedSuggestions": None}, "cds-fb-2"),
        ({"acceptedSuggestions": []}, "cds-fb-2"),
        ({"overrideReason": {}}, "cds-fb-3"),
        ({"overrideReason": {"extension": {"a": 1}}}, "cds-fb-3"),
        ({"overrideReason": {"userComment": ""}}, "CH-48"),
        ({"overrideReason": {"reason": {"code": "c"}}}, "system: is required"),
        ({"overrideReason": {"reason": "c"}}, "reason: is no object"),
        ({"overrideReason": "no"}, "overrideReason: is no object"),
        ({"overrideReason": {"userComment": 1}}, "CH-71"),
        ({"card": None}, "card: is required"),
        ({"card": "x"}, "CH-71"),
        ({"acceptedSuggestions": [{}]}, "id: is required"),
        ({"acceptedSuggestions": ["e56e1945-20b3-4393-8503-a1a20fd73152"]}, "is no object"),
        ({"acceptedSuggestions": {"id": "x"}}, "CH-71"),
        ({"outcomeTimestamp": None}, "outcomeTimestamp: is required"),
        ({"outcomeTimestamp": "2020-12-11"}, "CH-71"),
        ({"outcomeTimestamp": "2020-12-11T00:00:00"}, "CH-71"),
        ({"outcomeTimestamp": "2020-12-11T00:00:00+01:00"}, "CH-71"),
        ({"outcomeTimestamp": "2020-13-11T00:00:00Z"}, "CH-71"),
        ({"outcomeTimestamp": 1607644800}, "CH-71"),
        ({"note": "x"}, "1 attribute(s)"),
    ],
)
def test_ch70_ch71_ch72_each_breach_of_feedback_is_told(changes: dict[str, Any], rule: str | None) -> None:
    found = problems_of_feedback({"feedback": [ENTRY, changed_of(ENTRY, changes)]})
    assert told(found, rule), found


@pytest.mark.parametrize(
    "body", [None, [], {}, {"feedback": None}, {"feedback": {}}, {"feedback": []}, {"feedback": [1]}]
)
def test_ch70_what_is_no_feedback(body: Any) -> None:
    assert problems_of_feedback(body)


NAMES = sorted(
    {"cards", "systemActions", "feedback", *CARD, *SUGGESTION, *CREATE, *LINK, *ENTRY, "reason", "resourceId"}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["create", "any"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)


@given(
    JSON, st.dictionaries(st.sampled_from(sorted(CARD)), JSON), st.dictionaries(st.sampled_from(sorted(ENTRY)), JSON)
)
def test_whatever_comes_it_is_judged_and_nothing_fails(body: Any, card: dict[str, Any], entry: dict[str, Any]) -> None:
    for found in (
        problems_of_response(body),
        problems_of_response({"cards": [CARD | card]}),
        problems_of_feedback(body),
        problems_of_feedback({"feedback": [ENTRY | entry]}),
    ):
        assert all(isinstance(problem, str) and problem for problem in found)


def test_a_problem_names_the_rule_and_never_the_content() -> None:
    odd = json.loads(json.dumps(CARD).replace("any", "SECRET").replace("info", "SECRET").replace("create", "SECRET"))
    odd |= {"SECRET": "SECRET", "summary": "SECRET" * 30, "links": ["SECRET"]}
    found = problems_of_response({"cards": [odd]})
    assert len(found) > 4
    assert "SECRET" not in str(found)
