"""The prefetch is sorted into data, nothing, not sent and gone wrong; what is broken or another's is never data."""

import json
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.charts import SICK, T, bundle, chart, observation, patient, schema_of, sepsis
from tests.unit.cds_hooks.hook_requests import hook_request

from cds_hooks.hook_request import HookRequest, parse
from cds_hooks.prefetch import Prefetch, sort_out
from cds_hooks.prefetch_templates import keys
from cds_hooks.refusals import Refusal
from screening.observations import Reading
from screening.readers.fhir import read

MARK = "MARK-of-the-value"
OBSERVED = [key for key in keys(sepsis()) if key != "patient"]
Json = dict[str, Any]


def request(prefetch: Json | None, who: str = "p") -> HookRequest:
    body = orjson.dumps(hook_request(prefetch, context={"patientId": who}))
    return parse(body, ("patient-view",), strict_instance=True)


def sorted_out(prefetch: Json | None, *, who: str = "p", match: bool = True, **more: Any) -> Prefetch:
    found = sort_out(
        request(prefetch, who), more.pop("schema", sepsis()), prediction_time=T, require_patient_match=match, **more
    )
    assert MARK not in repr(found)
    return found


def refused(prefetch: Json, **more: Any) -> str:
    with pytest.raises(Refusal) as caught:
        sorted_out(prefetch, **more)
    assert (caught.value.status, caught.value.diagnostics) == (400, "prefetch.patient, context.patientId")
    assert MARK not in caught.value.text
    return caught.value.text


def whole(**values: Any) -> Json:
    """Make a prefetch with all keys, as an EHR answers the templates; `values` replace some."""
    who, *readings = chart()
    return {"patient": who} | dict(zip(SICK, map(bundle, readings), strict=True)) | values


def reading(contents: Any) -> Reading:
    return read(contents, sepsis(), patient_ids=["p"])


def same(one: Reading, other: Reading) -> None:
    pd.testing.assert_frame_equal(one.observations, other.observations)
    pd.testing.assert_frame_equal(one.patients, other.patients)
    assert one.drops == other.drops


def outcome(*issues: Any, **more: Any) -> Json:
    told = [{"severity": severity, "code": code, "diagnostics": MARK} for severity, code in issues]
    return {"resourceType": "OperationOutcome", "issue": told, "text": {"div": MARK}} | more


def with_outcome(*resources: Json, said: Json) -> Json:
    found = bundle(*resources)
    found["entry"].append({"resource": said, "search": {"mode": "outcome"}})
    return found


def test_ch28_all_of_the_prefetch_is_data() -> None:
    found = sorted_out(whole())
    assert found == Prefetch("p", contents=found.contents)
    same(reading(found.contents), reading(chart()))


@pytest.mark.parametrize("count", range(len(OBSERVED) + 2))
def test_ch28_ch29_what_was_not_sent_is_to_be_fetched(count: int) -> None:
    sent = dict(list(whole().items())[:count])
    found = sorted_out(sent)
    assert found.absent == keys(sepsis())[count:]
    assert len(found.contents) == count
    assert (found.no_data, found.problems, found.partial) == (frozenset(), {}, {})


@pytest.mark.parametrize("sent", [None, {}])
def test_ch29_no_prefetch_at_all_is_all_to_be_fetched(sent: Json | None) -> None:
    assert sorted_out(sent) == Prefetch("p", absent=keys(sepsis()))


@pytest.mark.parametrize("nothing", [
    None, [], bundle(), {"resourceType": "Bundle", "type": "searchset"}, {"resourceType": "Bundle", "entry": None},
    {"resourceType": "Bundle", "type": "searchset", "total": 0},
    {"resourceType": "Bundle", "type": "collection", "entry": []},
    {"resourceType": "Bundle", "total": 0, "link": [{"relation": "self", "url": "https://ehr.example.org"}]},
])  # fmt: skip
@pytest.mark.parametrize("key", ["patient", "wbc"])
def test_ch29_null_and_an_empty_bundle_say_that_there_is_nothing(nothing: Any, key: str) -> None:
    found = sorted_out(whole(**{key: nothing}))
    assert found.no_data == {key}
    assert len(found.contents) == len(OBSERVED)
    assert (found.absent, found.problems, found.partial) == ((), {}, {})


