import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from tests.unit.model.conftest import dumped

from screening.errors import ModelError
from screening.model.artifact import read_artifact


class Trap:
    """A pickle that leaves a trace when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_file_of_another_sha256_does_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "model.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Trap(trace)))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ModelError) as refused:
        read_artifact(path, "ab" * 32)
    assert not trace.exists()
    assert all(part in str(refused.value) for part in (str(path), found[:12], "abababababab", "Restore it"))
    read_artifact(path, found)
    assert trace.exists()


def test_a_sha256_in_capitals_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(dumped({"a": 1}))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_artifact(path, found.upper()).sha256 == found


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(dumped({"a": list(range(99))}, compress=3))
    assert read_artifact(path, None).content == {"a": list(range(99))}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "EOFError"),
        (b"hello", "cannot be unpickled"),
        (b"PK\x03\x04junk", "cannot be unpickled"),
        (b"\x80\x04garbage", "cannot be unpickled"),
        (dumped({"a": "b" * 999}, compress=3)[:20], "damaged"),
        (b"cno_such_module_at_all\nthing\n.", "'no_such_module_at_all'"),
        (b"cjson\nNoSuchThing\n.", "other versions of its libraries"),
    ],
)
def test_a_file_that_cannot_be_unpickled_says_why(tmp_path: Path, raw: bytes, told: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(raw)
    with pytest.raises(ModelError) as refused:
        read_artifact(path, None)
    assert str(path) in str(refused.value)
    assert told in str(refused.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.pkl: the model file cannot be read: no such file"):
        read_artifact(tmp_path / "gone.pkl", None)
    with pytest.raises(ModelError, match="cannot be read"):
        read_artifact(tmp_path, None)


def _warn(category: type[Warning], *arguments: Any, **more: Any) -> None:
    import warnings

    warnings.warn(category(*arguments, **more), stacklevel=1)


class Warned:
    def __init__(self, text: str) -> None:
        self.text = text

    def __reduce__(self) -> Any:
        return _warn, (UserWarning, self.text)


def test_each_other_warning_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([Warned("old format"), Warned("old format"), Warned("other")]))
    assert read_artifact(path, None).warnings == (
        "UserWarning while unpickling: old format",
        "UserWarning while unpickling: other",
    )


def test_a_hundred_version_warnings_are_one(tutorial_model: Path) -> None:
    told = read_artifact(tutorial_model, None).warnings
    assert len(told) == 1
    assert told[0].startswith("pickled with scikit-learn 1.8.0, runs on ")


def test_version_warnings_of_any_model_are_one(tmp_path: Path, forest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn.base

    with monkeypatch.context() as then:
        then.setattr(sklearn.base, "__version__", "0.0.1")
        raw = dumped(forest)
    path = tmp_path / "model.pkl"
    path.write_bytes(raw)
    told = read_artifact(path, None).warnings
    assert len(told) == 1
    assert "scikit-learn 0.0.1" in told[0]
