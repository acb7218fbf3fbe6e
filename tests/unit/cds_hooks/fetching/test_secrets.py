"""CH-53: a call's access token is in no log, repr, error or frame, whether fetching succeeds, fails or breaks."""

import gc
import logging
import traceback
from typing import Any

import pytest
from tests.charts import T, sepsis
from tests.unit.cds_hooks.fetching.conftest import TOKEN, Authorization, Call, MakeFetcher, ward
from tests.unit.fhir_client.raw_server import DRIPS, RawServer
from tests.unit.fhir_client.stub_server import DROP, Out, Stub, fhir, html, outcome, searchset

from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.fetching.sources import Source
from screening.fhir_client import direct, searches, transport, wire
from screening.fhir_client.auth import BearerAuth
from screening.queries import query_of_key

KEYS = ("patient", "heart_rate", "lactate")
PHI = "Quackenbush"


def whole(error: BaseException) -> str:
    """All that a debugger or an error reporter would send of an exception: the chain, and the variables of each frame."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def clean(*texts: object) -> None:
    for text in texts:
        for marker in (TOKEN, PHI):
            assert marker not in str(text)


OUTS = {
    "well": None,
    "unknown": outcome(401, "login"),
    "refused": html(403),
    "redirect": Out(302, b"", {"Location": "https://evil.example/"}),
    "dropped": DROP,
    "failing": outcome(500),
    "no FHIR": html(),
    "elsewhere": fhir(searchset([], "https://evil.example/")),
    "echo": Out(400, f'{{"resourceType":"OperationOutcome","issue":[{{"code":"{TOKEN}"}}]}}'.encode(), {}),
}


@pytest.mark.parametrize("name", OUTS)
def test_ch53_whatever_comes_of_it_nothing_shows_the_token(
    stub: Stub,
    make_fetcher: MakeFetcher,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    out = OUTS[name]
    known = fhir({"resourceType": "Patient", "id": "p", "name": [{"family": PHI}]})
    stub.route = ward(Patient=known) if out is None else ward(Patient=out, Observation=out)
    fetcher = make_fetcher(stub.base)
    call = Call(stub.base, Authorization())
    fetched = fetcher.fetch(call, sepsis(), KEYS, "p", T)
    source = fetcher.sources.of_data(call, "p", None)
    assert isinstance(source, Source)
    assert bool(fetched.unobtained) == (out is not None)
    assert {one.headers["authorization"] for one in stub.calls} == {f"Bearer {TOKEN}"}  # it was there to be shown
    clean(repr(fetched), repr(fetcher), vars(fetcher), vars(fetcher.sources), repr(source), repr(call))
    clean(caplog.text, *[vars(record) for record in caplog.records], *capfd.readouterr())


def test_ch53_a_server_that_is_cut_off_leaves_no_token(
    make_fetcher: MakeFetcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RawServer(DRIPS["headers"]) as canary:
        fetched = make_fetcher(canary.base, fetch_seconds=0.2).fetch(
            Call(canary.base, Authorization()), sepsis(), KEYS, "p", T
        )
        assert TOKEN.encode() in canary.received[0]
    clean(repr(fetched), caplog.text)


def test_ch53_a_token_that_cannot_be_sent_is_not_shown(
    stub: Stub, make_fetcher: MakeFetcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call = Call(stub.base, Authorization(f"{TOKEN}\r\nX: y"))
    clean(repr(make_fetcher(stub.base).fetch(call, sepsis(), KEYS, "p", T)), caplog.text)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (transport, "read_body"), (transport, "_reply"), (transport, "fault_of"), (transport, "codes_of_body"),
        (wire, "is_json_type"), (direct, "resources_of"), (direct, "checked_read"), (searches, "is_searchset"),
    ],
)  # fmt: skip
def test_ch53_a_defect_shows_no_token_in_any_frame(
    stub: Stub, make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(module, name, broken)
    outs = {"fault_of": DROP, "codes_of_body": outcome(500)}
    stub.route = ward(Patient=outs.get(name), Observation=outs.get(name))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="defect") as caught:
        make_fetcher(stub.base).fetch(Call(stub.base, Authorization()), sepsis(), KEYS, "p", T)
    clean(whole(caught.value))


def test_ch53_nothing_of_the_token_is_kept_when_the_call_is_over(stub: Stub, make_fetcher: MakeFetcher) -> None:
    def bearers() -> int:
        gc.collect()
        return sum(isinstance(one, BearerAuth) for one in gc.get_objects())

    fetcher, before = make_fetcher(stub.base), bearers()
    assert fetcher.fetch(Call(stub.base, Authorization()), sepsis(), KEYS, "p", T).unobtained == {}
    assert bearers() == before


def test_the_url_and_the_values_of_a_patient_are_not_logged(
    stub: Stub, make_fetcher: MakeFetcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stub.route = ward(Observation=outcome(500))
    fetcher: Fetcher = make_fetcher(stub.base)
    fetcher.fetch(Call(stub.base, Authorization()), sepsis(), KEYS, "p", T)
    assert f"not fetched from {stub.base}: heart_rate (GET /fhir/Observation: 500" in caplog.text
    query = query_of_key(sepsis(), "heart_rate", "p", T).partition("?")[2]
    assert query.split("&")[1][:20] not in caplog.text
    assert "code=" not in caplog.text
