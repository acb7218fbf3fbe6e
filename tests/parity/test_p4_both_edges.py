"""P4 and RA-25: the batch's RiskAssessment and the card at the chart say the same of the same data at the same time.

The whole answers are compared, not only the score: the RiskAssessment that the sidecar asks the EHR to create is the one
that the batch wrote but for what servers set (id, versionId, lastUpdated), the versions in `basis` included, for one server
has them all; and the card is the one that the library makes of the batch's result.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.parity.edges import (
    Clock,
    Json,
    Screened,
    batch,
    connection,
    cut,
    discovered,
    ehr,
    expected,
    opened,
    prefetched,
    sidecar,
)
from werkzeug.test import Client

from fhir_sandbox.server import SandboxServer
from screening.data_files import contents
from screening.model.bundle import ModelBundle
from screening.outcome import PatientResult
from screening.queries import MARGIN
from screening.readers.fhir import read
from screening.schema import Schema
from screening.synthetic import Dirt, Hospital, fhir_resources
from screening.window import outside_window

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
DIRT = Dirt(
    missing_lactate=0.4, comparator=0.05, string_value=0.04, cancelled=0.04, entered_in_error=0.08, no_unit=0.04,
    no_time=0.03, foreign_focus=0.03, duplicate_time=0.05, duplicate_id=0.05, zero_value=0.03, fahrenheit_as_celsius=0.03,
    other_unit=0.2, silent_day=0.1, no_observations=0.04, deceased=0.04, partial_birth_date=0.1, unknown_gender=0.1,
)  # fmt: skip
WARDS = (("loinc", 95, 4, 4.0), ("loinc", 5, 5, 60.0), ("mimic", 95, 6, 4.0), ("mimic", 5, 7, 60.0))
"""Style, patients, seed and sets of vitals a day: two hundred patients, some charted so often that a page is cut."""
MIMIC_FILES = ("MimicObservationChartevents.vitals", "MimicObservationLabevents.sepsis_labs")
DROPPED = ("status", "comparator", "not_a_quantity", "no_unit", "out_of_range", "foreign_focus", "duplicate")
FIRST_LOOKS = (timedelta(minutes=5), *[timedelta(hours=20)] * 9)
"""After admission, of every ten patients: one has hardly arrived."""
AROUND = timedelta(days=3)


@dataclass(frozen=True)
class House:
    """A hospital's server, its patients as the batch screened them, and the sidecars beside it."""

    server: SandboxServer
    records: dict[str, list[Json]]
    screened: Screened
    clock: Clock
    sidecars: dict[str, Client]
    schema: Schema
    model: ModelBundle
    zone: ZoneInfo | None

    def open_each(self) -> tuple[list[tuple[str, str]], int]:
        """Open every chart in two ways; return whose answer is not the batch's, by which way, and how many pages were cut.

        Once all is sent, and what was cut is fetched from the EHR's server. Once nothing is sent, or every other key, and
        the rest is fetched from there or by our own connection.
        """
        templates = discovered(self.sidecars["ehr"])
        differ, pages = [], 0
        with ehr(self.server) as get:
            for number, (who, result) in enumerate(self.screened.results.items()):
                sent = prefetched(get, templates, who)
                pages += cut(sent)
                part = {key: sent[key] for key in list(sent)[number % 2 :: 2]} if number % 4 >= 2 else {}
                stale = self._stale(result)
                for by, prefetch in (("ehr", sent), (("ehr", "own")[number % 2], part)):
                    if not self._same(by, who, prefetch, stale):
                        differ.append((who, f"{by} {' '.join(prefetch)}"))
        return differ, pages

    def _same(self, by: str, who: str, prefetch: Json, stale: dict[str, datetime]) -> bool:
        at = self.screened.results[who].prediction_time
        assert at is not None
        self.clock.now = at
        answer = opened(self.sidecars[by], who, prefetch, self.server if by == "ehr" else None)
        # What is sent reaches back as far as it may, and what is fetched as far as it may count.
        first = at - (self.schema.lookback or timedelta()) - MARGIN
        known = {name: time for name, time in stale.items() if name in prefetch or time >= first}
        return answer == expected(self.screened, who, self.schema, self.model, answer, stale=known)

    def _stale(self, result: PatientResult) -> dict[str, datetime]:
        """Return the newest values too old to count of a patient whose card shows them: where an input is missing."""
        if result.inputs and not result.imputed:
            return {}
        whole = read([self.records[result.patient_id]], self.schema, zone=self.zone)
        return outside_window(whole.values, self.schema, result.patient_id, result.prediction_time).stale


