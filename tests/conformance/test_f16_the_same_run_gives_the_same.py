"""F16: the peer's result carries the time of day, and nothing of what it rests on: no backfill can be repeated."""

import ast
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.charts import (
    MEDIANS,
    ROOT,
    SICK,
    T,
    boosted_bundle,
    chart,
    dropped,
    observation,
    patient,
    result,
    results,
    rule_bundle,
    sepsis,
    value,
)

from screening.results.checks import own_identifier, same_content, superseded
from screening.results.risk_assessment import AssessmentContext, build, to_json_bytes

LIBRARY = ROOT / "plugins/screening"
CORE = sorted(
    [
        *[LIBRARY / f"{name}.py" for name in (
            "units", "times", "schema", "feature_rules", "observations", "features", "scoring", "outcome", "cohort",
            "queries", "staging", "stages",
        )],
        *(LIBRARY / "readers").glob("*.py"),
        *(LIBRARY / "results").glob("*.py"),
        *(LIBRARY / "model").glob("*.py"),
    ]
)  # fmt: skip

RUN = """
import hashlib, sys, tempfile
from pathlib import Path
from tests.charts import T, chart, observation, patient, rule_bundle, sepsis
from screening import staging
from screening.features import featurize
from screening.readers.fhir import read
from screening.scoring import score
content = [*chart("b"), *chart("a"), patient("c"), observation(who="c", hours=30), observation(who="c", status="x")]
kept = tempfile.TemporaryDirectory()
folder = Path(kept.name)
reading = read(content, sepsis(), patient_ids={"a", "b", "c"})
found = featurize(reading, sepsis(), T, patient_ids=["a", "b", "c"])
staging.save_reading(folder, reading)
staging.save_matrix(folder, found)
staging.save_results(folder, score(found, sepsis(), rule_bundle()))
whole = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
print(hashlib.sha256(whole).hexdigest(), sepsis().fingerprint())
kept.cleanup()
"""


def run(**environment: str) -> str:
    paths = os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=os.environ | {"PYTHONPATH": paths} | environment, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    return done.stdout


def test_f16_two_processes_in_two_zones_write_the_same_bytes() -> None:
    """Three runs of the peer make three resources, none of them equal."""
    one = run(PYTHONHASHSEED="1", TZ="UTC")
    other = run(PYTHONHASHSEED="2", TZ="Pacific/Kiritimati", LC_ALL="C")
    assert one == other
    assert len(one.split()[0]) == 64


@pytest.mark.parametrize("model", [rule_bundle(medians=MEDIANS), boosted_bundle()], ids=["rule", "boosted"])
def test_f16_a_repeat_is_equal_in_every_field(model: object) -> None:
    """The peer's occurrence is the moment of writing."""
    content = [
        *chart("a"),
        *chart("b", {name: SICK[name] for name in ("heart_rate", "respiratory_rate", "wbc")}),
        patient("c"),
    ]
    first = results(content, model)  # type: ignore[arg-type]
    for turned in (content, content[::-1]):
        assert results(turned, model) == first  # type: ignore[arg-type]
    assert {one.prediction_time for one in first} == {T}


def test_f16_a_backfill_run_late_is_the_run_that_would_have_been() -> None:
    """The peer has no "as of": what came in since then is in every backfill."""
    then = T - timedelta(hours=24)
    known = [patient(), *[observation(name, number, hours=26) for name, number in SICK.items()]]
    since = [
        observation(value=200.0, hours=3),
        observation("wbc", 400.0, hours=30, issued=(T - timedelta(hours=2)).isoformat()),
        observation("lactate", 49.0, hours=1, id="late"),
    ]
    in_time = result(known, t=then)
    assert result([*known, *since], t=then) == in_time
    assert result([*known, *since], t=T) != in_time


def test_f16_a_result_tells_what_it_rests_on() -> None:
    """The peer's resource has neither basis nor encounter, and names a model that it is not."""
    stay = {"reference": "Encounter/e"}
    content = [patient(meta={"versionId": "3"})]
    content += [
        observation(name, number, id=name[:3], meta={"versionId": "1"}, encounter=stay) for name, number in SICK.items()
    ]
    one = result(content)
    assert one.basis == (*(f"Observation/{name[:3]}/_history/1" for name in sorted(SICK)), "Patient/p/_history/3")
    assert one.encounter == "Encounter/e"
    assert [item.feature for item in one.inputs if item.count] == list(SICK)


CONTEXT = AssessmentContext.of(sepsis(), {"name": "rule", "version": "1", "sha256": "0" * 64, "synthetic": True})


def test_f16_what_is_written_is_a_function_of_what_was_asked() -> None:
    """Three runs of the peer write three resources: none has an identifier, and each has the time of writing."""
    content = [*chart("a"), *chart("b")]
    first = [build(one, CONTEXT) for one in results(content)]
    again = [build(one, CONTEXT) for one in results(content[::-1], cohort=["a", "b"])]
    assert [to_json_bytes(one) for one in first] == [to_json_bytes(one) for one in again]
    assert [same_content(one, other) for one, other in zip(first, again, strict=True)] == [True, True]
    assert first[0]["occurrenceDateTime"] == "2026-03-10T12:00:00Z"
    assert [item["reference"] for item in first[0]["basis"]] == sorted(
        [f"Observation/a-{name.replace('_', '-')}-1.0-{number}" for name, number in SICK.items()] + ["Patient/a"]
    )


def test_f16_another_question_is_another_resource_and_other_data_are_the_same_one() -> None:
    """The peer's resource cannot tell which patient, time, screen and model it answers."""
    mine = build(result(chart()), CONTEXT)
    others = [
        build(result(chart("q")), CONTEXT),
        build(result(chart(), t=T + timedelta(hours=1)), CONTEXT),
        *[
            build(result(chart()), replace(CONTEXT, **change))
            for change in (
                {"schema_name": "other"},
                {"schema_version": "2"},
                {"model_version": "2"},
                {"model_sha256": "1" * 64},
            )
        ],
    ]
    assert len({own_identifier(one) for one in [mine, *others]}) == 7
    later = build(result(chart(values=SICK | {"wbc": 9.0})), CONTEXT)
    assert own_identifier(later) == own_identifier(mine)
    assert not same_content(mine, later)
    assert superseded(later, mine | {"id": "7"})["status"] == "amended"


def test_f16_one_value_under_two_ids_or_in_two_versions_counts_once() -> None:
    """The peer averages whatever stands in the bundle, twice if it stands there twice."""
    twice = [observation(value=60.0), observation(value=60.0, id="copy"), observation(value=90.0, hours=2)]
    assert value([patient(), *twice]) == 75.0
    assert dropped([patient(), *twice]) == {("heart_rate", "duplicate"): 1}
    versions = [observation(value=v, id="o", meta={"versionId": str(v)}) for v in (70, 90)]
    for order in (versions, versions[::-1]):
        assert value([patient(), *order]) == 90.0


CLOCKS = {
    "now",
    "today",
    "utcnow",
    "time",
    "time_ns",
    "monotonic",
    "perf_counter",
    "fromtimestamp",
    "localtime",
    "gmtime",
}
OWNERS = {"datetime", "date", "time", "pd.Timestamp", "Timestamp", "pd", "dt"}


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_f16_nothing_on_the_road_to_a_score_reads_the_clock(path: Path) -> None:
    """The peer calls now() where it makes the result."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    read = [
        ast.unparse(call)
        for call in calls
        if isinstance(call, ast.Attribute) and call.attr in CLOCKS and ast.unparse(call.value) in OWNERS
    ]
    assert read == []
