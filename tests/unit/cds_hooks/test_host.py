"""Without tokens, a page in a browser that points its own name at this machine is not answered."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from tests.unit.cds_hooks.sidecars import SERVICE, asked, published, running

from cds_hooks.host import check_host
from cds_hooks.refusals import Refusal

BASE = "https://cds.example.org/hospital"


@pytest.mark.parametrize(
    "host",
    [
        None, "", "localhost", "localhost:8091", "LOCALHOST.", "127.0.0.1", "127.0.0.1:8091", "[::1]:8091",
        "[::ffff:1.2.3.4]", "host.docker.internal:8091", "cds.localhost",
        "cds-hooks:8091", "cds.example.org", "CDS.example.org:443", "cds.example.org.", "a b", "[",
    ],
)  # fmt: skip
def test_ch60_ch82_an_address_and_the_service_s_own_names_are_answered(host: str | None) -> None:
    check_host(host, BASE)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8091", "evil.example.", "127.0.0.1.evil.example", "cds.example.org.evil.example",
        "0x7f.1", "127.1", "[::1].evil.example", "internal.evil.example",
    ],
)  # fmt: skip
def test_ch60_ch82_another_name_is_not(host: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_host(host, BASE)
    assert caught.value.status == 421


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    folder = tmp_path_factory.mktemp("host")
    published(folder / "models", "1")
    with running(folder / "state", folder / "models") as app:
        yield app.test_client()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/cds-services"), ("POST", SERVICE), ("POST", f"{SERVICE}/feedback")]
)
def test_ch60_ch82_a_page_s_own_name_gets_nothing_where_nobody_needs_a_token(
    client: FlaskClient, method: str, path: str
) -> None:
    body = None if method == "GET" else asked()
    answer = client.open(path, method=method, json=body, headers={"Host": "evil.example:8091"})
    assert (answer.status_code, answer.mimetype) == (421, "application/json")
    assert "cards" not in answer.text
    assert client.get("/health/live", headers={"Host": "probe.example"}).status_code == 200
