"""Within Airflow's API server: the same answers, whole requests only, and nothing heavy before the first call."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from a2wsgi import WSGIMiddleware

from cds_hooks import mounted
from cds_hooks.mounted import Made, Message, Mounted, mounted_settings
from cds_hooks.settings import Settings, SettingsError

ROOT = Path(__file__).resolve().parents[3]
MAX_BODY = 1000


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Tell what a WSGI application gets."""
    length = environ.get("CONTENT_LENGTH")
    body = environ["wsgi.input"].read().decode()
    data = json.dumps([environ["SCRIPT_NAME"], environ["PATH_INFO"], length, body]).encode()
    too_long = int(length or 0) > MAX_BODY
    start_response("413 Too long" if too_long else "200 OK", [("Content-Length", str(len(data)))])
    return [data]


def made() -> Made:
    app: Any = WSGIMiddleware(wsgi)  # type: ignore[arg-type]
    return Made(app, MAX_BODY)


def call(app: Mounted, pieces: list[bytes] | None, headers: dict[str, str]) -> tuple[int, Any]:
    """Call it as a server would that has mounted it on /cds; None for pieces: a client that sends none, and stays."""
    sent: list[Message] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/cds/cds-services",
        "root_path": "/cds", "query_string": b"", "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    waiting = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces or [])}
        for number, piece in enumerate(pieces or [], 1)
    ]

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(60)
        return dict(waiting.pop(0))

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)


@pytest.mark.parametrize("headers", [{"content-length": "4"}, {"transfer-encoding": "chunked"}])
def test_the_application_gets_its_path_and_a_whole_body(headers: dict[str, str]) -> None:
    assert call(Mounted(made), [b"ab", b"c", b"d"], headers) == (200, ["/cds", "/cds-services", "4", "abcd"])


def test_ch20_a_body_that_is_too_long_is_not_read_and_is_refused_by_the_application() -> None:
    assert call(Mounted(made), None, {"content-length": "100000000"})[0] == 413
    assert call(Mounted(made), [b"x" * 600] * 2, {"transfer-encoding": "chunked"})[0] == 413


def test_a_client_that_does_not_send_is_given_up_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounted, "REQUEST_SECONDS", 0.05)
    status, body = call(Mounted(made), None, {"content-length": "4"})
    assert (status, body["resourceType"]) == (408, "OperationOutcome")


def test_one_that_cannot_be_made_is_a_503_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    attempts = []

    def make() -> Made:
        attempts.append(1)
        if len(attempts) == 1:
            raise SettingsError("CDS_AUTH: say required or off")
        return made()

    app = Mounted(make)
    status, body = call(app, [b""], {})
    assert (status, body["resourceType"]) == (503, "OperationOutcome")
    assert "say required or off" in caplog.text
    assert "say required or off" not in json.dumps(body)
    app._making = asyncio.Lock()  # the test runs a loop a call
    assert call(app, [b""], {})[0] == 200
    assert len(attempts) == 2


def test_ch64_the_public_address_must_be_said_and_be_that_of_the_mount(tmp_path: Path) -> None:
    said = {"auth": "off", "state": tmp_path, "allow_public_without_auth": True}
    with pytest.raises(SettingsError, match="CDS_BASE_URL must be"):
        mounted_settings(Settings(**said))
    assert mounted_settings(Settings(**said, base_url="https://airflow.example.org/cds"))


def test_ch60_without_auth_only_where_it_is_said_that_others_reach_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="whose login does not guard it"):
        mounted_settings(Settings(auth="off", state=tmp_path, base_url="https://airflow.example.org/cds"))


def plugin(tmp_path: Path, **environment: str) -> list[Any]:
    """What Airflow finds in the plugin, and which heavy modules it took to load it."""
    code = (
        "import json, sys; from screening_plugin import ScreeningPlugin as P; "
        "print(json.dumps([P.external_views, [app['url_prefix'] for app in P.fastapi_apps], "
        "sorted({'flask', 'xgboost', 'pandas', 'sklearn', 'cds_hooks', 'gunicorn'} & set(sys.modules))]))"
    )
    told = dict(os.environ) | {"PYTHONPATH": str(ROOT / "plugins"), "AIRFLOW_HOME": str(tmp_path)} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True, timeout=120
    )
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_airflow_links_to_the_sidecar_and_mounts_it_where_told_and_imports_nothing_heavy(tmp_path: Path) -> None:
    assert plugin(tmp_path) == [[], [], []]
    url = "https://cds.example.org"
    views, mounts, heavy = plugin(tmp_path, SCREENING_CDS_URL=f"{url}/", SCREENING_CDS_MOUNT="true")
    assert views == [{"name": "CDS Hooks", "href": f"{url}/health", "destination": "nav"}]
    assert (mounts, heavy) == (["/cds"], ["cds_hooks"])
