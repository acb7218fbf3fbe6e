"""A server on a real socket that answers what a test tells it to, and remembers what it was asked."""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

BASE_PATH = "/fhir"


@dataclass
class Call:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path.removeprefix(BASE_PATH).lstrip("/")

    @property
    def params(self) -> dict[str, str]:
        query = self.body.decode() if self.path.endswith("/_search") else urlsplit(self.target).query
        return dict(parse_qsl(query))

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def is_batch(self) -> bool:
        return self.method == "POST" and self.path == ""


@dataclass
class Out:
    """One answer. `cut`: that many bytes of the body are sent, then the connection ends; -1: not even a status line."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    length: bool = True
    delay: float = 0.0


def fhir(resource: dict[str, Any], status: int = 200, **headers: str) -> Out:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Out(status, orjson.dumps(resource), {"Content-Type": "application/fhir+json", **names})


def outcome(status: int, code: str = "processing", **headers: str) -> Out:
    """An OperationOutcome whose texts name a patient, as real ones do."""
    issue = {"severity": "error", "code": code, "diagnostics": "MARKER", "details": {"text": "MARKER"}}
    return fhir({"resourceType": "OperationOutcome", "issue": [issue]}, status, **headers)


def html(status: int = 200) -> Out:
    return Out(status, b"<html><body>MARKER</body></html>", {"Content-Type": "text/html"})


DROP = Out(cut=-1)


def patient(identity: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": identity}


def searchset(resources: list[dict[str, Any]], next_link: str | None = None, **more: Any) -> dict[str, Any]:
    links = [{"relation": "self", "url": "x"}] + ([{"relation": "next", "url": next_link}] if next_link else [])
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **more}


class _Answerer(BaseHTTPRequestHandler):
    stub: "Stub"
    protocol_version = "HTTP/1.1"
    timeout = 10

    def setup(self) -> None:
        super().setup()
        with self.stub._lock:
            self.stub.connections += 1

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = Call(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        with self.stub._lock:
            self.stub.calls.append(call)
        out = self.stub.route(call)
        if out.delay:
            self.stub.ended.wait(out.delay)
        self.write(out)

    def write(self, out: Out) -> None:
        if out.cut == -1:
            self.end_connection()
            return
        headers = dict(out.headers)
        if out.length:
            headers.setdefault("Content-Length", str(len(out.body)))
        else:
            headers["Connection"] = "close"
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        sent = out.body if out.cut is None else out.body[: out.cut]
        self.wfile.write(f"HTTP/1.1 {out.status} X\r\n{head}\r\n".encode("latin-1") + sent)
        if out.cut is not None or not out.length:
            self.end_connection()

    def end_connection(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - http.server's names

    def log_message(self, *args: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *args: object) -> None:
        return


class Stub:
    """The server; `route` decides on the answer of each call, `script` gives the next ones in turn."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.calls: list[Call] = []
        self.connections = 0
        self.route: Callable[[Call], Out] = lambda call: outcome(500)
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Answerer", (_Answerer,), {"stub": self}))
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    @property
    def base(self) -> str:
        return self.origin + BASE_PATH

    def script(self, *outs: Out) -> None:
        """Answer these in turn, and the last one for ever."""
        left = list(outs)

        def route(call: Call) -> Out:
            with self._lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.route = route

    def targets(self, method: str = "GET") -> list[str]:
        return [call.target for call in self.calls if call.method == method]

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FhirStore:
    """A little FHIR server to route to: reads, searches with pages, batches, conditional creates.

    Attributes
    ----------
    page
        Entries of a page at most, whatever `_count` asks.
    conditional, honours_condition
        What `metadata` says of conditional creates, and what is done about them.
    minimal
        Writes are answered without a body.
    batches, direct
        Give the answer to a batch or to any other request, or None for the usual one.
    entry_status
        Gives the status that a batch entry (method, relative URL) gets instead of its answer, or None.
    """

    def __init__(self, stub: Stub, resources: list[dict[str, Any]] | None = None) -> None:
        self.stub = stub
        self.resources = {(r["resourceType"], r["id"]): r for r in resources or []}
        self.page = 1000
        self.conditional: bool | None = True
        self.honours_condition = True
        self.minimal = False
        self.batches: Callable[[Call], Out | None] = lambda call: None
        self.entry_status: Callable[[str, str], int | None] = lambda method, url: None
        self.direct: Callable[[Call], Out | None] = lambda call: None
        self._lock = threading.RLock()
        stub.route = self

    def of(self, resource_type: str) -> list[dict[str, Any]]:
        return [r for (kind, _), r in self.resources.items() if kind == resource_type]

    def __call__(self, call: Call) -> Out:
        with self._lock:
            if call.path == "metadata":
                return fhir(self.metadata())
            if call.is_batch:
                return self.batches(call) or self.batch(call)
            special = self.direct(call)
            if special is not None:
                return special
            if call.method == "GET" or call.path.endswith("/_search"):
                status, body = self.get(call.path.removesuffix("/_search"), call.params)
                return fhir(body, status)
            status, made, headers = self.create(call.json, call.headers.get("if-none-exist"))
            return Out(status, orjson.dumps(made) if made else b"", headers)

    def metadata(self) -> dict[str, Any]:
        kind: dict[str, Any] = {"type": "RiskAssessment", "interaction": [{"code": "create"}]}
        if self.conditional is not None:
            kind["conditionalCreate"] = self.conditional
        rest = [{"mode": "server", "resource": [kind], "interaction": [{"code": "batch"}]}]
        return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest}

    def batch(self, call: Call) -> Out:
        entries = []
        for entry in call.json["entry"]:
            method, url = entry["request"]["method"], entry["request"]["url"]
            status = self.entry_status(method, url)
            if status is not None:
                entries.append({"response": {"status": f"{status} Told so"}})
            elif method == "GET":
                path, _, query = url.partition("?")
                code, body = self.get(path, dict(parse_qsl(query)))
                entries.append({"resource": body, "response": {"status": str(code)}})
            else:
                code, made, headers = self.create(entry["resource"], entry["request"].get("ifNoneExist"))
                response = {"status": f"{code} OK"}
                if "Location" in headers:
                    response["location"] = headers["Location"]
                entries.append({"response": response, **({"resource": made} if made else {})})
        return fhir({"resourceType": "Bundle", "type": "batch-response", "entry": entries})

    def get(self, path: str, params: dict[str, str]) -> tuple[int, dict[str, Any]]:
        kind, _, identity = path.partition("/")
        if identity:
            found = self.resources.get((kind, identity))
            return (200, found) if found else (404, orjson.loads(outcome(404, "not-found").body))
        matches = [r for r in self.of(kind) if _matches(r, params)]
        start, size = int(params.get("_offset", 0)), min(self.page, int(params["_count"]))
        link = None
        if start + size < len(matches):
            kept = "&".join(f"{name}={value}" for name, value in params.items() if name != "_offset")
            link = f"{self.stub.base}/{kind}?{kept}&_offset={start + size}"
        return 200, searchset(matches[start : start + size], link)

    def create(
        self, resource: dict[str, Any], condition: str | None
    ) -> tuple[int, dict[str, Any] | None, dict[str, str]]:
        kind = resource["resourceType"]
        if condition and self.honours_condition:
            matches = [r for r in self.of(kind) if _matches(r, dict(parse_qsl(condition)))]
            if len(matches) > 1:
                return 412, orjson.loads(outcome(412, "multiple-matches").body), {}
            if matches:
                return 200, None if self.minimal else matches[0], {}
        made = {**resource, "id": f"s{len(self.resources) + 1}"}
        self.resources[kind, made["id"]] = made
        location = {"Location": f"{self.stub.base}/{kind}/{made['id']}/_history/1"}
        return 201, None if self.minimal else made, location


def _matches(resource: dict[str, Any], params: dict[str, str]) -> bool:
    if "identifier" in params:
        system, _, value = unquote(params["identifier"]).rpartition("|")
        return {"system": system, "value": value} in resource.get("identifier", [])
    if "patient" in params:
        return bool(resource["subject"]["reference"] == f"Patient/{params['patient']}")
    return True
