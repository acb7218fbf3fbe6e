"""gunicorn is told what it knows, and refused settings end `python -m cds_hooks` before it starts."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from cds_hooks.gunicorn_conf import Sidecar, begin_figures, options
from cds_hooks.settings import Settings
from screening.errors import FatalError

ROOT = Path(__file__).resolve().parents[3]


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CDS_")}
    return subprocess.run(
        [sys.executable, "-m", "cds_hooks"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env=kept | {"PYTHONPATH": str(ROOT / "plugins")} | environment,
    )  # fmt: skip


def test_gunicorn_takes_every_option_and_each_differs_from_its_default(tmp_path: Path) -> None:
    cfg = Config()
    made = options(Settings(auth="off", state=tmp_path, workers=3, bind="127.0.0.1:9", max_body_bytes=4096))
    for name, value in made.items():
        before = cfg.settings[name].get()
        cfg.set(name, value)
        assert cfg.settings[name].get() != before, name
    assert (cfg.workers, cfg.address, cfg.worker_class.limits.max_body) == (3, [("127.0.0.1", 9)], 4096)
    assert cfg.graceful_timeout < 10  # after which `docker stop` kills
    assert not cfg.preload_app


def test_a_worker_that_is_gone_has_no_cards_that_wait(tmp_path: Path) -> None:
    class Loads:
        def leave(self, age: int) -> None:
            assert age == 4

    worker = SimpleNamespace(pid=999_999, age=4, loads=Loads())
    child_exit = options(Settings(auth="off", state=tmp_path))["child_exit"]
    child_exit(None, worker)  # where no figures are shared there are none to forget
    figures = tmp_path / "metrics"
    figures.mkdir()
    (figures / "gauge_livesum_999999.db").touch()
    (figures / "counter_999999.db").touch()
    child_exit(None, worker)
    assert [one.name for one in figures.iterdir()] == ["counter_999999.db"]  # what was counted is counted


def test_ch60_settings_that_are_refused_are_told_in_one_message(tmp_path: Path) -> None:
    done = run(tmp_path, CDS_AUHT="off", CDS_WORKERS="many")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert [name in done.stderr for name in ("CDS_AUHT", "CDS_WORKERS", "CDS_AUTH: say")] == [True] * 3
    assert "many" not in done.stderr


def test_ch60_without_auth_no_public_port(tmp_path: Path) -> None:
    done = run(tmp_path, CDS_AUTH="off", CDS_BIND="0.0.0.0:8091")
    assert (done.returncode, done.stdout) == (2, "")
    assert "CDS_AUTH=off on a port that other machines reach" in done.stderr


def test_a_state_s_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, CDS_AUTH="off", CDS_STATE="/proc/nowhere/state")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "CDS_STATE: /proc/nowhere/state cannot be made or written: No such file or directory"
    ]


def test_the_state_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # put back at the end
    begin_figures(Settings(auth="off", state=tmp_path / "state"))
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("state", "state/metrics")] == [0o700] * 2


def test_a_model_that_is_unfit_ends_it_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def load() -> Any:
        raise FatalError("the model's bytes are not those of its manifest")

    with pytest.raises(SystemExit) as ended:
        Sidecar({"bind": "127.0.0.1:9"}, load).load()
    assert ended.value.code == 3  # by which gunicorn knows that another worker would fare no better
    assert "the sidecar does not start: the model's bytes are not those" in capsys.readouterr().err
