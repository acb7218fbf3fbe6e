from datetime import UTC, datetime

import pytest

from fhir_sandbox.moments import LATEST, http_date, instant, micros, span

SECOND = 1_000_000


def at(*parts: int) -> int:
    return micros(datetime(*parts, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", at(2024, 1, 1), at(2025, 1, 1)),
        ("2024-02", at(2024, 2, 1), at(2024, 3, 1)),
        ("2024-12", at(2024, 12, 1), at(2025, 1, 1)),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        ("2024-05-01T10:30", at(2024, 5, 1, 10, 30), at(2024, 5, 1, 10, 31)),
        ("2024-05-01T10:30:15Z", at(2024, 5, 1, 10, 30, 15), at(2024, 5, 1, 10, 30, 16)),
        ("2024-05-01T10:30:15", at(2024, 5, 1, 10, 30, 15), at(2024, 5, 1, 10, 30, 16)),
        ("2024-05-01T10:30:15+02:00", at(2024, 5, 1, 8, 30, 15), at(2024, 5, 1, 8, 30, 16)),
        ("2180-07-23T23:00:00-04:00", at(2180, 7, 24, 3), at(2180, 7, 24, 3, 0, 1)),
        ("9999", at(9999, 1, 1), LATEST),
    ],
)
def test_a_date_covers_what_its_precision_leaves_open(text, low, high):
    assert span(text) == (low, high)


def test_a_fraction_narrows_the_span():
    start = at(2024, 5, 1, 10)
    assert span("2024-05-01T10:00:00.5Z") == (start + 500_000, start + 600_000)
    assert span("2024-05-01T10:00:00.123Z") == (start + 123_000, start + 124_000)
    assert span("2024-05-01T10:00:00.123456789Z") == (start + 123_456, start + 123_457)


def test_the_first_moment_can_be_told_with_a_zone():
    assert span("0001-01-01T00:00:00+14:00")[0] == at(1, 1, 1) - 14 * 3600 * SECOND


@pytest.mark.parametrize(
    "text",
    ["", "24", "2024-13", "2024-02-30", "2024-05-01T", "2024-05-01T25:00:00Z", "2024-05-01T10:00:00 02:00",
     "2024-05-01T10:00:00+15:00", "2024-05-01T10:00:00+02:60", "2024-5-1", "0000", "２０２４", "2024-05-01 10:00:00Z"],
)  # fmt: skip
def test_what_is_no_date_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        span(text)


def test_a_moment_is_written_as_instant_and_as_header():
    moment = at(2024, 5, 1, 12) + 7_000
    assert instant(moment) == "2024-05-01T12:00:00.007Z"
    assert http_date(moment) == "Wed, 01 May 2024 12:00:00 GMT"
    assert span(instant(moment))[0] == moment
