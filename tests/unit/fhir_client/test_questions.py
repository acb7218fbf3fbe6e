from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.errors import FhirFatalError
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.exchange import Reply
from screening.fhir_client.questions import Kind, etag_of, parse_question, read_question, search_question

ADDRESS = ServerAddress("https://h/fhir")


@pytest.mark.parametrize(
    ("url", "kind", "relative"),
    [
        ("Patient/x", Kind.READ, "Patient/x"),
        ("Patient/x?_elements=id", Kind.READ, "Patient/x?_elements=id"),
        ("Patient/x/_history/3", Kind.READ, "Patient/x/_history/3"),
        ("Observation?patient=x", Kind.SEARCH, "Observation?patient=x&_count=100"),
        ("Observation?patient=x&_count=3", Kind.SEARCH, "Observation?patient=x&_count=3"),
        ("Observation?_count=3", Kind.SEARCH, "Observation?_count=3"),
        ("Observation?x_count=3", Kind.SEARCH, "Observation?x_count=3&_count=100"),
        ("Observation", Kind.SEARCH, "Observation?_count=100"),
        ("Patient/x/Observation", Kind.SEARCH, "Patient/x/Observation?_count=100"),
        ("Patient/x/$everything", Kind.SEARCH, "Patient/x/$everything"),
        ("Patient/$match?x=1", Kind.SEARCH, "Patient/$match?x=1"),
        (
            "Observation?code=http://loinc.org|8310-5,x",
            Kind.SEARCH,
            "Observation?code=http://loinc.org|8310-5,x&_count=100",
        ),
    ],
)
def test_urls_are_read_as_reads_and_searches(url: str, kind: Kind, relative: str) -> None:
    question = parse_question(url, 100)
    assert (question.kind, question.relative) == (kind, relative)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/Patient/MARKER",
        "https://h/fhir/Patient/MARKER",
        "//evil/MARKER",
        "patient/MARKER",
        "Patient/..",
        "Patient/../MARKER",
        "Patient/./MARKER",
        "Patient/%2e%2e/MARKER",
        "Patient//MARKER",
        "Patient/",
        "?name=MARKER",
        "Patient?name=MARKER MARKER",
        "Patient?name=MÄRKER",
        "Patient?name=MARKER#x",
        "Patient\n?name=MARKER",
        "Patient/MARKER\n",
    ],
)
def test_other_urls_are_refused_unrepeated(url: str) -> None:
    with pytest.raises(FhirFatalError, match="not a URL relative to the base") as caught:
        parse_question(url, 100)
    assert "MARKER" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "identity"), [("Patient", ".."), ("Patient", "a/b"), ("patient", "a"), ("Patient", "")]
)
def test_reads_need_a_type_and_an_id(kind: str, identity: str) -> None:
    with pytest.raises(FhirFatalError, match="logical id"):
        read_question(kind, identity)


def test_searches_need_a_type() -> None:
    with pytest.raises(FhirFatalError, match="resource type"):
        search_question("Patient?x", [], 10)


@given(
    st.lists(st.tuples(st.sampled_from(["name", "code", "date"]), st.text(st.characters(codec="utf-8"), max_size=20)))
)
def test_search_parameters_survive_the_encoding(params: list[tuple[str, str]]) -> None:
    question = search_question("Patient", params, 7)
    assert parse_qsl(question.query, keep_blank_values=True) == [*params, ("_count", "7")]
    assert question.query.isascii()
    assert " " not in question.query


def test_long_searches_are_posted() -> None:
    short = search_question("Observation", [("code", "x" * 1900)], 10)
    assert short.request(ADDRESS).method == "GET"
    long = search_question("Observation", [("code", "x" * 2000), ("name", "ä b")], 10)
    request = long.request(ADDRESS)
    assert (request.method, request.url) == ("POST", "https://h/fhir/Observation/_search")
    assert request.body == b"code=" + b"x" * 2000 + b"&name=%C3%A4%20b&_count=10"
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert request.repeatable
    assert long.page_url(ADDRESS).startswith("https://h/fhir/Observation?code=")


def test_requests_show_no_query_in_their_repr_or_name() -> None:
    question = search_question("Patient", [("name", "MARKER")], 10)
    assert "MARKER" not in repr(question) + repr(question.request(ADDRESS)) + question.request(ADDRESS).name


def test_the_version_comes_from_the_header_or_the_body() -> None:
    body = {"resourceType": "Patient", "meta": {"versionId": "7"}}
    assert etag_of(Reply(200, {"ETag": 'W/"8"'}, body)) == 'W/"8"'
    assert etag_of(Reply(200, {}, body)) == 'W/"7"'
    assert etag_of(Reply(200, {}, {"resourceType": "Patient", "meta": "x"})) is None
    assert etag_of(Reply(200)) is None
