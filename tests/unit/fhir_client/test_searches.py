from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.fhir_client.conftest import MakeClient
from tests.unit.fhir_client.stub_server import FhirStore, Out, Stub, fhir, html, outcome, patient, searchset

from screening.errors import FhirFatalError, FhirNotFhir, FhirTemporaryError


def _outcome_entry(severity: str, code: str = "not-supported") -> dict[str, Any]:
    issue = {"severity": severity, "code": code, "diagnostics": "MARKER"}
    return {"resource": {"resourceType": "OperationOutcome", "issue": [issue]}, "search": {"mode": "outcome"}}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=8), absolute=st.booleans())
def test_pages_of_any_size_give_every_resource_once_and_in_order(
    stub: Stub, make_client: MakeClient, sizes: list[int], absolute: bool
) -> None:
    everyone = [patient(f"p{number}") for number in range(sum(sizes))]
    pages, start = [], 0
    for number, size in enumerate(sizes):
        link = f"{stub.base if absolute else ''}?_getpages=ab%2Fc==&page={number + 1}"
        pages.append(searchset(everyone[start : start + size], link if number + 1 < len(sizes) else None))
        start += size
    stub.route = lambda call: fhir(pages[int(call.params.get("page", 0))])
    assert list(make_client().search("Patient", [])) == everyone


def test_the_next_link_goes_out_as_the_server_wrote_it(stub: Stub, make_client: MakeClient) -> None:
    link = "/fhir/Patient/page/a%2fb?_getpages=abc==&p=Patient%2Fp1&q=%7e~!'()*|"
    stub.script(fhir(searchset([patient("a")], link)), fhir(searchset([patient("b")])))
    assert len(list(make_client().search("Patient", []))) == 2
    # urllib3 writes the digits of an escape in capitals and escapes what no URL may hold: the same URL
    assert stub.targets()[1] == link.replace("%2f", "%2F").replace("%7e", "%7E").replace("|", "%7C")


def test_a_next_link_that_is_no_proper_url_is_escaped(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(searchset([patient("a")], "?date=ge2020 x&name=ä")), fhir(searchset([patient("b")])))
    assert len(list(make_client().search("Patient", []))) == 2
    assert stub.targets()[1] == "/fhir/Patient?date=ge2020%20x&name=%C3%A4"


def test_count_is_the_page_size_unless_given(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(searchset([])))
    client = make_client(page_size=17)
    list(client.search("Patient", [("active", "true")]))
    list(client.search("Patient", [("_count", "3")]))
    assert stub.targets() == ["/fhir/Patient?active=true&_count=17", "/fhir/Patient?_count=3"]


def test_pages_are_fetched_only_when_wanted(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(searchset([patient("a")], "?page=2")))
    pages = make_client().search_pages("Patient", [])
    assert stub.calls == []
    assert next(pages)["entry"][0]["resource"] == patient("a")
    assert len(stub.calls) == 1


