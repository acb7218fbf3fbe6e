from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from tests.unit.results.assessments import AT, SHA, assessment

from screening.errors import ResultError
from screening.results.identity import IDENTIFIER_SYSTEM, identifier, search_by_identifier

ASKED: dict[str, Any] = {
    "schema_name": "sepsis",
    "schema_version": "1.0.0",
    "model_version": "2.1.0",
    "model_sha256": SHA,
    "patient_id": "p-1",
    "prediction_time": AT,
}


def test_the_identifier_is_the_same_for_ever() -> None:
    """A change of this value would write every assessment of the past a second time."""
    assert identifier(**ASKED) == "492506ba-c33c-5c8d-a110-506d877209bd"
    assert UUID(identifier(**ASKED)).version == 5


def test_it_does_not_depend_on_the_zone_that_the_time_is_written_in() -> None:
    east = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert identifier(**{**ASKED, "prediction_time": east}) == identifier(**ASKED)


@pytest.mark.parametrize(
    "changed",
    [
        {"schema_name": "aki"},
        {"schema_version": "1.0.1"},
        {"model_version": "2.1.1"},
        {"model_sha256": "f" * 64},
        {"patient_id": "p-2"},
        {"prediction_time": AT + timedelta(microseconds=1)},
        {"schema_version": "1.0.02", "model_version": ".1.0"},
        {"schema_name": "sepsis1", "schema_version": ".0.0"},
    ],
)
def test_another_question_has_another_identifier(changed: dict[str, Any]) -> None:
    assert identifier(**{**ASKED, **changed}) != identifier(**ASKED)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ResultError, match="zone"):
        identifier(**{**ASKED, "prediction_time": datetime(2026, 3, 10)})  # noqa: DTZ001


def test_the_system_names_no_host() -> None:
    assert IDENTIFIER_SYSTEM == "urn:airflow-risk-screening:risk-assessment"


def test_the_search_finds_ours_among_other_identifiers() -> None:
    ours = assessment()["identifier"][0]
    found = search_by_identifier(assessment(identifier=[{"system": "urn:x", "value": "1"}, ours]))
    assert found == f"identifier=urn%3Aairflow-risk-screening%3Arisk-assessment%7C{ours['value']}"


def test_utc_is_what_is_hashed() -> None:
    assert identifier(**{**ASKED, "prediction_time": datetime(2026, 3, 10, 12, tzinfo=UTC)}) == identifier(**ASKED)