@pytest.mark.parametrize("broken", [
    "text", "", 5, 0, 1.5, True, False, {}, {"id": "o"}, {"resourceType": 5}, {"resourceType": ["Observation"]},
    {"resource": observation("wbc")}, {"resourceType": "Patient", "id": "p"}, {"resourceType": "Binary", "data": MARK},
    [1], [None], ["x"], [[observation("wbc")]], [observation("wbc"), {}], [bundle(observation("wbc"))],
    {"resourceType": "Bundle", "entry": "x"}, {"resourceType": "Bundle", "entry": {"resource": observation("wbc")}},
    {"resourceType": "Bundle", "entry": [None]}, {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1"}]},
    {"resourceType": "Bundle", "entry": [{"resource": observation("wbc")}, {"resource": MARK}]},
    {"resourceType": "Bundle", "entry": [{"resource": {"id": "o", "status": "final"}}]},
    {"resourceType": "Bundle", "entry": [{"resource": bundle(observation("wbc"))}]},
    {"resourceType": "Bundle", "entry": [], "link": {"relation": "next", "url": "https://ehr.example.org"}},
    {"resourceType": "Bundle", "entry": [], "link": ["next"]}, bundle(observation("wbc")) | {"type": "batch-response"},
    bundle(observation("wbc")) | {"type": "history"}, bundle(observation("wbc")) | {"type": ["searchset"]},
])  # fmt: skip
def test_f26_ch32_what_is_broken_is_a_problem_of_its_key_and_never_data(broken: Any) -> None:
    found = sorted_out(whole(wbc=broken))
    assert list(found.problems) == ["wbc"]
    assert found.problems["wbc"].startswith("the EHR sent")
    assert (found.absent, found.no_data, found.partial) == ((), frozenset(), {})
    assert "wbc" not in set(reading(found.contents).observations["feature"])
    assert len(found.contents) == len(OBSERVED)


@pytest.mark.parametrize(("said", "words"), [
    (outcome(("error", "not-found")), "error not-found"),
    (outcome(("warning", "processing")), "warning processing"),
    (outcome(("information", "informational"), ("fatal", "security")), "fatal security, information informational"),
    (outcome(("error", MARK), ("error", "throttled")), "error unknown throttled"),
    (outcome((MARK, "not-found")), "which says nothing"),
    (outcome((["error"], {"a": 1})), "which says nothing"),
    (outcome(), "which says nothing"), ({"resourceType": "OperationOutcome"}, "which says nothing"),
    (outcome(issue=MARK), "which says nothing"),
])  # fmt: skip
@pytest.mark.parametrize("key", ["patient", "wbc"])
def test_ch30_an_outcome_in_place_of_data_is_a_problem(said: Json, words: str, key: str) -> None:
    found = sorted_out(whole(**{key: said}))
    assert found.problems == {key: f"the EHR sent an OperationOutcome ({words})"}
    assert (found.absent, found.no_data, found.partial) == ((), frozenset(), {})
    assert len(found.contents) == len(OBSERVED)


@pytest.mark.parametrize("said", [
    outcome(("error", "forbidden")), outcome(("fatal", "timeout")), outcome(("warning", "x"), ("error", "x")), outcome(),
    outcome((None, "x")), outcome((["warning"], "x")), outcome(issue=[1]), observation("wbc"),
])  # fmt: skip
def test_ch30_an_error_among_the_data_is_a_problem_and_the_rest_no_data(said: Json) -> None:
    found = sorted_out(whole(wbc=with_outcome(observation("wbc"), said=said)))
    assert list(found.problems) == ["wbc"]
    assert "among the data" in found.problems["wbc"]
    assert len(found.contents) == len(OBSERVED)


def test_ch30_a_warning_among_the_data_is_remarked_and_the_data_used() -> None:
    plain = sorted_out(whole())
    found = sorted_out(
        whole(wbc=with_outcome(observation("wbc", SICK["wbc"]), said=outcome(("warning", "suppressed"))))
    )
    assert found.remarks == {"wbc": "warning suppressed"}
    assert (found.problems, found.partial) == ({}, {})
    same(reading(found.contents), reading(plain.contents))
    bare = bundle(observation("wbc", SICK["wbc"]), outcome(("information", "informational")), mode=None)
    assert sorted_out(whole(wbc=bare)).remarks == {"wbc": "information informational"}


def test_ch30_a_warning_without_data_says_that_there_is_nothing() -> None:
    found = sorted_out(whole(wbc=with_outcome(said=outcome(("warning", "not-found")))))  # Epic's way to say so
    assert (found.no_data, found.remarks) == ({"wbc"}, {"wbc": "warning not-found"})


def wrapped(resources: list[Json], how: str) -> Any:
    if how == "list":
        return resources
    if how == "bare":
        return resources[0] if len(resources) == 1 else resources
    kind, _, mode = how.partition(" ")
    found = bundle(*resources, mode=mode or None) | {"type": kind, "total": len(resources)}
    for entry in found["entry"]:
        entry["fullUrl"] = f"https://ehr.example.org/fhir/{entry['resource']['resourceType']}/{entry['resource']['id']}"
    return found


HOW = st.sampled_from(["searchset match", "searchset", "collection", "list", "bare", "searchset include"])


@given(st.lists(HOW, min_size=7, max_size=7), st.integers(1, 3), st.booleans(), st.permutations(OBSERVED))
@settings(max_examples=30)
def test_ch32_ch34_however_it_is_wrapped_it_reads_as_from_the_server(
    hows: list[str], count: int, untyped: bool, order: list[str]
) -> None:
    readings = {key: [observation(key, SICK[key] + n, hours=1 + n) for n in range(count)] for key in OBSERVED}
    who = patient()
    sent = {key: wrapped(readings[key][::-1], how) for key, how in zip(order, hows[1:], strict=True)}
    sent["patient"] = wrapped([{k: v for k, v in who.items() if k != "resourceType" or not untyped}], "list")
    if hows[0] != "list":
        sent["patient"] = sent["patient"][0]
        if hows[0] != "bare":
            sent["patient"] = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": sent["patient"]}]}
    found = sorted_out(sent)
    assert found == Prefetch("p", contents=found.contents)
    same(reading(found.contents), reading([who, *(one for key in OBSERVED for one in readings[key])]))


def test_ch32_urns_of_a_collection_are_kept() -> None:
    sent = {
        "patient": bundle(patient()) | {"type": "collection"},
        "wbc": bundle(observation("wbc", subject={"reference": "urn:uuid:1"})) | {"type": "collection"},
    }
    sent["patient"]["entry"][0]["fullUrl"] = "urn:uuid:1"
    assert len(reading(sorted_out(sent).contents).observations) == 1


def test_the_code_decides_which_feature_it_is_and_not_the_key() -> None:
    sent = whole(wbc=bundle(observation("wbc", SICK["wbc"]), observation("heart_rate", 60.0, hours=2)))
    found = reading(sorted_out(sent).contents).observations
    assert sorted(found.loc[found["feature"] == "heart_rate", "value"]) == [60.0, SICK["heart_rate"]]
    same(reading(sorted_out(sent).contents), reading([*chart(), observation("heart_rate", 60.0, hours=2)]))


def test_keys_that_were_not_asked_for_are_not_looked_at() -> None:
    more = {"Wbc": bundle(observation("wbc", 99.0)), "WBC": MARK, "age": MARK, "user": {"resourceType": "Practitioner"}}
    foreign = {"Patient": patient("q"), "other": bundle(observation("heart_rate", 60.0))}
    assert sorted_out(whole() | more | foreign) == sorted_out(whole())
    assert sorted_out({"Wbc": None, "Patient": None}).absent == keys(sepsis())


@pytest.mark.parametrize("sent", [
    patient("q"), patient("q", name=[{"family": MARK}]), bundle(patient("q")), [patient("q")], {"id": "q", "gender": "male"},
    patient("P"), patient("Patient/p"), patient("p "),
])  # fmt: skip
def test_f15_ch33_another_patient_is_refused(sent: Any) -> None:
    refused(whole(patient=sent))


@pytest.mark.parametrize("match", [True, False])
@pytest.mark.parametrize("sent", [
    bundle(patient("q"), patient("p")), [patient("p"), patient("q")], patient(id=None), patient(id=""), patient(id=5),
    bundle(patient("p"), patient(id=None)), patient("../x"), patient("a b"), patient(".."),
    patient("x" * 65), patient(id=[MARK]),
])  # fmt: skip
def test_f15_ch33_two_patients_or_one_without_an_id_are_refused_whatever_is_set(sent: Any, match: bool) -> None:
    assert "Patient" in refused(whole(patient=sent), match=match)


def test_ch33_two_versions_of_one_patient_are_one() -> None:
    older = patient(meta={"versionId": "1"}, gender="female")
    found = sorted_out(whole(patient=[older, patient(meta={"versionId": "2"})]))
    assert list(reading(found.contents).patients["gender"]) == ["male"]


def test_ch33_without_the_guard_the_data_are_the_prefetched_patients() -> None:
    found = sorted_out(whole(), who="invented", match=False)
    assert found.patient_id == "p"
    assert sorted_out({"patient": None}, who="invented", match=False).patient_id == "invented"
    assert sorted_out({"wbc": None}, who="invented", match=False).patient_id == "invented"
    assert sorted_out({"patient": outcome()}, who="invented", match=False).patient_id == "invented"


def test_ch33_a_patient_key_without_a_patient_is_a_problem_and_no_data() -> None:
    found = sorted_out(whole(patient=bundle(observation("wbc", 99.0))))
    assert found.problems == {"patient": "the EHR sent other resources and no Patient"}
    assert 99.0 not in set(reading(found.contents).observations["value"])


@pytest.mark.parametrize("more", [{"entry": []}, {"resource": patient()}])
def test_ch32_only_a_patient_may_lack_its_type(more: Json) -> None:
    assert sorted_out({"patient": {"id": "p"}}).contents == (patient(gender=None, birthDate=None),)
    found = sorted_out({"patient": {"id": "p"} | more})
    assert (found.problems, found.contents) == ({"patient": "the EHR sent a resource without its type"}, ())


def test_ch33_foreign_observations_reach_the_reader_which_drops_and_reports_them() -> None:
    found = reading(sorted_out(whole(wbc=bundle(observation("wbc", 99.0, who="q")))).contents)
    assert found.drops[("", "wbc", "foreign_subject")] == 1
    assert "wbc" not in set(found.observations["feature"])


KINDS = """
diabetes: {fhir_resource: Condition, code: "44054006", code_system: "http://snomed.info/sct"}
hours_in: {fhir_resource: Encounter, field: period, transform: hours_since_admission}
"""


def test_every_kind_of_feature_has_its_key() -> None:
    condition = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}}
    schema = schema_of(KINDS)
    found = sorted_out({"patient": patient(), "diabetes": condition, "hours_in": None}, schema=schema)
    assert found.contents == (patient(), condition)
    assert found.no_data == {"hours_in"}
    assert list(sorted_out({"diabetes": observation()}, schema=schema).problems) == ["diabetes"]


