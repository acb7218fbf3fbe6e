"""The MIMIC reader: rows of chartevents and labevents to the observations table, by the rules of the FHIR reader.

MIMIC-IV-on-FHIR is the map between the two (kind-lab/mimic-fhir, sql/fhir_observation_*.sql): charttime is the effective
time, storetime is `issued`, valuenum the quantity, valueuom its unit as text, and a laboratory's comment tells what became
of the result. Times are wall clock of the hospital without a zone; see `local_to_utc`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from screening.columns import NOT_A_TIME, as_utc
from screening.errors import FatalError
from screening.readers.fhir_fields import ABSURD
from screening.readers.mimic_tables import MimicTables
from screening.readers.mimic_windows import Windows
from screening.schema import Feature, Schema
from screening.units import resolve

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

EVENTS = {
    "chartevents": ("subject_id", "itemid", "charttime", "storetime", "valuenum", "valueuom"),
    "labevents": ("subject_id", "itemid", "charttime", "storetime", "value", "valuenum", "valueuom", "comments"),
}
"""Table → the columns that are read. A comparator is only in labevents' text; chartevents has neither one nor comments."""
VALUES = pa.schema(
    [
        ("subject_id", pa.int64()), ("feature", pa.int16()), ("effective_time", pa.int64()),
        ("available_time", pa.int64()), ("value", pa.float64()),
    ]
)  # fmt: skip
"""What counts, compact: feature as its place in the schema, times as UTC microseconds (`NOT_A_TIME` for an unknown one)."""
_LEAP = pd.Timedelta(hours=1)
_DAY = 86_400_000_000  # microseconds; no zone is further from UTC
# As kind-lab's conversion finds a comparator, wherever in the text.
_BOUND = re.compile("[<>≤≥]|GREATER THAN|LESS THAN")
# kind-lab's conversion looks for these words in this order; the first one found decides.
_COMMENTS = (("error", False), ("corrected", True), ("cancel", False))


@dataclass
class MimicReader:
    """Read what counts for a schema within some windows.

    Parameters
    ----------
    tables
        A folder or a database.
    schema
        The screen; every Observation feature needs `mimic`.
    clock
        The zone of MIMIC's wall clock.

    Attributes
    ----------
    drops
        (feature, reason) → how many values within the windows, or of their subjects and without a time, did not count.
    """

    tables: MimicTables
    schema: Schema
    clock: tzinfo
    drops: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        lacking = [name for name, feature in self.schema.features.items() if feature.mimic is None]
        if lacking:
            raise FatalError(
                f"schema {self.schema.name}: {', '.join(lacking)} cannot be trained from MIMIC: the key mimic is missing"
            )
        self._place = {name: place for place, name in enumerate(self.schema.feature_names)}

    def wanted(self) -> dict[str, tuple[str, ...]]:
        """Return the tables and columns that are read."""
        return {table: columns for table, columns in EVENTS.items() if self._features(table)}

    def values(self, windows: Windows) -> Iterator[pa.Table]:
        """Yield what counts, as tables of `VALUES`, in the order of the source.

        Raises
        ------
        DataFileError
            As the tables do.
        """
        for table, columns in self.wanted().items():
            features = self._features(table)
            itemids = sorted({item for feature in features for item in (feature.mimic.itemid if feature.mimic else ())})
            for batch in self.tables.batches(table, columns, itemids=itemids):
                self._count_timeless(batch, windows, features)
                rows = self._within(batch, windows)
                yield pa.concat_tables([self._of(feature, rows) for feature in features])

    def _features(self, table: str) -> list[Feature]:
        return [one for one in self.schema.of("Observation") if one.mimic and one.mimic.table == table]

    def _count_timeless(self, batch: pa.RecordBatch, windows: Windows, features: list[Feature]) -> None:
        timeless = batch.filter(pc.is_null(batch.column("charttime")))
        if len(timeless):
            whose = timeless.column("subject_id").to_numpy(zero_copy_only=False)
            items = timeless.column("itemid").to_numpy(zero_copy_only=False)[windows.know(whose)]
            for feature in features:
                count = int(np.isin(items, feature.mimic.itemid if feature.mimic else ()).sum())
                self.drops.update({(feature.name, "no_time"): count} if count else {})

    def _within(self, batch: pa.RecordBatch, windows: Windows) -> pd.DataFrame:
        """Return the rows of a batch within the windows, with `time` and `known` as UTC microseconds."""
        charted = batch.column("charttime")
        naive = pc.fill_null(charted.cast(pa.int64()), NOT_A_TIME).to_numpy(zero_copy_only=False)
        subject = batch.column("subject_id").to_numpy(zero_copy_only=False)
        near = windows.hold(subject, naive, slack=_DAY) & (naive != NOT_A_TIME)  # most are out already by wall clock
        rows = batch.filter(pa.array(near)).to_pandas()
        rows["time"] = local_to_utc(rows["charttime"], self.clock)
        rows = rows[windows.hold(rows["subject_id"].to_numpy("int64"), rows["time"].to_numpy("int64"))]
        return rows.assign(known=local_to_utc(rows["storetime"], self.clock))

    def _of(self, feature: Feature, rows: pd.DataFrame) -> pa.Table:
        items = feature.mimic.itemid if feature.mimic else ()
        mine = rows[rows["itemid"].isin(items)]
        value, reason = _values(feature, mine)
        dropped = pd.Series(reason[reason != ""]).value_counts()
        self.drops.update({(feature.name, str(name)): int(count) for name, count in dropped.items()})
        kept = mine[reason == ""]
        return pa.table(
            {
                "subject_id": kept["subject_id"].to_numpy("int64"),
                "feature": np.full(len(kept), self._place[feature.name], dtype="int16"),
                "effective_time": kept["time"].to_numpy("int64"),
                "available_time": kept["known"].to_numpy("int64"),
                "value": value[reason == ""],
            },
            schema=VALUES,
        )


