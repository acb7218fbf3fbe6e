"""CH-01 to CH-10: discovery, as a client reads it over HTTP."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from tests.charts import sepsis
from tests.conformance.cds.conftest import MakeEhr
from tests.conformance.cds.ehr import KEYS, Ehr, Json, call, said

PARAMETERS = {"patient", "code", "_sort", "_count"}
TOKEN = re.compile(r"\{\{(.*?)\}\}")


@pytest.fixture(scope="module")
def service(ehr: Ehr) -> Json:
    """The one service, as it is listed."""
    assert ehr.get().json is not None
    (one,) = ehr.get().json["services"]
    return dict(one)


def searches(service: Json) -> dict[str, dict[str, str]]:
    """Return the parameters of each template that is a search."""
    found = {}
    for key, template in service["prefetch"].items():
        kind, mark, query = template.partition("?")
        if mark:
            assert kind == "Observation"
            pairs = parse_qsl(query, strict_parsing=True)
            assert len(dict(pairs)) == len(pairs)
            found[key] = dict(pairs)
    return found


@pytest.mark.parametrize("accept", ["application/json", "*/*", None, "text/html"])
def test_ch01_discovery_is_json_at_its_one_place(ehr: Ehr, accept: str | None) -> None:
    answer = ehr.get(headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert isinstance(answer.json["services"], list)


def test_ch01_head_is_told_and_every_other_method_is_refused(ehr: Ehr) -> None:
    answer = ehr.ask("HEAD", "/cds-services")
    assert (answer.status_code, answer.mimetype, answer.get_data()) == (200, "application/json", b"")
    assert answer.headers["Content-Length"] == str(len(ehr.get().get_data()))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = ehr.ask(method, "/cds-services")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD"), method


def test_ch02_a_service_has_its_members(service: Json) -> None:
    assert (service["id"], service["hook"], service["title"]) == ("sepsis-risk", "patient-view", "Sepsis risk")
    assert all(isinstance(service[name], str) and service[name] for name in ("description", "usageRequirements"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", service["version"])


def test_ch03_a_service_without_a_model_stays_listed_and_its_call_says_so(make_ehr: MakeEhr, tmp_path: Path) -> None:
    ehr = make_ehr(models=tmp_path)
    assert [one["id"] for one in ehr.get().json["services"]] == ["sepsis-risk"]
    answer = ehr.post(call())
    assert answer.status_code == 503
    assert "model of this service is not available" in said(answer)
    assert int(answer.headers["Retry-After"]) > 0
    assert ehr.get("/health").status_code == 503


def test_ch04_one_id_may_be_listed_for_two_hooks_and_answers_either(make_ehr: MakeEhr) -> None:
    ehr = make_ehr(hooks=("patient-view", "encounter-start"))
    listed = [(one["id"], one["hook"]) for one in ehr.get().json["services"]]
    assert listed == [("sepsis-risk", "patient-view"), ("sepsis-risk", "encounter-start")]
    for _, hook in listed:
        assert ehr.card(call(hook=hook, context={"encounterId": "e1"}))["indicator"] == "critical"


def test_ch05_only_the_patient_is_a_token(service: Json) -> None:
    assert all(isinstance(one, str) for pair in service["prefetch"].items() for one in pair)
    tokens = {token for template in service["prefetch"].values() for token in TOKEN.findall(template)}
    assert tokens == {"context.patientId"}


def test_ch06_templates_use_what_the_standard_permits(service: Json) -> None:
    assert service["prefetch"]["patient"] == "Patient/{{context.patientId}}"
    found = searches(service)
    assert set(found) == set(KEYS[1:])
    for parameters in found.values():
        assert set(parameters) == PARAMETERS  # so: no modifier, no chain, no _include, no _summary
        assert parameters["_count"].isdecimal()


def test_ch07_no_template_needs_cds_hooks_3(service: Json, make_ehr: MakeEhr) -> None:
    assert "today" not in str(service["prefetch"])
    (other,) = make_ehr(prefetch_today=True).get().json["services"]
    assert re.search(r"&date=ge\{\{today\(\) - \d days\}\}&", other["prefetch"]["lactate"])


def test_ch08_a_key_for_the_patient_and_one_a_feature(service: Json) -> None:
    features = [one.name for one in sepsis().features.values() if one.fhir_resource == "Observation"]
    assert list(service["prefetch"]) == ["patient", *features] == list(KEYS)


def test_ch09_newest_first_as_r4_has_it(service: Json) -> None:
    assert {parameters["_sort"] for parameters in searches(service).values()} == {"-date"}


def test_ch10_only_what_is_needed_is_asked_for(service: Json) -> None:
    assert all(parameters["code"] for parameters in searches(service).values())
    assert "user" not in service["prefetch"]
