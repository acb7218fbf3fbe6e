"""CH-28 to CH-35: what was sent, what was not, what is nobody's business, and whose chart it is."""

from typing import Any

import pytest
from tests.charts import bundle, observation
from tests.conformance.cds.conftest import MakeEhr
from tests.conformance.cds.ehr import KEYS, LEVELS, NOW, Ehr, Json, call, granting, no_data, prefetch, with_keys

from fhir_sandbox.server import SandboxServer

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}


def told(cards: list[Json]) -> list[tuple[str, str]]:
    """Return what a clinician sees first."""
    return [(card["indicator"], card["summary"]) for card in cards]


def remarks(card: Json, display: str) -> str:
    """Return the last cell of an input's row."""
    (line,) = (line for line in card["detail"].splitlines() if line.startswith(f"| {display} |"))
    return str(line.split(" | ")[-1].removesuffix(" |"))


@pytest.mark.parametrize("who", LEVELS)
@pytest.mark.parametrize("sent", [(), KEYS[:4], KEYS[1:], KEYS], ids=lambda keys: f"{len(keys)} of 7 keys")
def test_ch28_some_all_or_none_of_the_data_sent_is_the_same_answer(
    ehr: Ehr, fetching_ehr: Ehr, fhir_server: SandboxServer, who: str, sent: tuple[str, ...]
) -> None:
    expected = told(ehr.cards(call(who)))
    assert [indicator for indicator, _ in expected] == [one for one in [LEVELS[who]] if one]
    fhir_server.stats.reset()
    assert told(fetching_ehr.cards(granting(fhir_server.base_url, who, sent))) == expected
    assert sum(fhir_server.stats.to_json()["requests"].values()) == len(KEYS) - len(sent)


NOTHING = [
    None,
    {"resourceType": "Bundle", "type": "searchset"},
    {"resourceType": "Bundle", "type": "searchset", "total": 0},
    {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []},
]


@pytest.mark.parametrize("nothing", NOTHING)
def test_ch29_what_the_ehr_has_none_of_is_not_asked_for_again(
    fetching_ehr: Ehr, fhir_server: SandboxServer, nothing: Any
) -> None:
    fhir_server.stats.reset()
    body = granting(fhir_server.base_url, sent=KEYS)
    body["prefetch"]["lactate"] = nothing
    card = fetching_ehr.card(body)
    assert fhir_server.stats.to_json()["requests"] == {}
    assert remarks(card, "Lactate") == "**imputed** by the model itself; no value in the last 24 h"


def test_ch29_a_key_that_was_not_sent_is_412_and_not_no_data(ehr: Ehr) -> None:
    text = ehr.refused(412, call(without=("heart_rate",)))
    assert "heart_rate: not sent, and not obtained" in text
    assert "heart_rate" in ehr.card(with_keys(heart_rate=None))["detail"].replace("Heart rate", "heart_rate")


@pytest.mark.parametrize(
    "value",
    [
        OUTCOME,
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": OUTCOME, "search": {"mode": "outcome"}}],
        },
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": OUTCOME}]},
    ],
)
def test_ch30_an_error_in_place_of_data_is_told_and_not_asked_again(
    fetching_ehr: Ehr, fhir_server: SandboxServer, value: Json
) -> None:
    fhir_server.stats.reset()
    body = granting(fhir_server.base_url, sent=KEYS)
    body["prefetch"]["lactate"] = value
    assert "the EHR sent an OperationOutcome" in remarks(fetching_ehr.card(body), "Lactate")
    assert fhir_server.stats.to_json()["requests"] == {}


def test_ch31_a_page_with_more_to_come_is_a_part_and_its_link_is_not_followed(
    ehr: Ehr, fetching_ehr: Ehr, fhir_server: SandboxServer
) -> None:
    whole = told(ehr.cards(call()))
    page = prefetch()["lactate"]
    page["link"] = [{"relation": "next", "url": f"{fhir_server.base_url}/Patient"}]
    page["entry"] = page["entry"][-1:]
    card = ehr.card(with_keys(lactate=page))
    assert "sent in part, and the rest was not obtained" in remarks(card, "Lactate")
    body = granting(fhir_server.base_url, sent=KEYS)
    body["prefetch"]["lactate"] = page
    fhir_server.stats.reset()
    assert told(fetching_ehr.cards(body)) == whole
    assert fhir_server.stats.to_json()["requests"] == {"GET search": 1}


def newest(who: str = "demo-high") -> Json:
    return dict(prefetch(who)["lactate"]["entry"][-1]["resource"])


