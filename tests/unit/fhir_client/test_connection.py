import json
import traceback
from typing import Any

import pytest

from screening.errors import FatalError
from screening.fhir_client.auth import NoAuth
from screening.fhir_client.connection import CLIENT_OPTIONS, FhirConnection

HOST = "https://fhir.example.org/r4"
SECRET = "s3cretMARKER"


def connection(**fields: Any) -> FhirConnection:
    return FhirConnection.from_json(json.dumps({"host": HOST} | fields), "CDS_FHIR_CONN")


def authorization(**fields: Any) -> str | None:
    headers: dict[str, str] = {}
    connection(**fields).auth()(headers)
    return headers.get("Authorization")


def use(fields: dict[str, Any]) -> None:
    found = connection(**fields)
    found.client_settings()
    found.auth()
    assert found.zone


def test_the_json_of_airflow_is_read() -> None:
    found = connection(
        conn_type="fhir", description="ours", host=HOST + "/", extra={"page_size": 7, "zone": "Asia/Tokyo"}
    )
    assert found.base_url == HOST
    assert found.client_settings().page_size == 7
    assert str(found.zone) == "Asia/Tokyo"
    assert isinstance(found.auth(), NoAuth)


def test_the_extra_may_be_the_text_of_an_object() -> None:
    assert connection(extra='{"attempts": 2}').client_settings().attempts == 2


def test_an_empty_extra_and_an_empty_option_are_none() -> None:
    assert connection(extra="").zone is None
    assert connection(extra={"page_size": "", "zone": None}).client_settings().page_size == 1000


def test_every_option_reaches_the_client() -> None:
    values = dict(zip(CLIENT_OPTIONS, (True, False, 2, 3, 4, 5, 6.5, 7.5), strict=True))
    settings = connection(extra=values).client_settings()
    assert {name: getattr(settings, name) for name in CLIENT_OPTIONS} == values


def test_a_password_alone_is_a_bearer_token_and_with_a_login_basic() -> None:
    assert authorization(password="t0ken") == "Bearer t0ken"
    assert authorization(login="a", password="b") == "Basic YTpi"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"conn_type": "http", "password": SECRET}, "conn_type must be fhir"),
        ({"token": SECRET}, "unknown field token; known: host, login, password, port, schema, extra, conn_type"),
        ({"password": [SECRET]}, "password must be text"),
        ({"host": 7}, "host must be text"),
        ({"host": f"fhir.example.org/{SECRET}"}, "the host must be the FHIR base URL with its scheme"),
        ({"host": f"https://u:{SECRET}@fhir.example.org"}, "must not carry credentials"),
        ({"host": "http://fhir.example.org"}, "plain http to fhir.example.org"),
        ({"port": 443}, "write port and path into the host"),
        ({"schema": "r4"}, "write port and path into the host"),
        ({"extra": {"client_secret": SECRET}}, "unknown extra client_secret"),
        ({"extra": f'{{"a": "{SECRET}'}, "the extra is no JSON object"),
        ({"extra": [1]}, "the extra is no JSON object"),
        ({"extra": {"zone": "Mars/Olympus"}}, "zone 'Mars/Olympus' is no time zone"),
        ({"extra": {"page_size": SECRET}}, "page_size: must be a whole number"),
        ({"login": "a"}, "a login without a password"),
        ({"login": "a:b", "password": SECRET}, "must not contain a colon"),
        ({"password": f"two {SECRET}"}, "bearer token: empty, or with spaces"),
    ],
)
def test_what_cannot_be_meant_is_named_and_not_repeated(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(FatalError) as caught:
        use(fields)
    assert str(caught.value).startswith("CDS_FHIR_CONN: ")
    assert words in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", [f"fhir://:{SECRET}@fhir.example.org", "[]", '"x"', "{", ""])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(FatalError, match=r"^CDS_FHIR_CONN: is no JSON object") as caught:
        FhirConnection.from_json(text, "CDS_FHIR_CONN")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_no_repr_has_the_secrets() -> None:
    found = connection(password=SECRET, extra={"page_size": 1})
    assert SECRET not in repr(found) + repr(found.auth()) + repr(found.client_settings())
