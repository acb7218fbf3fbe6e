"""A sidecar of several processes: settings and calls as JSON on the standard input; forks a process for each list of calls.

Prints one line of JSON a process, `[[status, body], …]`, and at last the text of `/metrics` as the first process has it.
"""

import json
import os
import sys
from pathlib import Path

given, calls = json.load(sys.stdin)
metrics = Path(given["state"]) / "metrics"
metrics.mkdir(parents=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)  # before prometheus_client is imported, as the WSGI module does

from datetime import UTC, datetime  # noqa: E402

from cds_hooks.app import create_app  # noqa: E402
from cds_hooks.settings import Settings  # noqa: E402

at = datetime.fromtimestamp(given.pop("at"), UTC)
paths = {"state", "models", "schemas", "ehrs"}
settings = Settings(**{name: Path(value) if name in paths else value for name, value in given.items()})
app = create_app(settings, clock=lambda: at, shared_metrics=metrics)
go, start = os.pipe()
children = []
for mine in calls:
    if pid := os.fork():
        children.append(pid)
        continue
    os.close(start)
    os.read(go, 1)  # until all are there
    client = app.test_client()
    answers = [client.post(path, headers=headers, json=body) for path, headers, body in mine]
    found = [[one.status_code, one.json] for one in answers]
    app.extensions["cds_hooks"].feedback.close()
    os.write(1, json.dumps(found).encode() + b"\n")
    os._exit(0)
os.close(start)
for pid in children:
    os.waitpid(pid, 0)
os.write(1, app.test_client().get("/metrics").data)