def test_total_neither_ends_nor_prolongs_a_search(
    stub: Stub, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    stub.script(
        fhir(searchset([patient("a")], "?page=2", total=1)),
        fhir(searchset([patient("b")], "?page=3", total=0)),
        fhir(searchset([patient("c")], total=300)),
    )
    assert [found["id"] for found in make_client().search("Patient", [])] == ["a", "b", "c"]
    assert "GET Patient: the server counts 300, but gave 3 and no next link" in caplog.text


@pytest.mark.parametrize(
    ("links", "asked"),
    [(["?page=2", "?page=2"], 2), (["?page=2", "?page=3", "?page=2"], 3), (["?_count=1000"], 1), (["?page=2", ""], 2)],
)
def test_next_links_in_a_circle_are_an_error(stub: Stub, make_client: MakeClient, links: list[str], asked: int) -> None:
    pages = [searchset([patient(str(number))]) for number in range(len(links))]
    for page, link in zip(pages, links, strict=True):
        page["link"] = [{"relation": "next", "url": link}]
    stub.script(*(fhir(page) for page in pages))
    with pytest.raises(FhirFatalError, match="in a circle"):
        list(make_client().search("Patient", []))
    assert len(stub.calls) == asked


def test_a_next_link_without_url_is_an_error(stub: Stub, make_client: MakeClient) -> None:
    page = searchset([patient("a")])
    page["link"] = [{"relation": "next"}]
    stub.script(fhir(page))
    with pytest.raises(FhirFatalError, match="empty"):
        list(make_client().search("Patient", []))


def test_a_next_link_elsewhere_gets_no_request(stub: Stub, make_client: MakeClient) -> None:
    other = Stub()
    try:
        stub.script(fhir(searchset([patient("a")], f"{other.base}/Patient?page=2")))
        with pytest.raises(FhirFatalError, match=r"outside the base URL .*set the server's own public base URL"):
            list(make_client().search("Patient", []))
        assert other.connections == 0
    finally:
        other.close()


def test_remarks_are_skipped_and_logged_once(
    stub: Stub, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    page = searchset([patient("a")])
    page["entry"].insert(0, _outcome_entry("warning"))
    stub.script(fhir(page))
    client = make_client()
    for _ in range(3):
        assert list(client.search("Patient", [("nickname", "MARKER")])) == [patient("a")]
    assert caplog.messages == ["GET /fhir/Patient: the server remarks on this search (not-supported)"]


@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_an_error_inside_a_searchset_is_raised(stub: Stub, make_client: MakeClient, severity: str) -> None:
    page = searchset([patient("a")])
    page["entry"].append(_outcome_entry(severity, "timeout"))
    stub.script(fhir(page))
    with pytest.raises(
        FhirFatalError, match=r"^GET /fhir/Patient: 200, but the searchset reports an error \(timeout\)$"
    ):
        list(make_client().search("Patient", []))


@pytest.mark.parametrize(
    "out", [fhir(patient("a")), fhir({"resourceType": "Bundle", "type": "batch-response"}), html(), Out(200, b"[]")]
)
def test_what_is_no_searchset_is_not_fhir(stub: Stub, make_client: MakeClient, out: Out) -> None:
    stub.script(out)
    with pytest.raises(FhirNotFhir, match=f"check the base URL {stub.base}"):
        list(make_client().search("Patient", []))


@pytest.mark.parametrize("status", [404, 410])
def test_a_forgotten_search_is_temporary_and_nobodys_deletion(stub: Stub, make_client: MakeClient, status: int) -> None:
    stub.script(fhir(searchset([patient("a")], "?page=2")), outcome(status))
    with pytest.raises(FhirTemporaryError, match="forgotten this search") as caught:
        list(make_client().search("Patient", []))
    assert caught.value.status == status


def test_a_refused_second_page_ends_the_search(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(searchset([patient("a")], "?_offset=10001")), outcome(400, "invalid"))
    with pytest.raises(FhirFatalError, match=r"GET /fhir/Patient \(next page\): 400 \(invalid\)"):
        list(make_client().search("Patient", []))


def test_long_searches_are_posted_and_followed_like_others(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub, [patient(f"p{number}") for number in range(5)])
    store.page = 2
    codes = ",".join(str(number) for number in range(1000))
    found = list(make_client().search("Patient", [("code", codes)]))
    assert [resource["id"] for resource in found] == ["p0", "p1", "p2", "p3", "p4"]
    assert [call.method for call in stub.calls] == ["POST", "GET", "GET"]
    assert stub.calls[0].params["code"] == codes


def test_relative_links_of_a_posted_search_start_at_its_type(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(searchset([patient("a")], "?page=2")), fhir(searchset([patient("b")])))
    assert len(list(make_client().search("Patient", [("code", "x" * 2000)]))) == 2
    assert stub.targets("GET") == ["/fhir/Patient?page=2"]
