"""What is fetched, from whom, and the words for what is not."""

import json
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from tests.charts import T, observation, sepsis
from tests.unit.cds_hooks.fetching.conftest import TOKEN, Authorization, Call, MakeFetcher, ward
from tests.unit.cds_hooks.fetching.test_allowed import ATTACKS
from tests.unit.fhir_client import test_transport
from tests.unit.fhir_client.raw_server import DRIPS, FHIR, RawServer, flood, say
from tests.unit.fhir_client.stub_server import Out, Stub, fhir, html, outcome, searchset

from cds_hooks.fetching import reasons
from cds_hooks.fetching.fetcher import Fetched
from screening.errors import FatalError
from screening.queries import query_of_key

certificate = test_transport.certificate
NOT_SENT = "not sent, and not obtained: "
KEYS = ("patient", "heart_rate", "lactate")
OWN = '{"conn_type": "fhir", "host": "%s", "password": "0wnT0ken"}'


def call(stub: Stub, **given: object) -> Call:
    return Call(stub.base, Authorization(**given))  # type: ignore[arg-type]


def only(fetched: Fetched) -> str:
    """Return the words that all keys have in common."""
    assert fetched.contents == ()
    assert fetched.problems == {}
    (words,) = set(fetched.unobtained.values())
    assert words.startswith(NOT_SENT)
    return words.removeprefix(NOT_SENT)


