"""CH-65, CH-66: reading keys from a file and from the EHR's URL, whatever its server does."""

import gzip
import logging
import os
import socket
import threading
import time
import traceback
from pathlib import Path

import pytest
from tests.unit.cds_hooks.bearer.issuer import EC_KEY, OURS, jwk, key_set
from tests.unit.fhir_client.stub_server import DROP, Out, Stub

from cds_hooks.bearer import key_sources as module
from cds_hooks.bearer.key_set import KeySetError
from cds_hooks.bearer.key_sources import KeyFile, KeyUrl, fresh_seconds


def test_ch66_a_file_is_parsed_when_it_is_another(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    real = module.parse_key_set
    monkeypatch.setattr(module, "parse_key_set", lambda *given: parsed.append(1) or real(*given))
    source = KeyFile(key_file)
    assert source() is source()
    key_file.write_bytes(key_set(jwk(EC_KEY, "ec-1")))
    assert set(source().keys) == {("ec-1", "ES384")}
    other = key_file.with_name("other.json")
    other.write_bytes(key_set(jwk(EC_KEY, "ec-2")))  # of the same length and, by force, the same time
    os.utime(other, ns=(key_file.stat().st_atime_ns, key_file.stat().st_mtime_ns))
    other.replace(key_file)
    assert set(source().keys) == {("ec-2", "ES384")}
    assert len(parsed) == 3


def test_ch66_a_file_that_is_broken_for_a_moment(key_file: Path) -> None:
    source = KeyFile(key_file)
    key_file.write_bytes(b"{")
    for _ in range(2):
        with pytest.raises(KeySetError, match="no JSON"):
            source()
    key_file.unlink()
    with pytest.raises(KeySetError, match="cannot be read: No such file"):
        source()
    key_file.write_bytes(OURS)
    assert len(source().keys) == 2


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, 300), ({"Cache-Control": "public"}, 300), ({"Cache-Control": "max-age=600"}, 600),
    ({"Cache-Control": "public, Max-Age = 600, must-revalidate"}, 600), ({"Cache-Control": 'max-age="600"'}, 600),
    ({"Cache-Control": "s-maxage=5,max-age=600"}, 600), ({"Cache-Control": "max-age=600", "Age": "500"}, 100),
    ({"Cache-Control": "max-age=600", "Age": "soon"}, 600), ({"Cache-Control": "max-age=600", "Age": "9999"}, 60),
    ({"Cache-Control": "max-age=0"}, 60), ({"Cache-Control": "max-age=999999999"}, 3600),
    ({"Cache-Control": "no-store"}, 60), ({"Cache-Control": "no-cache, max-age=600"}, 60),
    ({"Cache-Control": "max-age=-5"}, 300), ({"Cache-Control": "x-max-age=900"}, 300),
])  # fmt: skip
def test_ch66_cache_control_is_honoured_within_bounds(headers: dict[str, str], seconds: float) -> None:
    assert fresh_seconds(headers) == seconds


def test_ch66_a_url_is_asked_as_its_header_says(stub: Stub) -> None:
    stub.script(Out(200, OURS, {"Cache-Control": "max-age=99"}))
    read = KeyUrl(stub.origin + "/keys?policy=b2c")()
    assert (len(read.keys), read.fresh) == (2, 99)
    (call,) = stub.calls
    assert (call.target, call.headers["accept"]) == ("/keys?policy=b2c", "application/jwk-set+json, application/json")
    assert not {"authorization", "cookie"} & set(call.headers)


@pytest.mark.parametrize(("out", "words"), [
    (Out(404), "the answer is 404"), (Out(500, OURS), "the answer is 500"), (Out(204), "the answer is 204"),
    (Out(200, b"<html>"), "no JSON"), (Out(200, OURS, cut=40), "no"), (DROP, "no answer"),
    (Out(200, b" " * (256 * 1024 + 1)), "more than 262144 bytes"),
    (Out(200, b" " * 2**20, length=False), "more than 262144"),
    (Out(200, gzip.compress(OURS), {"Content-Encoding": "gzip"}), "no JSON"),
])  # fmt: skip
def test_ch66_an_answer_that_is_no_key_set(stub: Stub, out: Out, words: str) -> None:
    stub.script(out)
    with pytest.raises(KeySetError, match=words):
        KeyUrl(stub.origin + "/keys")()


def test_ch66_a_server_that_is_not_there(stub: Stub) -> None:
    url = stub.origin + "/keys"
    stub.close()
    with pytest.raises(KeySetError, match="no answer: ConnectionError"):
        KeyUrl(url)()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_ch65_a_redirect_is_not_followed(stub: Stub, status: int) -> None:
    canary = Stub()
    canary.script(Out(200, OURS))
    stub.script(Out(status, b"", {"Location": canary.origin + "/keys"}))
    try:
        with pytest.raises(KeySetError, match=f"the answer is {status}"):
            KeyUrl(stub.origin + "/keys")()
        assert canary.connections == 0
    finally:
        canary.close()


def test_ch65_the_environment_names_no_proxy(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = Stub()
    try:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, canary.origin)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        stub.script(Out(200, OURS))
        assert len(KeyUrl(stub.origin + "/keys")().keys) == 2
        assert canary.connections == 0
    finally:
        canary.close()


def test_ch66_a_silent_server_is_given_up(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUTS", (0.1, 0.1))
    stub.script(Out(200, OURS, delay=5))
    with pytest.raises(KeySetError, match="no answer: ReadTimeout"):
        KeyUrl(stub.origin + "/keys")()


def test_ch66_a_server_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.2)
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not ended.wait(0.02):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeySetError, match="not within"):
            KeyUrl(f"http://127.0.0.1:{listener.getsockname()[1]}/keys")()
        assert time.monotonic() - began < 2
    finally:
        ended.set()
        thread.join()
        listener.close()


def test_ch53_nothing_of_the_request_is_logged(stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source = KeyUrl(stub.origin + "/keys?code=SECRET")
    source()
    for out in (Out(404), DROP, Out(200, b"{")):
        stub.script(out)
        with pytest.raises(KeySetError) as caught:
            source()
        assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    assert caplog.messages == []
