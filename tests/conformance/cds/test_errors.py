"""CH-20, CH-43: no error is HTML, a redirect or an answer that could be taken for one, whatever is sent."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conformance.cds.conftest import BROWSER, MakeEhr
from tests.conformance.cds.ehr import FEEDBACK, SERVICE, Ehr, call, said
from tests.conformance.cds.raw import chunked, sent, served

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X")
GOOD = {
    ("GET", "/cds-services"), ("HEAD", "/cds-services"), ("GET", "/health"), ("HEAD", "/health"), ("GET", "/metrics"),
    ("HEAD", "/metrics"), ("POST", SERVICE),
}  # fmt: skip
PATHS = (
    "/", "/cds-services/", "//", "//nope", "/cds-services//sepsis-risk", f"{SERVICE}/", f"{FEEDBACK}/", "/CDS-SERVICES",
    "/cds/cds-discovery", "/cds-services/sepsis-risk/feedback/more", "/cds-services/%2e%2e/health", "/cds-services/..",
    "/%00", "/cds-services/%ff%fe", "/favicon.ico", "/robots.txt", "/static/app.js", "/models", "/models/sepsis/1.0.0",
    "/models/sepsis/../champion.json/model-card", "/models/%2e%2e/1.0.0/model-card", "/models/sepsis/9.9.9/model-card",
    "/models/<script>/1.0.0/model-card", "/health/", "/health/other", "/metrics/", "/" + "x" * 5000, "/cds-services?x=<b>/",
)  # fmt: skip
BODY = json.dumps(call()).encode()


@pytest.mark.parametrize("path", PATHS)
def test_ch20_what_is_nowhere_is_404(ehr: Ehr, path: str) -> None:
    for method in ("GET", "POST"):
        answer = ehr.ask(method, path, data=BODY if method == "POST" else None, content_type="application/json")
        if path.startswith("/cds-services?"):
            assert answer.status_code == {"GET": 200, "POST": 405}[method]
        else:
            known = {"POST": r"/models/[^/]+/[^/]+/model-card", "GET": r"/cds-services/[^/]+"}[method]
            assert answer.status_code == (405 if re.fullmatch(known, path) else 404)
            assert "Location" not in answer.headers
            assert "<script>" not in answer.get_data(as_text=True)


def test_ch20_slashes_before_a_path_are_one_and_no_redirect(ehr: Ehr) -> None:
    assert ehr.get("//cds-services").get_data() == ehr.get().get_data()
    assert ehr.post(call(), f"/{SERVICE}").status_code == 200


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/cds-services", SERVICE, FEEDBACK, "/health", "/metrics"])
def test_ch20_another_method_is_405_and_says_which(ehr: Ehr, browser_ehr: Ehr, method: str, path: str) -> None:
    for one in (ehr, browser_ehr):
        sent = {"data": BODY, "content_type": "application/json"} if method == "POST" and path == SERVICE else {}
        answer = one.ask(method, path, **sent)
        if (method, path) in GOOD:
            assert answer.status_code == 200
        elif (method, path) == ("POST", FEEDBACK):
            assert answer.status_code == 415
        else:
            assert answer.status_code == 405
            assert answer.headers["Allow"] in ("GET, HEAD", "POST")


@pytest.mark.parametrize("accept", ["text/html", "text/html,*/*;q=0.1", "application/xml"])
def test_ch20_a_browser_gets_json_too(ehr: Ehr, accept: str) -> None:
    for answer in (ehr.get("/nope", headers={"Accept": accept}), ehr.post(b"{", headers={"Accept": accept})):
        assert answer.mimetype == "application/json"


@pytest.mark.parametrize(
    ("environment", "status"),
    [
        ({"CONTENT_LENGTH": "x"}, 400),
        ({"CONTENT_LENGTH": "-1"}, 400),
        ({"CONTENT_LENGTH": "٣"}, 400),
        ({"CONTENT_LENGTH": str(len(BODY) + 1)}, 400),
        ({"CONTENT_LENGTH": str(len(BODY) - 1)}, 400),
        ({"CONTENT_LENGTH": str(10**12)}, 413),
        ({"CONTENT_LENGTH": ""}, 400),
        ({"HTTP_HOST": "a b"}, 200),
        ({"HTTP_HOST": "[::"}, 200),
        ({"HTTP_HOST": "x:99999"}, 200),
        ({"HTTP_HOST": ""}, 200),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, 415),
        ({"HTTP_CONTENT_ENCODING": "Identity"}, 200),
        ({"HTTP_HOST": "evil.example"}, 421),
        ({"HTTP_RANGE": "bytes=0-1"}, 200),
        ({"HTTP_IF_NONE_MATCH": "*"}, 200),
        ({"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"}, 200),
        ({"HTTP_COOKIE": "\xff=\x00; ;;"}, 200),
        ({"QUERY_STRING": "%ff&a[]=<b>"}, 200),
        ({"SCRIPT_NAME": "/mounted"}, 200),
    ],
    ids=str,
)
def test_ch20_a_head_that_is_odd_is_taken_or_refused(ehr: Ehr, environment: dict[str, str], status: int) -> None:
    answer = ehr.post(BODY, environ_overrides=environment)
    assert answer.status_code == status
    assert len(answer.json["cards" if status == 200 else "issue"]) == 1


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("latin-1", BODY.replace(b"Practitioner", "Präctitioner".encode("latin-1"))),
        ("utf-16", BODY.decode().encode("utf-16")),
        ("utf-32", BODY.decode().encode("utf-32")),
        ("utf-8", b"\xef\xbb\xbf" + BODY),
        ("utf-8", BODY.replace(b"Practitioner", b"\xc3\x28")),
    ],
    ids=["Latin-1", "UTF-16", "UTF-32", "byte order mark", "broken UTF-8"],
)
def test_ch20_what_is_not_utf_8_is_refused_whatever_it_says_it_is(ehr: Ehr, charset: str, body: bytes) -> None:
    answer = ehr.post(body, content_type=f"application/json; charset={charset}")
    assert answer.status_code == 400
    assert "UTF-8" in said(answer)


@pytest.mark.parametrize("charset", ["latin-1", "nonsense", ""])
def test_ch20_json_is_utf_8_whatever_it_says_it_is(ehr: Ehr, charset: str) -> None:
    """RFC 8259, 8.1 and 11: the parameter means nothing."""
    assert ehr.post(BODY, content_type=f"application/json; charset={charset}").status_code == 200


@pytest.mark.parametrize("path", [SERVICE, FEEDBACK])
def test_ch20_a_body_beyond_the_limit_is_refused_unread_and_told_how_long_it_may_be(ehr: Ehr, path: str) -> None:
    class Unread:
        def read(self, *_: Any) -> bytes:
            raise AssertionError("the body was read")

    environment = {"CONTENT_LENGTH": str(6 * 2**20), "wsgi.input": Unread()}
    answer = ehr.post(b"", path, environ_overrides=environment)
    assert answer.status_code == 413
    assert f"{5 * 2**20} bytes" in said(answer)
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("step", ["before_request_funcs", "after_request_funcs"])
def test_ch43_a_defect_outside_the_routes_is_an_error_too(
    make_ehr: MakeEhr, step: str, lines: pytest.LogCaptureFixture
) -> None:
    app = make_ehr(cors_origins=(BROWSER,)).app
    client = app.test_client()
    assert client.get("/cds-services").status_code == 200
    getattr(app, step)[None].insert(1, lambda *_: 1 / 0)
    answer = client.get("/cds-services")
    assert answer.status_code == 500
    assert b"<" not in answer.get_data()
    assert answer.json["resourceType"] == "OperationOutcome"


@given(
    st.sampled_from(METHODS), st.text(st.characters(codec="utf-8", exclude_characters="?#\\"), max_size=40),
    st.binary(max_size=60), st.sampled_from(["application/json", "text/html", "x"]),
)  # fmt: skip
@settings(max_examples=150)
def test_ch20_f26_no_call_is_html_a_redirect_or_a_server_s_error(
    ehr: Ehr, method: str, path: str, body: bytes, content_type: str
) -> None:
    for where in (f"/{path}", f"/cds-services/{path}", f"{SERVICE}/{path}"):
        answer = ehr.ask(method, where, data=body, content_type=content_type)
        assert answer.status_code in (200, 400, 404, 405, 413, 415)
        assert answer.status_code != 200 or (method in ("GET", "HEAD") and where.rstrip("/") == where)


@pytest.fixture(scope="module")
def port(make_ehr: MakeEhr) -> Iterator[int]:
    """A real server of a sidecar that takes no more than a hundred kilobytes."""
    with served(make_ehr(max_body_bytes=100_000).app) as free:
        yield free


JSON = b"Host: x\r\nContent-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n"
SMALL = json.dumps(call(without=("heart_rate",)) | {"prefetch": {}}).encode()


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (JSON + b"Content-Length: %d\r\n" % len(SMALL), SMALL, 412),
        (CHUNKED, chunked(SMALL[:100], SMALL[100:]), 412),
        (CHUNKED, chunked(SMALL, b" " * 60_000, b" " * 60_000), 413),
        (CHUNKED, chunked(SMALL, b" " * (100_000 - len(SMALL))), 412),
        (CHUNKED, chunked(SMALL, b" " * (100_001 - len(SMALL))), 413),
        (CHUNKED, chunked(b"{"), 400),
        (CHUNKED, b"zz\r\nnonsense\r\n0\r\n\r\n", 400),
        (CHUNKED, b"5\r\nab", 400),
        (JSON + b"Content-Length: x\r\n", SMALL, 400),
        (JSON, b"", 400),
        (JSON + b"Content-Length: %d\r\n" % (len(SMALL) + 9), SMALL, 400),
        (JSON + b"Content-Length: 99999999999999999999\r\n", b"", 413),
        (b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(SMALL), SMALL, 412),
        (b"Host: [::\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(SMALL), SMALL, 412),
    ],
    ids=["whole", "chunked", "far too much in chunks", "as much as may be", "one byte more", "chunked and no JSON",
         "chunks that are none", "half a chunk", "odd length", "no length", "shorter than said", "far too long", "no host",
         "odd host"],
)  # fmt: skip
def test_ch20_a_body_on_the_wire_is_read_or_refused(port: int, head: bytes, body: bytes, status: int) -> None:
    answer = sent(port, "POST", SERVICE, head, body, half_closed=True)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/cds-services/", 404),
        ("GET", "/cds-services/../health", 404),
        ("GET", "http://evil.example/nope", 404),
        ("OPTIONS", "*", 404),
        ("HEAD", "/nope", 404),
        ("HEAD", "/cds-services", 200),
        ("DELETE", SERVICE, 405),
        ("TRACE", SERVICE, 405),
    ],
)
def test_ch20_a_request_line_that_is_odd_is_an_error_in_json(port: int, method: str, path: str, status: int) -> None:
    assert sent(port, method, path, b"Host: x\r\n").status_code == status
