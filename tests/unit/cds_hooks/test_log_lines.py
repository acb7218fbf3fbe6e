"""Each record is one whole line, whoever writes beside."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_hooks.log_lines import LineHandler, say

THREADS, LINES = 8, 500


def record(words: str) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "calls", "levelno": logging.INFO, "levelname": "INFO", "msg": words})


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[LineHandler, Path]]:
    """A handler that writes into a file, as standard error is where a service's output is kept."""
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield LineHandler(descriptor), path
    os.close(descriptor)


def test_threads_do_not_write_into_each_other_s_lines(written: tuple[LineHandler, Path]) -> None:
    handler, path = written

    def write(name: int) -> None:
        for line in range(LINES):
            handler.handle(record(f"{name} {line} {'x' * (line % 200)}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    found = [line.partition(" INFO calls ")[2] for line in path.read_text().splitlines()]
    assert sorted(found) == sorted(
        f"{name} {line} {'x' * (line % 200)}" for name in range(THREADS) for line in range(LINES)
    )


def test_what_cannot_be_encoded_is_written_all_the_same(written: tuple[LineHandler, Path]) -> None:
    handler, path = written
    handler.handle(record("half of a pair: \ud800, and °C"))
    assert "half of a pair: \\ud800, and °C\n" in path.read_text(encoding="utf-8")


def test_a_long_line_goes_into_a_pipe_as_a_whole() -> None:
    read_end, write_end = os.pipe()
    handler = LineHandler(write_end)
    received = bytearray()

    def read() -> None:
        while part := os.read(read_end, 65_536):
            received.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    handler.handle(record("y" * 300_000))
    os.close(write_end)
    reader.join()
    os.close(read_end)
    assert bytes(received).endswith(b" " + b"y" * 300_000 + b"\n")


def test_a_reader_that_is_gone_fails_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    handler = LineHandler(write_end)
    handler.handle(record("told to nobody"))
    os.close(write_end)
    assert "BrokenPipeError" in capsys.readouterr().err  # as `logging` tells of its own failures


def test_a_line_without_a_record_is_the_record_s_line(
    monkeypatch: pytest.MonkeyPatch, written: tuple[LineHandler, Path]
) -> None:
    handler, path = written
    for now in (1_772_366_400.0, 1_772_366_400.25, 1_772_366_401.0, 1_772_366_401.999):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        handler.handle(record("words of °C"))
        handler.write(logging.INFO, "calls", "words of °C")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[::2] == lines[1::2]
    assert len(set(lines)) == 4


def test_words_are_said_once_whoever_listens(
    monkeypatch: pytest.MonkeyPatch, written: tuple[LineHandler, Path], caplog: pytest.LogCaptureFixture
) -> None:
    handler, path = written
    log = logging.getLogger("tests.said")
    say(log, logging.WARNING, "heard by another")
    assert caplog.messages == ["heard by another"]
    monkeypatch.setattr(log.root, "handlers", [handler])
    log.setLevel(logging.INFO)
    say(log, logging.INFO, "100 %s")
    say(log, logging.DEBUG, "not of interest")
    assert [line.partition(" INFO ")[2] for line in path.read_text().splitlines()] == ["tests.said 100 %s"]
    own = logging.NullHandler()
    log.addHandler(own)
    say(log, logging.INFO, "with a handler of its own")
    log.removeHandler(own)
    log.setLevel(logging.NOTSET)
    assert path.read_text().count("with a handler of its own") == 1


def test_a_line_for_a_reader_that_is_gone_fails_nobody() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    LineHandler(write_end).write(logging.INFO, "calls", "told to nobody")
    os.close(write_end)
