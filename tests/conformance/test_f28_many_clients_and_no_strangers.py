"""F28: the peer serves its clients one by one, lets everybody in, and takes a hook that it does not offer."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.cds.ehr import Ehr, call, granting, sidecar
from tests.unit.fhir_client.stub_server import Call as Arrived
from tests.unit.fhir_client.stub_server import Out, Stub, fhir, searchset
from tests.unit.fhir_client.stub_server import patient as stub_patient

from cds_hooks.settings import Settings, SettingsError, from_environment

CLIENTS, DELAY = 8, 0.5


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with sidecar(state=tmp_path_factory.mktemp("state")) as made:
        yield made


def slow(arrived: Arrived) -> Out:
    """Answer with the Patient, or that nothing was found, after a while."""
    found = fhir(stub_patient("demo-high") if arrived.path.startswith("Patient") else searchset([]))
    found.delay = DELAY
    return found


def test_f28_who_waits_for_data_holds_up_nobody(tmp_path: Path) -> None:
    """The peer's one event loop stands still with each."""
    with closing(Stub()) as stub:
        stub.route = slow
        (tmp_path / "ehrs.yaml").write_text(f"ehrs:\n  - fhir_servers: [{stub.base}]\n")
        with sidecar(state=tmp_path / "state", ehrs=tmp_path / "ehrs.yaml", fetch_seconds=20.0) as ehr:
            begun = time.monotonic()
            with ThreadPoolExecutor(CLIENTS) as pool:
                waiting = [pool.submit(ehr.card, granting(stub.base)) for _ in range(CLIENTS)]
                assert ehr.card(call())["indicator"] == "critical"
                assert [one for one in waiting if one.done()] == []  # it had its answer before those who wait
                assert {one.result()["indicator"] for one in waiting} == {"info"}
            assert time.monotonic() - begun < CLIENTS * DELAY


def test_f28_whether_strangers_are_let_in_must_be_said(tmp_path: Path) -> None:
    """The peer lets everybody in, and has no tokens."""
    with pytest.raises(SettingsError, match="CDS_AUTH"):
        from_environment({})
    with pytest.raises(SettingsError, match="other machines reach"):
        Settings(auth="off", bind="0.0.0.0:8091")


def test_f28_no_origin_is_reflected(ehr: Ehr) -> None:
    """The peer reflects any, and with credentials."""
    answer = ehr.get(headers={"Origin": "http://evil.example"})
    assert [name for name, _ in answer.headers if name.startswith("Access-Control-")] == []
    with pytest.raises(SettingsError, match=r"CDS_CORS_ORIGINS: must be origins .* \* is none"):
        from_environment({"CDS_AUTH": "off", "CDS_CORS_ORIGINS": "*"})


def test_f28_another_hook_and_a_call_without_instance_are_refused(ehr: Ehr) -> None:
    """The peer answers 200 without cards, and takes the call."""
    assert "[hook]" in ehr.refused(400, call(hook="order-sign"))
    assert "[hookInstance]" in ehr.refused(400, call(hookInstance=None))