def observations(values: pa.Table, schema: Schema) -> pd.DataFrame:
    """Return values as the observations table, by subject_id as text; duplicates are still in it."""
    place = values.column("feature").to_numpy()
    features = list(schema.features.values())
    time = as_utc(values.column("effective_time").to_numpy())
    return pd.DataFrame(
        {
            "patient_id": values.column("subject_id").to_numpy().astype("str").astype(object),
            "feature": pd.array([feature.name for feature in features], dtype="str").take(place),
            "effective_time": time,
            "effective_start": time,
            "available_time": as_utc(values.column("available_time").to_numpy()),
            "value": values.column("value").to_numpy(),
            "unit": pd.array([feature.unit or "" for feature in features], dtype="str").take(place),
            "source": pd.array([""], dtype="str").take(np.zeros(len(place), dtype="int64")),
            "encounter": pd.array([""], dtype="str").take(np.zeros(len(place), dtype="int64")),
        }
    ).astype({"patient_id": "str"})


def local_to_utc(times: pd.Series, clock: tzinfo) -> Ints:
    """Return UTC microseconds of wall-clock times; null becomes `NOT_A_TIME`.

    An hour that the clock repeats in autumn is the first one. A time that the clock leaps over in spring (a ward clock that
    did not leap) is read on by an hour, as PostgreSQL does, and with it MIMIC-IV-on-FHIR.
    """
    found: Ints = pd.DatetimeIndex(times).as_unit("us").asi8.astype("int64")
    known = found != NOT_A_TIME
    naive = found[known]
    place, days = pd.factorize(naive // _DAY)
    begin, end = _localized(days * _DAY, clock), _localized((days + 1) * _DAY, clock)
    utc = naive + (begin - days * _DAY)[place]
    changing = (end - begin != _DAY)[place]  # all but two days a year are read on at once: a zone is slow, time by time
    utc[changing] = _localized(naive[changing], clock)
    found[known] = utc
    return found


def _localized(naive: Ints, clock: tzinfo) -> Ints:
    times = pd.DatetimeIndex(naive.view("datetime64[us]"))
    zoned = times.tz_localize(clock, ambiguous=np.ones(len(times), dtype=bool), nonexistent=_LEAP)
    found: Ints = zoned.tz_convert("UTC").asi8.astype("int64")
    return found


def _values(feature: Feature, rows: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """Return values in the canonical unit, and the reason why one does not count ("" where it does)."""
    number = rows["valuenum"].to_numpy("float64", na_value=np.nan)
    value, reason = np.full(len(rows), np.nan), np.full(len(rows), "", dtype="<U18")
    reason[np.isnan(number)] = "no_value"
    if "value" in rows:
        text = rows["value"].fillna("").astype("str").str.strip()
        reason[(reason == "no_value") & (text != "").to_numpy()] = "not_a_quantity"
        reason[text.str.contains(_BOUND).to_numpy(bool)] = "comparator"  # whether or not valuenum repeats the bound
        reason[~_stands(rows["comments"])] = "status"
    units = rows["valueuom"].fillna("").astype("str")
    for unit, places in _places(units).items():
        open_ = places[reason[places] == ""]
        how = resolve(None, None, unit, feature.unit or "", feature.molar_mass, feature.assume_unit)
        if isinstance(how, str):
            reason[open_] = how
        else:
            # The very operations that the FHIR reader does number by number, in the same order: bit for bit the same.
            value[open_] = (number[open_] + how.before) * how.numerator / how.denominator - how.after
    low, high = feature.range or (-ABSURD, ABSURD)
    reason[(reason == "") & ~((low <= value) & (value <= high))] = "out_of_range"
    return value, reason


def _places(units: pd.Series) -> Mapping[str, Ints]:
    return {str(unit): np.asarray(places) for unit, places in units.groupby(units.to_numpy()).indices.items()}


def _stands(comments: pd.Series) -> Bools:
    """Tell which results still stand by their comments; a result without one does."""
    lower = comments.fillna("").astype("str").str.lower()
    stands, open_ = np.ones(len(lower), dtype=bool), np.ones(len(lower), dtype=bool)
    for word, stays in _COMMENTS:
        found = lower.str.contains(word, regex=False).to_numpy(bool)
        stands[open_ & found] = stays
        open_ &= ~found
    return stands
