"""CH-50: which `fhirServer` is which listed server, and that what is called is never the stranger's text."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.fetching.allowed import LONGEST, AllowedServers
from screening.errors import FatalError

LISTED = "https://allowed.example.org/fhir"
ONE = AllowedServers([(None, LISTED)])
ATTACKS = [
    "http://169.254.169.254/",
    "http://127.0.0.1:8091/fhir",
    "http://[::1]/fhir",
    "http://2130706433/fhir",
    "http://0x7f000001/fhir",
    "http://017700000001/fhir",
    "http://127.1/fhir",
    "https://allowed.example.org@evil.example/fhir",
    "https://user:pw@allowed.example.org/fhir",
    "https://@allowed.example.org/fhir",
    "https://allowed.example.org:pw@evil.example/fhir",
    "https://allowed.example.org.evil.example/fhir",
    "https://evil.example/https://allowed.example.org/fhir",
    "https://evil.example#https://allowed.example.org/fhir",
    "https://evil.example?https://allowed.example.org/fhir",
    "https://evil.example\\@allowed.example.org/fhir",
    "https://allowed.example.org\\.evil.example/fhir",
    "https://allowed.example.org/fhir/../admin",
    "https://allowed.example.org/fhir/..",
    "https://allowed.example.org/fhir/%2e%2e/admin",
    "https://allowed.example.org/fhir/%2E./admin",
    "https://allowed.example.org/fhir/..;/admin",
    "https://allowed.example.org/fhir/.;/admin",
    "https://allowed.example.org/fhir/.hidden",
    "https://allowed.example.org/fhir%2fadmin",
    "https://allowed.example.org/fhir/%252e%252e/admin",
    "https://allowed.example.org/fhir//evil",
    "https://allowed.example.org//fhir",
    "https://allowed.example.org/./fhir",
    "https://allowed.example.org/fhirx",
    "https://allowed.example.org/FHIR",
    "https://allowed.example.org/",
    "https://allowed.example.org/fhir?a=b",
    "https://allowed.example.org/fhir#a",
    "https://allowed.example.org/fhir/a b",
    "https://allowed.example.org/fhir/a\r\nHost: evil",
    "https://allowed.example.org/fhir\t",
    " https://allowed.example.org/fhir",
    "https://allowed.example.org/fhir\n",
    "https://allowed%2eexample.org/fhir",
    "https://allowed.example.org../fhir",
    "https://allowed..example.org/fhir",
    "https://.allowed.example.org/fhir",
    "https://allowed.example.org:0/fhir",
    "https://allowed.example.org:8443/fhir",
    "https://allowed.example.org:99999/fhir",
    "https://allowed.example.org:443443/fhir",
    "https://allowed.example.org:/fhir",
    "https://allowed.example.org:+443/fhir",
    "https://allowed.example.org:4_43/fhir",
    "https://allowed.example.org:４４３/fhir",
    "https://ａllowed.example.org/fhir",
    "https://allowed。example。org/fhir",
    "https://аllowed.example.org/fhir",  # a Cyrillic a
    "https://xn--llowed-8fg.example.org/fhir",
    "http://allowed.example.org/fhir",
    "https:allowed.example.org/fhir",
    "https:/allowed.example.org/fhir",
    "https:///allowed.example.org/fhir",
    "//allowed.example.org/fhir",
    "allowed.example.org/fhir",
    "file:///etc/passwd",
    "gopher://allowed.example.org/fhir",
    "javascript:alert(1)",
    "ftp://allowed.example.org/fhir",
    "https://[allowed.example.org]/fhir",
    "https://[::1/fhir",
    "",
    "https://",
    "x" * 10_000_000,
    LISTED + "/" + "a" * LONGEST,
]


@pytest.mark.parametrize("url", ATTACKS, ids=lambda url: repr(url[:60]))
def test_ch50_what_is_not_the_listed_server_is_not_it(url: str) -> None:
    assert ONE.find(url, None) is None


@pytest.mark.parametrize(
    "url",
    [
        LISTED,
        LISTED + "/",
        "HTTPS://Allowed.Example.ORG/fhir",
        "https://allowed.example.org:443/fhir",
        "https://allowed.example.org./fhir",
    ],
)
def test_ch50_the_listed_server_is_called_as_it_is_listed(url: str) -> None:
    place = ONE.find(url, None)
    assert place is not None
    assert place.base_url == LISTED


def test_ch50_a_path_below_the_listed_one_counts() -> None:
    place = ONE.find("https://allowed.example.org/fhir/tenant-a/R4_1.0~x/", None)
    assert place is not None
    assert (place.listed, place.below) == (LISTED, "/tenant-a/R4_1.0~x")


def test_ch50_an_empty_list_allows_nobody() -> None:
    assert AllowedServers([]).find(LISTED, None) is None


def test_ch50_a_known_issuer_has_its_own_servers_alone() -> None:
    servers = AllowedServers([("a", "https://a.example/fhir"), ("b", "https://b.example/fhir"), (None, LISTED)])
    found = {
        (iss, url): servers.find(url, iss) is not None
        for iss in ("a", "b", "c", "", None)
        for url in ("https://a.example/fhir", "https://b.example/fhir", LISTED)
    }
    allowed = {("a", "https://a.example/fhir"), ("b", "https://b.example/fhir")}
    allowed |= {(None, url) for _, url in found}
    assert {pair for pair, yes in found.items() if yes} == allowed


def test_the_nearest_listed_url_is_taken() -> None:
    servers = AllowedServers([(None, "https://a.example"), (None, "https://a.example/fhir/r4")])
    place = servers.find("https://a.example/fhir/r4/x", None)
    assert place is not None
    assert (place.listed, place.below) == ("https://a.example/fhir/r4", "/x")


def test_addresses_have_one_form() -> None:
    servers = AllowedServers([(None, "http://[0:0:0:0:0:0:0:1]:8080/fhir"), (None, "http://127.0.0.1:80/FHIR/R4")])
    assert servers.base_urls == ("http://[::1]:8080/fhir", "http://127.0.0.1/FHIR/R4")
    assert servers.find("http://[::0001]:8080/fhir", None) is not None
    assert servers.find("http://127.0.0.1/FHIR/R4", None) is not None


def test_an_international_name_is_listed_and_sent_in_its_ascii_form() -> None:
    servers = AllowedServers([(None, "https://xn--klinik-kln-fcb.example/fhir")])
    assert servers.find("https://XN--klinik-kln-fcb.example/fhir", None) is not None
    assert servers.find("https://klinik-köln.example/fhir", None) is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://fhir.example.org", "plain http to fhir.example.org"),
        ("fhir.example.org", "must be http://HOST/PATH"),
        ("https://u:s3cret@fhir.example.org", "must not carry credentials"),
        ("https://fhir.example.org/r4?x=1", "neither a query nor a fragment"),
        ("https://fhir.example.org/a/../b", "segments"),
        ("https://klinik-köln.example", "non-ASCII"),
        ("https://fhir.example.org:0/r4", "international host name"),
    ],
)
def test_ch26_what_cannot_be_listed_is_refused_at_the_start(url: str, words: str) -> None:
    with pytest.raises(FatalError) as caught:
        AllowedServers([(None, url)])
    assert str(caught.value).startswith("fhir_servers: ")
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_ch26_plain_http_needs_to_be_permitted() -> None:
    assert AllowedServers([(None, "http://fhir:8103/r4")], allow_http=True).find("http://fhir:8103/r4", None)


PIECES = [
    "https", "http", "HTTPS", ":", "/", "//", "://", "allowed.example.org", "evil.example", "fhir", "@", "\\", ".", "..",
    "%2e", "%2f", ";", "?", "#", "443", "0", " ", "\t", "\n", "[", "]", "::1", "a", "é", "\u3002", "\x00", "admin",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=60).map(lambda tail: LISTED + tail)
)
def test_ch50_whatever_comes_only_the_listed_place_is_called(url: str) -> None:
    place = ONE.find(url, None)
    if place is not None:
        parts = urlsplit(place.base_url)
        assert (parts.scheme, parts.netloc) == ("https", "allowed.example.org")
        assert parts.path == "/fhir" or parts.path.startswith("/fhir/")
        assert not parts.query + parts.fragment
        assert not {"", ".", ".."} & set(parts.path.split("/")[1:])
        assert place.base_url.isascii()
        assert not set(place.below) & set("%;\\@:?# \t\r\n")