WRAPPED = {
    "collection": lambda entries: {"resourceType": "Bundle", "type": "collection", "entry": entries},
    "list of resources": lambda entries: [one["resource"] for one in entries],
    "a Bundle without a type": lambda entries: {"resourceType": "Bundle", "entry": entries},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_ch32_however_it_is_wrapped_it_is_the_same_answer(ehr: Ehr, kind: str) -> None:
    expected = told(ehr.cards(call()))
    sent = {key: value if key == "patient" else WRAPPED[kind](value["entry"]) for key, value in prefetch().items()}
    assert told(ehr.cards(with_keys(**sent))) == expected


def test_ch32_a_resource_for_a_bundle_a_bundle_for_a_resource_and_a_patient_without_its_type(ehr: Ehr) -> None:
    patient = prefetch()["patient"]
    assert remarks(ehr.card(with_keys(lactate=newest())), "Lactate") == "–"
    for sent in (bundle(patient), {key: value for key, value in patient.items() if key != "resourceType"}):
        assert told(ehr.cards(with_keys(patient=sent))) == told(ehr.cards(call()))


@pytest.mark.parametrize(
    "odd", [1, "x", True, [1], {"a": 1}, [[]], {"resourceType": 1}, {"resourceType": "Bundle", "entry": 1}]
)
@pytest.mark.parametrize("key", ["lactate", "heart_rate", "patient"])
def test_ch32_what_is_no_fhir_is_neither_data_nor_a_crash(ehr: Ehr, key: str, odd: Any) -> None:
    answer = ehr.post(with_keys(**{key: odd}))
    assert answer.status_code == 200
    (card,) = answer.json["cards"]
    assert card["indicator"] == ("critical" if key == "lactate" else "info")
    assert "the EHR sent" in card["detail"]


def test_ch33_another_patient_is_refused(ehr: Ehr, make_ehr: MakeEhr) -> None:
    body = with_keys(patient=prefetch("demo-low")["patient"])
    assert "is not the patient of context.patientId" in ehr.refused(400, body)
    lenient = make_ehr(require_patient_match=False)
    assert told(lenient.cards(call(context={"patientId": "made-up"}))) == told(ehr.cards(call()))


@pytest.mark.parametrize(
    "reference",
    ["Patient/other", "https://elsewhere.example.org/fhir/Patient/demo-high", "urn:uuid:0", "Group/demo-high"],
)
def test_ch33_a_foreign_observation_is_never_scored(ehr: Ehr, reference: str) -> None:
    foreign = prefetch("demo-low")
    for key in KEYS[1:]:
        for entry in foreign[key]["entry"]:
            entry["resource"]["subject"] = {"reference": reference}
    body = with_keys("demo-low", **{key: foreign[key] for key in KEYS[1:]})
    card = ehr.card(body)
    assert card["indicator"] == "info"
    assert "not computed" in card["summary"]
    assert told(ehr.cards(with_keys(lactate=bundle(*[one["resource"] for one in prefetch()["lactate"]["entry"]],
        observation("lactate", 49.0, subject={"reference": reference}))))) == told(ehr.cards(call()))  # fmt: skip


@pytest.mark.parametrize(
    "reference", ["Patient/demo-high", "Patient/demo-high/_history/2", "https://ehr.example.org/fhir/Patient/demo-high"]
)
def test_ch33_one_s_own_observation_counts_however_it_is_referred_to(ehr: Ehr, reference: str) -> None:
    sent = prefetch()
    for key in KEYS[1:]:
        for entry in sent[key]["entry"]:
            entry["resource"]["subject"] = {"reference": reference}
    body = with_keys(**sent) | {"fhirServer": "https://ehr.example.org/fhir"}
    assert told(ehr.cards(body)) == told(ehr.cards(call()))


def test_ch34_status_unit_and_time_decide_and_not_the_order_sent(ehr: Ehr) -> None:
    expected = told(ehr.cards(call()))
    sent = prefetch()
    for key in KEYS[1:]:
        entries = sent[key]["entry"]
        wrong = {**entries[0]["resource"], "id": f"wrong-{key.replace('_', '-')}", "status": "entered-in-error"}
        wrong["effectiveDateTime"] = NOW.isoformat()
        wrong["valueQuantity"] = entries[0]["resource"]["valueQuantity"] | {"value": 1.0}
        sent[key]["entry"] = [{"resource": wrong}, *entries[::2], *entries[1::2]]
    for entry in sent["temperature"]["entry"][1:]:
        quantity = entry["resource"]["valueQuantity"]
        assert quantity["code"] == "Cel"
        entry["resource"]["valueQuantity"] = {
            "value": round(quantity["value"] * 9 / 5 + 32, 2), "system": quantity["system"], "code": "[degF]",
        }  # fmt: skip
    assert told(ehr.cards(with_keys(**sent))) == expected


@pytest.mark.parametrize("user", ["Patient/demo-high", "RelatedPerson/1"])
def test_ch35_a_portal_shows_no_clinician_s_alert(ehr: Ehr, make_ehr: MakeEhr, user: str) -> None:
    body = call(context={"userId": user})
    assert ehr.cards(body) == []
    assert len(make_ehr(clinicians_only=False).cards(body)) == 1


@pytest.mark.parametrize("user", ["Practitioner/1", "PractitionerRole/1"])
def test_ch35_clinicians_see_it(ehr: Ehr, user: str) -> None:
    assert len(ehr.cards(call(context={"userId": user}))) == 1


def test_ch29_f26_nothing_at_all_is_no_low_risk(ehr: Ehr) -> None:
    for who in LEVELS:
        card = ehr.card(no_data(who))
        assert (card["indicator"], "not computed" in card["summary"]) == ("info", True)
