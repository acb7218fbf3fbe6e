"""Parquet files by which the stages of one batch hand each other their work.

Each stage reads what the one before wrote and writes its own; a stage run again overwrites its own files and nothing else.
The folder is any path that opens files (`pathlib.Path`, Airflow's `ObjectStoragePath`).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import IO, Any, Protocol, Self

import pandas as pd
from pydantic import TypeAdapter

from screening.errors import DataFileError
from screening.feature_matrix import FeatureMatrix
from screening.observations import Drop, Reading
from screening.outcome import PatientResult

_RESULTS = TypeAdapter(list[PatientResult])


class Folder(Protocol):
    """The little of a path that staging needs."""

    def __truediv__(self, name: str) -> Self: ...
    def mkdir(self, *, parents: bool = ..., exist_ok: bool = ...) -> None: ...
    def exists(self) -> bool: ...
    def open(self, mode: str) -> IO[Any]: ...


def save(folder: Folder, name: str, frame: pd.DataFrame) -> None:
    """Write one table; it is whole or absent in the eyes of the next stage, which reads only after success."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.parquet").open("wb") as file:
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        file.write(buffer.getvalue())


def load(folder: Folder, name: str) -> pd.DataFrame:
    """Read one table.

    Raises
    ------
    DataFileError
        Where it is missing: the stage before did not run, or the run's staging was removed at its end.
    """
    path = folder / f"{name}.parquet"
    if not path.exists():
        raise DataFileError(
            f"staging file {name}.parquet is missing: it was removed when the run ended, or the stage before did not "
            "finish; clear the batch from its first task (fetch) on"
        )
    with path.open("rb") as file:
        content = file.read()
    try:
        return pd.read_parquet(io.BytesIO(content))
    except (OSError, ValueError):  # pyarrow's ArrowInvalid is a ValueError
        raise DataFileError(
            f"staging file {name}.parquet is broken: clear the batch from its first task (fetch) on"
        ) from None


def save_reading(folder: Folder, reading: Reading) -> None:
    """Write what a reader found."""
    save(folder, "observations", reading.observations)
    save(folder, "patients", reading.patients)
    save(folder, "drops_read", _drop_table(reading.drops))


def load_reading(folder: Folder) -> Reading:
    """Read what `save_reading` wrote."""
    return Reading(load(folder, "observations"), load(folder, "patients"), _drop_counter(load(folder, "drops_read")))


def save_matrix(folder: Folder, matrix: FeatureMatrix) -> None:
    """Write a feature matrix; its drops hold the reader's, which stay as they are for a stage run again."""
    save(folder, "features", matrix.rows)
    save(folder, "cells", matrix.cells)
    save(folder, "basis", matrix.basis)
    save(folder, "drops", _drop_table(matrix.drops))


def load_matrix(folder: Folder) -> FeatureMatrix:
    """Read what `save_matrix` wrote."""
    return FeatureMatrix(
        load(folder, "features"), load(folder, "cells"), load(folder, "basis"), _drop_counter(load(folder, "drops"))
    )


def save_results(folder: Folder, results: list[PatientResult]) -> None:
    """Write results: one row a patient, the whole result as JSON beside the columns worth a look."""
    frame = pd.DataFrame(
        {
            "patient_id": pd.array([one.patient_id for one in results], dtype="str"),
            "outcome": pd.array([one.outcome.value for one in results], dtype="str"),
            "result": pd.array([_RESULTS.dump_json([one]).decode() for one in results], dtype="str"),
        }
    )
    save(folder, "results", frame)


def load_results(folder: Folder) -> list[PatientResult]:
    """Read what `save_results` wrote."""
    return [one for text in load(folder, "results")["result"] for one in _RESULTS.validate_json(text)]


def _drop_table(drops: Counter[Drop]) -> pd.DataFrame:
    rows = [(*key, count) for key, count in sorted(drops.items())]
    frame = pd.DataFrame(rows, columns=["patient_id", "feature", "reason", "count"])
    return frame.astype({"patient_id": "str", "feature": "str", "reason": "str", "count": "int64"})


def _drop_counter(frame: pd.DataFrame) -> Counter[Drop]:
    keys = zip(frame["patient_id"], frame["feature"], frame["reason"], strict=True)
    return Counter(dict(zip(keys, frame["count"].tolist(), strict=True)))


def as_moment(text: str | None) -> datetime | None:
    """Read an ISO moment as the stages pass it; None and "latest" mean each patient's latest."""
    return None if text in (None, "latest") else datetime.fromisoformat(text)


def save_counts(folder: Folder, name: str, counts: Mapping[str, int]) -> None:
    """Write the counts of a stage, to be summed at the end of the run."""
    save(folder, name, pd.DataFrame({"name": pd.array(list(counts), dtype="str"), "count": list(counts.values())}))


def load_counts(folder: Folder, name: str) -> Counter[str]:
    """Read what `save_counts` wrote."""
    frame = load(folder, name)
    return Counter(dict(zip(frame["name"].tolist(), frame["count"].tolist(), strict=True)))