def test_ch55_each_missing_key_is_asked_for_once_as_screening_asks(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetched = make_fetcher(stub.base).fetch(call(stub), sepsis(), KEYS, "p", T)
    assert fetched.unobtained == fetched.problems == {}
    assert fetched.base_url == stub.base
    assert len(fetched.contents) == 3
    wanted = [f"/fhir/{query_of_key(sepsis(), key, 'p', T)}" for key in KEYS]
    assert sorted(stub.targets()) == sorted(url if url.endswith("/p") else f"{url}&_count=1000" for url in wanted)
    assert {one.headers["authorization"] for one in stub.calls} == {f"Bearer {TOKEN}"}


def test_ch29_what_was_sent_is_not_asked_for(stub: Stub, make_fetcher: MakeFetcher) -> None:
    assert make_fetcher(stub.base).fetch(call(stub), sepsis(), (), "p", T) == Fetched()
    assert stub.connections == 0


def test_the_mode_latest_asks_for_all_times(stub: Stub, make_fetcher: MakeFetcher) -> None:
    make_fetcher(stub.base).fetch(call(stub), sepsis(), ("heart_rate",), "p", None)
    assert "date=" not in stub.targets()[0]


def test_a_server_that_is_open_is_asked_without_a_token(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetched = make_fetcher(stub.base).fetch(Call(stub.base), sepsis(), KEYS, "p", T)
    assert fetched.unobtained == {}
    assert all("authorization" not in one.headers for one in stub.calls)


def test_ch31_a_page_that_was_sent_is_asked_for_anew_and_its_link_is_not_followed(
    stub: Stub, make_fetcher: MakeFetcher
) -> None:
    with RawServer(say(b"")) as canary:
        fetcher = make_fetcher(stub.base)
        link = {"heart_rate": f"{canary.base}/Observation?page=2", "lactate": None}
        fetched = fetcher.fetch(call(stub), sepsis(), (), "p", T, partial=link)
        assert len(fetched.contents) == 2
        assert fetched.problems == fetched.unobtained == {}
        assert len(stub.calls) == 2
        assert canary.connections == 0


def test_ch31_a_page_whose_rest_is_not_obtained_is_told_apart_from_nothing(
    stub: Stub, make_fetcher: MakeFetcher
) -> None:
    fetched = make_fetcher().fetch(call(stub), sepsis(), ("lactate",), "p", T, partial={"heart_rate": None})
    assert fetched.unobtained == {"lactate": NOT_SENT + reasons.NOT_ALLOWED}
    assert fetched.problems == {
        "heart_rate": "sent in part, and the rest was not obtained: "
        "the call's fhirServer is none that this service may ask"
    }


def test_pages_are_followed_below_the_server(stub: Stub, make_fetcher: MakeFetcher) -> None:
    pages = {
        "": searchset([observation(hours=1)], f"{stub.base}/Observation?page=2"),
        "2": searchset([observation(hours=2)]),
    }
    stub.route = lambda one: fhir(pages[one.params.get("page", "")])
    fetched = make_fetcher(stub.base).fetch(call(stub), sepsis(), ("heart_rate",), "p", T)
    assert [len(one) for one in fetched.contents] == [2]


# ---- where nobody is asked


@pytest.mark.parametrize("url", ATTACKS, ids=lambda url: repr(url[:60]))
def test_ch50_a_server_that_is_not_listed_is_not_even_looked_up(
    make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("somebody was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    fetcher = make_fetcher("https://allowed.example.org/fhir")
    fetched = fetcher.fetch(Call(url, Authorization()), sepsis(), KEYS, "p", T)
    assert only(fetched) == reasons.NOT_ALLOWED
    assert url == "" or url not in repr(fetched)


@pytest.mark.parametrize(
    "form", ["{origin}/fhir", "{origin}", "{origin}/fhir/../admin", "http://localhost:{port}/fhir", "http://[::1]:{port}/",
             "http://2130706433:{port}/fhir", "http://127.1:{port}/fhir", "http://allowed@127.0.0.1:{port}/fhir"],
)  # fmt: skip
def test_ch50_an_empty_list_and_another_port_mean_no_connection(make_fetcher: MakeFetcher, form: str) -> None:
    with RawServer(say(b"")) as canary:
        url = form.format(origin=canary.origin, port=canary.port)
        for listed in ([], [f"http://127.0.0.1:{canary.port + 1 if canary.port < 65535 else 1}/fhir"]):
            assert only(make_fetcher(*listed).fetch(Call(url), sepsis(), KEYS, "p", T)) == reasons.NOT_ALLOWED
        assert canary.connections == 0


def test_ch50_a_server_of_another_ehr_is_not_asked(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetcher = make_fetcher(("https://a.example", stub.base), ("https://b.example", "https://b.example/fhir"))
    assert only(fetcher.fetch(call(stub), sepsis(), KEYS, "p", T, iss="https://b.example")) == reasons.NOT_ALLOWED
    assert stub.connections == 0
    assert fetcher.fetch(call(stub), sepsis(), KEYS, "p", T, iss="https://a.example").unobtained == {}
    assert fetcher.fetch(call(stub), sepsis(), KEYS, "p", T).unobtained == {}


def test_ch50_what_is_called_is_the_listed_url(stub: Stub, make_fetcher: MakeFetcher) -> None:
    url = stub.origin.replace("http", "HTTP") + "/fhir/"
    fetched = make_fetcher(stub.base).fetch(Call(url), sepsis(), ("patient",), "p", T)
    assert fetched.base_url == stub.base
    assert stub.targets() == ["/fhir/Patient/p"]


def test_a_path_below_a_listed_server_is_asked_there(stub: Stub, make_fetcher: MakeFetcher) -> None:
    stub.route = lambda one: fhir({"resourceType": "Patient", "id": "p"})
    fetched = make_fetcher(stub.origin).fetch(Call(stub.origin + "/tenant-a/r4"), sepsis(), ("patient",), "p", T)
    assert fetched.base_url == stub.origin + "/tenant-a/r4"
    assert stub.targets() == ["/tenant-a/r4/Patient/p"]


def test_ch41_without_a_server_the_words_say_so(make_fetcher: MakeFetcher) -> None:
    assert only(make_fetcher("https://a.example/fhir").fetch(Call(None), sepsis(), KEYS, "p", T)) == reasons.NO_SERVER


def test_switched_off_nobody_is_asked(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetcher = make_fetcher(stub.base, fetch_from="nowhere")
    assert only(fetcher.fetch(call(stub), sepsis(), KEYS, "p", T)) == reasons.SWITCHED_OFF
    assert stub.connections == 0


@pytest.mark.parametrize("who", ["", "..", "a/b", "a?b", "a b", "é", "x" * 300])
def test_ch22_what_is_no_logical_id_is_not_asked_for(stub: Stub, make_fetcher: MakeFetcher, who: str) -> None:
    assert only(make_fetcher(stub.base).fetch(call(stub), sepsis(), KEYS, who, T)) == reasons.NO_ID
    assert stub.connections == 0


@pytest.mark.parametrize("token", ["", "two words", "line\r\nHost: evil", "é"])
def test_a_token_that_no_header_can_carry_is_not_sent(stub: Stub, make_fetcher: MakeFetcher, token: str) -> None:
    fetched = make_fetcher(stub.base).fetch(call(stub, access_token=token), sepsis(), KEYS, "p", T)
    assert only(fetched) == reasons.NO_TOKEN
    assert stub.connections == 0


# ---- scopes


def test_ch54_what_the_scope_lacks_is_not_asked_and_named(stub: Stub, make_fetcher: MakeFetcher) -> None:
    granted = frozenset({"launch", "patient/Patient.read"})
    fetched = make_fetcher(stub.base).fetch(call(stub, scope=granted), sepsis(), KEYS, "p", T)
    assert stub.targets() == ["/fhir/Patient/p"]
    words = NOT_SENT + "the access token lacks the scope patient/Observation.s (or patient/Observation.read)"
    assert fetched.unobtained == {"heart_rate": words, "lactate": words}
    assert len(fetched.contents) == 1


def test_ch54_without_any_scope_nobody_is_connected_to(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetched = make_fetcher(stub.base).fetch(call(stub, scope=frozenset()), sepsis(), KEYS, "p", T)
    assert list(fetched.unobtained) == list(KEYS)
    assert "patient/Patient.r " in fetched.unobtained["patient"]
    assert stub.connections == 0


def test_ch54_patient_scopes_of_another_patient_are_not_used(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetched = make_fetcher(stub.base).fetch(call(stub, patient="q"), sepsis(), KEYS, "p", T)
    assert list(fetched.unobtained) == list(KEYS)
    # Nor where the chart that is open is another one's, and the EHR does not say whose the token is.
    other = Call(stub.base, Authorization(), patient_id="q")
    assert list(make_fetcher(stub.base).fetch(other, sepsis(), KEYS, "p", T).unobtained) == list(KEYS)
    assert stub.connections == 0


def test_ch54_nothing_found_under_a_restricted_scope_is_not_no_data(stub: Stub, make_fetcher: MakeFetcher) -> None:
    granted = frozenset({"patient/Patient.r", "patient/Observation.rs?category=vital-signs"})
    stub.route = lambda one: fhir(searchset([observation()] if "8867-4" in one.target else []))
    fetched = make_fetcher(stub.base).fetch(call(stub, scope=granted), sepsis(), KEYS[1:], "p", T)
    assert [one[0]["id"] for one in fetched.contents] == [observation()["id"]]
    assert fetched.unobtained == {
        "lactate": NOT_SENT + "nothing found, but the access token's scope shows only a part: an unrestricted one is "
        "patient/Observation.s (or patient/Observation.read)"
    }


# ---- what a server may answer

ANSWERS = {
    "unknown token": (outcome(401, "login"), "does not know the access token (401)"),
    "forbidden": (outcome(403, "forbidden"), "does not permit this with the access token (403)"),
    "unknown": (outcome(404, "not-found"), "does not know it (404)"),
    "deleted": (outcome(410, "deleted"), "was deleted (410)"),
    "refused": (outcome(400, "invalid"), "refused or failed (400)"),
    "broken": (outcome(500), "refused or failed (500)"),
    "busy": (outcome(429, "throttled", Retry_After="1"), "too much to do (429)"),
    "outcome": (outcome(200), "error in it"),
    "redirect": (Out(302, b"", {"Location": "https://evil.example/MARKER"}), "not followed (302)"),
    "page": (html(200), "no FHIR in JSON"),
    "page said to be JSON": (Out(200, html().body, {"Content-Type": "application/json"}), "no FHIR in JSON"),
    "XML": (Out(200, b"<Bundle/>", {"Content-Type": "application/fhir+xml"}), "no FHIR in JSON"),
    "JSON of no type": (Out(200, fhir(searchset([])).body, {}), "no FHIR in JSON"),
    "deep": (Out(200, b'{"a":' + b"[" * 100_000, {"Content-Type": "application/json"}), "no FHIR in JSON"),
    "cut": (Out(200, fhir(searchset([])).body[:30], {"Content-Type": "application/json"}, length=False), "in full"),
    "error inside": (
        fhir(searchset([{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "MARKER"}]}])),
        "error in it",
    ),
    "counts more than it gives": (fhir(searchset([], total=3)), "cannot be used as a whole"),
    "link to elsewhere": (fhir(searchset([], "https://evil.example/fhir/MARKER")), "cannot be used as a whole"),
    "link beside the base": (fhir(searchset([], "/other/MARKER")), "cannot be used as a whole"),
    "link in a circle": (fhir(searchset([], "?page=1")), "cannot be used as a whole"),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("partial", [False, True])
def test_ch51_an_answer_of_no_use_is_told_in_our_own_words(
    stub: Stub, make_fetcher: MakeFetcher, name: str, partial: bool
) -> None:
    out, words = ANSWERS[name]
    stub.route = ward(Observation=out)
    keys, given = (KEYS[:1], {"heart_rate": None}) if partial else (KEYS[:2], {})
    fetched = make_fetcher(stub.base).fetch(call(stub), sepsis(), keys, "p", T, partial=given)
    assert len(fetched.contents) == 1  # the Patient is not lost with it
    told = fetched.problems if partial else fetched.unobtained
    assert list(told) == ["heart_rate"]
    assert words in told["heart_rate"] or (name == "outcome" and "no FHIR" in told["heart_rate"])
    assert "MARKER" not in told["heart_rate"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_ch55_a_key_is_asked_for_once_also_where_the_server_is_busy(
    stub: Stub, make_fetcher: MakeFetcher, status: int
) -> None:
    stub.route = ward(Observation=outcome(status, "transient", Retry_After="0"))
    make_fetcher(stub.base).fetch(call(stub), sepsis(), ("heart_rate",), "p", T)
    assert len(stub.calls) == 1


@pytest.mark.parametrize("identity", ["q", None])
def test_a_patient_that_is_another_is_not_taken(stub: Stub, make_fetcher: MakeFetcher, identity: str | None) -> None:
    stub.route = ward(Patient=fhir({"resourceType": "Patient", "id": identity}))
    fetched = make_fetcher(stub.base).fetch(call(stub), sepsis(), ("patient",), "p", T)
    assert "of another" in only(fetched)


def test_ch52_the_token_goes_nowhere_else(stub: Stub, make_fetcher: MakeFetcher) -> None:
    with RawServer(say(FHIR + b"\r\n")) as canary:
        outs = {
            "Patient": Out(302, b"", {"Location": f"{canary.base}/Patient/p"}),
            "Observation": fhir(searchset([], f"{canary.base}/Observation?page=2")),
        }
        stub.route = ward(**outs)
        fetched = make_fetcher(stub.base, canary.origin + "/other").fetch(call(stub), sepsis(), KEYS, "p", T)
        assert list(fetched.unobtained) == list(KEYS)
        assert len(stub.calls) == 3
        assert canary.connections == 0


def test_ch51_links_without_end_are_followed_five_pages_far(stub: Stub, make_fetcher: MakeFetcher) -> None:
    stub.route = lambda one: fhir(searchset([observation()], f"{stub.base}/Observation?page={len(stub.calls)}"))
    fetched = make_fetcher(stub.base).fetch(call(stub), sepsis(), ("heart_rate",), "p", T)
    assert "too much" in only(fetched)
    assert len(stub.calls) == 5


@pytest.mark.parametrize("name", ["nothing", "headers", "body"])
def test_ch51_a_server_that_drips_costs_no_more_than_the_time(make_fetcher: MakeFetcher, name: str) -> None:
    with RawServer(DRIPS[name]) as canary:
        fetcher = make_fetcher(canary.base, fetch_seconds=0.25)
        begun = time.monotonic()
        fetched = fetcher.fetch(Call(canary.base), sepsis(), KEYS, "p", T)
        assert time.monotonic() - begun < 0.8
    assert list(fetched.unobtained) == list(KEYS)
    assert canary.connections == 3


def test_ch51_a_gigabyte_is_left_at_five_megabytes(make_fetcher: MakeFetcher) -> None:
    with RawServer(flood(FHIR + b"\r\n{", b" " * 65536, 16384)) as canary:
        begun = time.monotonic()
        fetched = make_fetcher(canary.base).fetch(Call(canary.base), sepsis(), KEYS, "p", T)
        assert time.monotonic() - begun < 2
    assert list(fetched.unobtained) == list(KEYS)


def test_ch51_keys_are_fetched_at_once_within_the_time(stub: Stub, make_fetcher: MakeFetcher) -> None:
    usual, together = ward(), threading.Barrier(len(KEYS), timeout=3)

    def route(one: object) -> Out:
        together.wait()
        return usual(one)  # type: ignore[arg-type]

    stub.route = route
    assert make_fetcher(stub.base).fetch(call(stub), sepsis(), KEYS, "p", T).unobtained == {}


def test_ch26_a_certificate_that_is_not_trusted_is_told_and_sends_nothing(
    certificate: Path, make_fetcher: MakeFetcher
) -> None:
    stub = Stub(certificate)
    try:
        fetched = make_fetcher(stub.base).fetch(call(stub), sepsis(), KEYS, "p", T)
        assert only(fetched) == "the FHIR server offers no TLS that can be trusted"
        assert stub.calls == []
    finally:
        stub.close()


def test_connections_are_kept_for_the_next_call(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetcher = make_fetcher(stub.base)
    for _ in range(3):
        assert fetcher.fetch(call(stub), sepsis(), ("patient",), "p", T).unobtained == {}
    assert stub.connections == 1


def test_a_budget_may_be_shared_with_what_else_is_asked(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetcher = make_fetcher(stub.base)
    spent = fetcher.budget()
    spent.end()
    fetched = fetcher.fetch(call(stub), sepsis(), KEYS, "p", T, budget=spent)
    assert "in full in time" in only(fetched)
    assert stub.connections == 0


# ---- our own connection


def test_the_own_connection_is_asked_whatever_the_call_names(stub: Stub, make_fetcher: MakeFetcher) -> None:
    fetcher = make_fetcher(fetch_from="own", fhir_conn=OWN % stub.base)
    with RawServer(say(b"")) as canary:
        fetched = fetcher.fetch(Call(canary.base, Authorization(scope=frozenset())), sepsis(), KEYS, "p", T)
        assert canary.connections == 0
    assert fetched.unobtained == {}
    assert fetched.base_url == stub.base
    assert {one.headers["authorization"] for one in stub.calls} == {"Bearer 0wnT0ken"}


def test_the_own_connection_is_bounded_too_whatever_its_extras(stub: Stub, make_fetcher: MakeFetcher) -> None:
    extra = {"attempts": 9, "read_timeout": 600, "page_size": 7, "zone": "Asia/Tokyo"}
    conn = json.dumps({"host": stub.base, "extra": extra})
    fetcher = make_fetcher(fetch_from="own", fhir_conn=conn, fetch_seconds=0.3)
    assert str(fetcher.zone) == "Asia/Tokyo"
    stub.route = ward(Observation=Out(503, delay=5))
    begun = time.monotonic()
    fetched = fetcher.fetch(Call(None), sepsis(), ("heart_rate",), "p", T)
    assert time.monotonic() - begun < 0.9
    assert "in full in time" in only(fetched)
    assert [one.params["_count"] for one in stub.calls] == ["7"]


def test_an_own_connection_that_cannot_be_meant_stops_the_start(make_fetcher: MakeFetcher) -> None:
    with pytest.raises(FatalError, match=r"^CDS_FHIR_CONN: the host must be the FHIR base URL"):
        make_fetcher(fetch_from="own", fhir_conn='{"host": "fhir.example.org"}')


def test_the_time_is_the_settings(make_fetcher: MakeFetcher) -> None:
    assert timedelta(seconds=make_fetcher(fetch_seconds=1.5).budget().left) <= timedelta(seconds=1.5)