def house(
    server: SandboxServer, records: dict[str, list[Json]], at: "dict[str, datetime] | datetime", folder: Path,
    schema: Schema, model: ModelBundle, zone: ZoneInfo | None,
) -> House:  # fmt: skip
    """Load the records, screen the patients by the batch, and start the sidecars."""
    server.load(one for record in records.values() for one in record)
    screened, clock = batch(server, schema, model, at, records, folder / "batch", zone), Clock()
    where = {"zone": str(zone)} if zone else {}
    sidecars = {
        "ehr": sidecar(folder / "ehr", clock, server, **where),
        "own": sidecar(folder / "own", clock, fetch_from="own", fhir_conn=connection(server, **where)),
    }
    return House(server, records, screened, clock, sidecars, schema, model, zone)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture(scope="module")
def wards(server: SandboxServer, schema: Schema, model: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Two hundred invented patients at one time, some of whose times do not tell their zone; the site's is known."""
    records = {
        person.patient_id: [soiled(one, number) for number, one in enumerate(fhir_resources(person, style))]
        for style, size, seed, often in WARDS
        for person in Hospital(size, seed, NOW, DIRT, often).patients()
    }
    return house(server, records, NOW, tmp_path_factory.mktemp("wards"), schema, model, ZONE)


def soiled(resource: Json, number: int) -> Json:
    """Return an Observation with a time that does not tell its zone, or only the day: what the hospital's dirt lacks."""
    time = resource.get("effectiveDateTime")
    if time and number % 11 == 0:
        return {**resource, "effectiveDateTime": time[:19]}
    return {**resource, "effectiveDateTime": time[:10]} if time and number % 13 == 0 else resource


@pytest.fixture(scope="module")
def mimic(
    real_data: Path, server: SandboxServer, schema: Schema, model: ModelBundle, tmp_path_factory: pytest.TempPathFactory
) -> House:
    """A hundred real patients, each as of some hours after the first admission to intensive care, with some days around."""
    folder = real_data / "mimic-iv-fhir-demo"
    stays = defaultdict(list)
    for stay in contents([folder / "MimicEncounterICU.ndjson.gz"]):
        period = [datetime.fromisoformat(stay["period"][edge]).astimezone(UTC) for edge in ("start", "end")]
        stays[whose(stay)].append(period)
    at = {
        who: min(min(mine)[0] + FIRST_LOOKS[number % 10], min(mine)[1])
        for number, (who, mine) in enumerate(sorted(stays.items()))
    }
    wanted = {code.code for feature in schema.of("Observation") for code in feature.codes}
    records: dict[str, list[Json]] = {one["id"]: [one] for one in contents([folder / "MimicPatient.ndjson.gz"])}
    for one in contents([folder / f"{name}.ndjson.gz" for name in MIMIC_FILES]):
        ago = at[whose(one)] - datetime.fromisoformat(one["effectiveDateTime"])
        if one["code"]["coding"][0]["code"] in wanted and -AROUND < ago < AROUND:
            records[whose(one)].append(one)
    return house(server, records, at, tmp_path_factory.mktemp("mimic"), schema, model, None)


def whose(resource: Json) -> str:
    return str(resource["subject"]["reference"]).removeprefix("Patient/")


def test_p4_the_wards_hold_what_makes_them_hard(wards: House) -> None:
    """A comparison of easy patients, or of none that is scored, would pass by emptiness."""
    counts = wards.screened.counts()
    assert counts.total() == 200
    assert counts["low"] >= 100
    assert counts["moderate"] + counts["high"] >= 10
    assert min(counts["moderate"], counts["high"]) >= 3
    assert counts["insufficient_data"] >= 20
    assert counts["excluded"] >= 3
    assert sum(bool(one.imputed) for one in wards.screened.results.values()) >= 50
    dropped: Counter[str] = Counter()
    for (_, _, reason), count in wards.screened.reading.drops.items():
        dropped[reason] += count
    rare = [reason for reason in DROPPED if dropped[reason] < 5]
    assert rare == []


def test_p4_ra25_two_hundred_invented_charts(wards: House) -> None:
    differ, pages = wards.open_each()
    assert differ == []
    assert pages >= 10


def test_p4_ra25_a_hundred_real_charts(mimic: House) -> None:
    counts = mimic.screened.counts()
    assert counts.total() == 100
    assert counts["low"] >= 50
    assert counts["moderate"] + counts["high"] >= 10
    assert counts["insufficient_data"] >= 5
    differ, _ = mimic.open_each()
    assert differ == []