@pytest.mark.parametrize("name", ["high", "moderate", "low"])
def test_ch08_the_tutorials_files_are_taken_as_they_are(name: str, real_data: Path) -> None:
    sent = json.loads((real_data / "healthchain-demo-patients" / f"{name}_risk_patient.json").read_bytes())
    found = sorted_out(sent, who="invented", match=False)
    assert found == Prefetch(sent["patient"]["id"], contents=found.contents, absent=("lactate",))
    features = set(read(found.contents, sepsis(), patient_ids=[found.patient_id]).observations["feature"])
    assert features == set(OBSERVED) - {"lactate"}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
    | st.sampled_from(["Bundle", "Patient", "Observation", "OperationOutcome", "next", "outcome", "searchset", "error"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["resourceType", "type", "entry", "resource", "search", "mode", "link", "relation", "url", "total",
                         "id", "issue", "severity", "code", "effectiveDateTime", "fullUrl", "subject"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(keys(sepsis())), ANYTHING, max_size=3), st.booleans())
@settings(max_examples=150)
def test_ch32_no_value_raises_anything_but_a_refusal_and_each_key_is_accounted_for(sent: Json, match: bool) -> None:
    try:
        found = sorted_out(sent, match=match)
    except Refusal:
        return
    told = [*found.absent, *found.no_data, *found.problems]
    data = set(keys(sepsis())) - set(told)
    assert len(told) == len(set(told))
    assert len(found.contents) <= len(data)
    assert set(found.partial) | set(found.remarks) <= data | found.no_data
    reading(found.contents)
