import pytest

from screening.errors import FhirFatalError
from screening.fhir_client.address import ServerAddress, checked_base_url, is_loopback, path_of

BASE = ServerAddress("https://ehr.example.org/fhir/R4")
PAGE = "https://ehr.example.org/fhir/R4/Observation?patient=1"


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example.org/fhir",
        "https://ehr.example.org:8443/fhir/R4",
        "http://127.0.0.1:8080/fhir",
        "http://localhost/fhir",
        "http://[::1]:8080/fhir",
        "https://ehr.example.org",
    ],
)
def test_base_url_is_kept_as_written_but_for_the_slash_at_its_end(url: str) -> None:
    assert checked_base_url(url + "/", allow_http=False) == url
    assert checked_base_url(url, allow_http=False) == url


def test_http_is_never_turned_into_https() -> None:
    assert checked_base_url("http://hapi:8080/fhir", allow_http=True) == "http://hapi:8080/fhir"


def test_http_to_another_machine_is_refused_and_the_message_tells_the_way_out() -> None:
    with pytest.raises(FhirFatalError, match=r"plain http to hapi .*allow_http=True"):
        checked_base_url("http://hapi:8080/fhir", allow_http=False)


@pytest.mark.parametrize("host", ["127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "0.0.0.0"])  # noqa: S104
def test_look_alikes_of_loopback_are_other_machines(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(FhirFatalError, match="plain http"):
        checked_base_url(f"http://{host}/fhir", allow_http=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ehr.example.org/fhir",
        "ftp://ehr.example.org/fhir",
        "https://",
        "https://user:sesame@ehr.example.org/fhir",
        "https://user:sesame@ehr.example.org:port/fhir",
        "https://ehr.example.org/fhir?key=sesame",
        "https://ehr.example.org/fhir?",
        "https://ehr.example.org/fhir#sesame",
        "https://ehr.example.org/fhir/../sesame",
        "https://ehr.example.org/%2e%2e/sesame",
        "https://ehr.example.org/fhir sesame",
        "https://ehr.example.org\\sesame",
        "https://ehr..org/fhir",
        "https://ehr.example.org:99999/sesame",
        "https://[::1/sesame",
    ],
)
def test_bad_base_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(FhirFatalError, match="base URL") as caught:
        checked_base_url(url, allow_http=True)
    assert "sesame" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://ehr.example.org/fhir/R4?_getpages=abc==&x=Patient%2Fp1", None),
        ("https://EHR.example.org:443/fhir/R4/Observation/page/XYZ", None),
        ("?page=2", "https://ehr.example.org/fhir/R4/Observation?page=2"),
        ("Observation/page/XYZ", "https://ehr.example.org/fhir/R4/Observation/page/XYZ"),
        ("/fhir/R4/next?x=%7C|", "https://ehr.example.org/fhir/R4/next?x=%7C|"),
        ("https://ehr.example.org/fhir/R4/a#part", "https://ehr.example.org/fhir/R4/a"),
    ],
)
def test_next_links_inside_the_base_are_resolved_and_otherwise_left_alone(link: str, url: str | None) -> None:
    assert BASE.next_page(link, PAGE) == (url or link)


@pytest.mark.parametrize(
    "link",
    [
        "http://ehr.example.org/fhir/R4?x=secret",
        "https://ehr.example.org:8443/fhir/R4?x=secret",
        "https://evil.example.org/fhir/R4?x=secret",
        "//evil.example.org/fhir/R4?x=secret",
        "https://ehr.example.org/fhir/R4x?x=secret",
        "https://ehr.example.org/fhir/R4/../admin?x=secret",
        "https://ehr.example.org/fhir/R4/%2E%2e/admin?x=secret",
        "https://user:pw@ehr.example.org/fhir/R4?x=secret",
        "https://ehr.example.org\\@evil.example.org/fhir/R4?x=secret",
        "https://ehr.example.org/fhir/R4\n?x=secret",
        "https://ehr.example.org:port/fhir/R4?x=secret",
        "https://[evil/fhir/R4?x=secret",
        "../admin?x=secret",
    ],
)
def test_next_links_out_of_the_base_are_refused_without_their_query(link: str) -> None:
    with pytest.raises(FhirFatalError, match="next link") as caught:
        BASE.next_page(link, PAGE)
    assert "secret" not in str(caught.value)
    assert "patient=1" not in str(caught.value)


def test_path_of_leaves_the_query_out() -> None:
    assert path_of("https://h/fhir/Patient?name=x#y") == "/fhir/Patient"
    assert path_of("https://h?name=x") == "/"
