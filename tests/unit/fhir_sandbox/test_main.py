import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest

from fhir_sandbox.__main__ import main
from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.faults import Faults
from fhir_sandbox.switches import assignment

PLUGINS = Path(__file__).parents[3] / "plugins"


@pytest.fixture
def start():
    """Start the command and give the process and its base URL."""
    running = []

    def run(*arguments):
        command = [sys.executable, "-m", "fhir_sandbox", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        line = process.stdout.readline()
        match = re.fullmatch(r"FHIR sandbox at (http://127\.0\.0\.1:\d+/fhir)\n", line)
        assert match, line + process.stderr.read()
        return process, match[1]

    yield run
    for process in running:
        if process.poll() is None:
            process.terminate()  # so that it removes its temporary database
        process.communicate(timeout=30)


def ask(url, method="GET", body=None):
    request = urllib.request.Request(url, body, {"Content-Type": "application/fhir+json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, orjson.loads(response.read())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop_and_keeps_what_it_was_given(start, tmp_path, number):
    path = str(tmp_path / "fhir.sqlite")
    process, base = start("--db", path, "--port", "0", "--behaviour", "total=absent", "--fault", "latency_ms=1")
    assert ask(f"{base}/Patient/p1", "PUT", b'{"resourceType":"Patient","id":"p1"}')[0] == 201
    assert "total" not in ask(f"{base}/Patient")[1]
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
    _, base = start("--db", path)
    assert ask(f"{base}/Patient/p1")[1]["id"] == "p1"


def test_what_was_answered_survives_a_kill(start, tmp_path):
    path = str(tmp_path / "fhir.sqlite")
    process, base = start("--db", path)
    ask(f"{base}/Patient/p1", "PUT", b'{"resourceType":"Patient","id":"p1"}')
    process.kill()
    process.wait()
    _, base = start("--db", path)
    assert ask(f"{base}/Patient/p1")[1]["id"] == "p1"


def test_it_begins_with_the_behaviour_of_a_real_server(start):
    _, base = start("--like", "cerner", "--behaviour", "default_count=7")
    switches = ask(base.replace("/fhir", "/_sandbox/behaviour"))[1]
    assert (switches["risk_assessment"], switches["transactions"], switches["default_count"]) == (
        False,
        "unsupported",
        7,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--behaviour", "nonsense=1"], "nonsense=1"),
        (["--behaviour", "total"], "NAME=VALUE"),
        (["--behaviour", "total=sometimes"], "total"),
        (["--behaviour", "max_count=0"], "max_count"),
        (["--fault", "drop_rate=2"], "rates"),
        (["--fault", 'rules=[{"action":"explode"}]'], "action"),
        (["--port", "99999999"], "fhir_sandbox: "),
        (["--db", "."], "fhir_sandbox: "),
    ],
)
def test_a_wrong_argument_is_told_and_nothing_is_served(capsys, arguments, told):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cls", "text", "value"),
    [
        (Behaviour, "transactions=as_batch", "as_batch"),
        (Behaviour, "batch=false", False),
        (Behaviour, "rate_limit=60", 60),
        (Behaviour, "rate_limit=null", None),
        (Behaviour, "bearer_token=123", "123"),
        (Behaviour, "bearer_token=a=b", "a=b"),
        (Behaviour, "bearer_token=null", None),
        (Behaviour, "cursor_ttl_s=0.5", 0.5),
        (Faults, "error_rate=0.25", 0.25),
        (Faults, 'rules=[{"action":"drop"}]', [{"action": "drop"}]),
    ],
)
def test_an_assignment_is_read_as_its_switch_wants_it(cls, text, value):
    assert assignment(cls, text) == (text.partition("=")[0], value)


def test_it_stands_alone():
    script = "import fhir_sandbox.__main__, sys; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    loaded = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "fhir_sandbox" in loaded.stdout
    assert not {"'screening'", "'airflow'", "'pandas'"} & set(re.findall(r"'\w+'", loaded.stdout))
