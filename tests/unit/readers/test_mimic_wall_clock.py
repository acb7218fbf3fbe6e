"""MIMIC's wall clock: read day by day where a day has one offset, and the same as time by time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from screening.columns import NOT_A_TIME
from screening.readers.mimic import local_to_utc
from screening.times import micros

YEARS = (2019, 2150)


@pytest.mark.parametrize("name", ["America/New_York", "Europe/Berlin", "America/Havana", "Asia/Kolkata", "UTC"])
def test_each_time_is_read_as_alone(name: str) -> None:
    """Havana's clock changes at midnight, so that the days on both sides of it differ."""
    zone = ZoneInfo(name)
    hours = [datetime(year, 1, 1, 0, 20) + timedelta(minutes=40 * step) for year in YEARS for step in range(13_200)]  # noqa: DTZ001 - a wall clock
    # zoneinfo's fold=0: the first of two hours, and read on over the hour that is none
    alone = [micros(time.replace(tzinfo=zone).astimezone(UTC)) for time in hours]
    assert local_to_utc(pd.Series(hours), zone).tolist() == alone
    offsets = {time.replace(tzinfo=zone).utcoffset() for time in hours}
    assert len(offsets) == (1 if name in ("Asia/Kolkata", "UTC") else 2)


def test_a_time_that_is_not_there_is_none() -> None:
    times = pd.Series([pd.NaT, pd.Timestamp("2150-03-08 02:30"), pd.NaT], dtype="datetime64[us]")
    expected = micros(datetime(2150, 3, 8, 7, 30, tzinfo=UTC))
    assert local_to_utc(times, ZoneInfo("America/New_York")).tolist() == [NOT_A_TIME, expected, NOT_A_TIME]
    assert local_to_utc(times[:0], ZoneInfo("UTC")).dtype == np.int64
