"""One patient from FHIR to score: how long it takes, part by part.

::

    OMP_NUM_THREADS=1 PYTHONPATH=plugins .venv/bin/python bench/one_patient.py [PREFETCH.json …] [--rounds 2000]

Prints for each patient microseconds, median and 99th percentile: reading, features, score, and all of it. Without files it
is one of the synthetic hospital, with about as much as a day's chart holds. Beside the time on the wall stands the
processor's, which a busy machine does not lengthen as much. OpenMP's threads only cost here: set OMP_NUM_THREADS=1, as the
sidecar does.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from screening.features import featurize
from screening.model.registry import champion
from screening.readers.fhir import read
from screening.schema import load_schema
from screening.scoring import score
from screening.synthetic import Hospital, fhir_resources

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="CDS Hooks prefetch objects or Bundles, one patient each")
    parser.add_argument("--schema", type=Path, default=ROOT / "include/schemas/sepsis.yaml")
    parser.add_argument("--models", type=Path, default=ROOT / "include/models")
    parser.add_argument("--rounds", type=int, default=2000)
    chosen = parser.parse_args()
    schema = load_schema(chosen.schema)
    bundle = champion(chosen.models, schema.model or schema.name)
    for name, content in charts(chosen.files).items():
        reading = read([content], schema)
        matrix = featurize(reading, schema, "latest")
        (result,) = score(matrix, schema, bundle)
        values = f"{len(reading.values)} values, {result.outcome.value}"
        print(f"{name}: {values}{'' if result.probability is None else f' {result.probability}'}")
        parts: dict[str, Callable[[], Any]] = {
            "read": lambda content=content: read([content], schema),
            "featurize": lambda reading=reading: featurize(reading, schema, "latest"),
            "score": lambda matrix=matrix: score(matrix, schema, bundle),
            "whole": lambda content=content: score(
                featurize(read([content], schema), schema, "latest"), schema, bundle
            ),
        }
        for part, work in parts.items():
            wall, processor = timed(work, chosen.rounds)
            p99 = quantiles(wall, n=100)[98]
            print(
                f"  {part:<10} median {median(wall):7.0f} us   p99 {p99:7.0f} us   processor {median(processor):7.0f} us"
            )


def timed(work: Callable[[], Any], rounds: int) -> tuple[list[float], list[float]]:
    """Return microseconds on the wall and of the processor, one each round."""
    wall, processor = [], []
    for _ in range(max(rounds // 10, 1)):
        work()
    for _ in range(max(rounds, 2)):
        cpu, start = time.process_time_ns(), time.perf_counter_ns()
        work()
        wall.append((time.perf_counter_ns() - start) / 1000)
        processor.append((time.process_time_ns() - cpu) / 1000)
    return wall, processor


def charts(files: list[Path]) -> dict[str, Any]:
    """Return what is to be scored, by name."""
    if files:
        return {path.name: json.loads(path.read_text()) for path in files}
    hospital = Hospital(20, 7, NOW, vitals_per_day=8)
    return {"synthetic": fhir_resources(max(hospital.patients(), key=lambda one: len(one.events)), "loinc")}


if __name__ == "__main__":
    main()
