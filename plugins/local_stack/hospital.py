"""The synthetic hospital of the demo, loaded once into the sandbox and left as it is ever after."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.seeding import seed
from screening.synthetic import Hospital

SIZE, SEED = 200, 7


@dataclass(frozen=True)
class DemoHospital:
    """What was loaded: the hospital's present, and whether it was there already."""

    now: datetime
    patients: int
    already_there: bool


def ensure_hospital(base_url: str, note: Path, today: datetime, say: Callable[[str], None]) -> DemoHospital:
    """Load the hospital where the sandbox is empty.

    Its present is the beginning of the day of the first loading and is kept in `note`, so that a later demo screens the
    same hospital as of the same time.
    """
    with FhirClient(ClientSettings(base_url=base_url)) as client:
        known = note.exists() and next(iter(client.search("Patient", [("_count", "1")])), None) is not None
        if known:
            kept = json.loads(note.read_text())
            return DemoHospital(datetime.fromisoformat(kept["now"]), kept["patients"], already_there=True)
        now = datetime.combine(today.astimezone(UTC).date(), datetime.min.time(), UTC)

        def progress(count: int) -> None:
            if count // 5000 > (count - 500) // 5000:  # a Bundle holds at most 500
                say(f"  loading the synthetic hospital: {count} resources")

        hospital = Hospital(size=SIZE, seed=SEED, now=now)
        loaded = seed(client, hospital, named=True, progress=progress)
        note.write_text(json.dumps({"now": now.isoformat(), "patients": SIZE + 3, "resources": loaded}))
    return DemoHospital(now, SIZE + 3, already_there=False)
