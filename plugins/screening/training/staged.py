"""Files by which the stages of a training run hand each other their work, in the run's own folder.

They hold patients' data by MIMIC's numbers and are removed when the run ends. What is pickled here was made by the stage
before, in the same run and folder; nothing else is ever unpickled.
"""

import io
import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from screening.errors import DataFileError
from screening.staging import Folder
from screening.training.data import TrainingSet
from screening.training.stays import Stays

_ROW = ("stays", "subjects", "labels", "age", "sex")


class Described(NamedTuple):
    """What the data are, in a few words for report, card and manifest, and whether their patients are invented."""

    words: str
    synthetic: bool


def save_json(folder: Folder, name: str, content: Any) -> None:
    """Write a JSON file."""
    save_bytes(folder, f"{name}.json", json.dumps(content, ensure_ascii=False, allow_nan=False).encode())


def load_json(folder: Folder, name: str) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataFileError
        Where it is missing: the run's files were removed at its end, or the stage before did not finish.
    """
    return json.loads(load_bytes(folder, f"{name}.json"))


def save_bytes(folder: Folder, name: str, content: bytes) -> None:
    """Write a file as it is.

    Raises
    ------
    DataFileError
        It cannot be written: the disk is full, or the folder may not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            file.write(content)
    except OSError as error:
        raise DataFileError(
            f"{folder / name}: cannot be written: {error.strerror or type(error).__name__}: make room, then run it again"
        ) from error


def load_bytes(folder: Folder, name: str) -> bytes:
    """Read what `save_bytes` wrote."""
    with _open(folder, name) as file:
        content: bytes = file.read()
    return content


def save_stays(folder: Folder, stays: Stays) -> None:
    """Write the cohort and its attrition."""
    _save_table(folder, "stays", stays.frame)
    save_json(folder, "attrition", stays.attrition)


def load_stays(folder: Folder) -> Stays:
    """Read what `save_stays` wrote."""
    return Stays(_table(folder, "stays"), load_json(folder, "attrition"))


def save_described(folder: Folder, described: Described) -> None:
    """Write what the data are, by where they came from."""
    save_json(folder, "described", described._asdict())


def load_described(folder: Folder) -> Described:
    """Read what the data are; patients of whom their own tables say that they are invented, are so wherever they lie."""
    found = Described(**load_json(folder, "described"))
    if not found.synthetic and load_stays(folder).frame["invented"].any():
        return Described(f"invented patients in the form of {found.words}", True)
    return found


def save_set(folder: Folder, data: TrainingSet) -> None:
    """Write the training set."""
    # Two files: a feature may well be called age.
    _save_table(folder, "training_rows", pd.DataFrame({name: getattr(data, name) for name in _ROW}))
    _save_table(folder, "training_values", pd.DataFrame(data.values, columns=list(data.feature_names)))


def load_set(folder: Folder) -> TrainingSet:
    """Read what `save_set` wrote."""
    frame, values = _table(folder, "training_rows"), _table(folder, "training_values")
    return TrainingSet(
        feature_names=tuple(values.columns),
        values=np.ascontiguousarray(values.to_numpy("float64")),
        labels=frame["labels"].to_numpy("int64"),
        subjects=frame["subjects"].to_numpy("int64"),
        stays=frame["stays"].to_numpy("int64"),
        age=frame["age"].to_numpy("float64"),
        sex=frame["sex"].to_numpy("str"),
    )


def save_object(folder: Folder, name: str, content: Any) -> None:
    """Write an object of our own, such as a fitted candidate."""
    import joblib

    held = io.BytesIO()
    joblib.dump(content, held)
    save_bytes(folder, f"{name}.pkl", held.getvalue())


def load_object(folder: Folder, name: str) -> Any:
    """Read what `save_object` wrote in this run."""
    import joblib

    return joblib.load(io.BytesIO(load_bytes(folder, f"{name}.pkl")))


def _save_table(folder: Folder, name: str, frame: pd.DataFrame) -> None:
    held = io.BytesIO()
    frame.to_parquet(held, index=False)
    save_bytes(folder, f"{name}.parquet", held.getvalue())


def _table(folder: Folder, name: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(load_bytes(folder, f"{name}.parquet")))


def _open(folder: Folder, name: str) -> Any:
    path = folder / name
    if not path.exists():
        raise DataFileError(
            f"{name} of this run is missing: the run ended and its files were removed, or the stage before did not finish; "
            "repeat the run from its first stage (locate) on"
        )
    return path.open("rb")
