"""A Condition, a medication or a count that was not obtained is missing; it is 0 only where the EHR said so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from tests.charts import LOINC, MEDIANS, SICK, WEIGHTS, WELL, chart, observation
from tests.unit.cds_hooks.sidecars import SCHEMA_FILE, Json, asked, card, post, published, running

NAMES = (*WEIGHTS, "weakened", "cultures")
SNOMED, CODE = "http://snomed.info/sct", "234532001"
MORE = f"""
  weakened: {{fhir_resource: Condition, codes: [{{system: "{SNOMED}", code: "{CODE}"}}], display: Weakened}}
  cultures: {{fhir_resource: Observation, codes: [{{system: "{LOINC}", code: 600-7}}], aggregate: count, display: Cultures}}
"""
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
CONDITION = {
    "resourceType": "Condition", "id": "c", "code": {"coding": [{"system": SNOMED, "code": CODE}]},
    "subject": {"reference": "Patient/p"}, "recordedDate": "2025-01-01T00:00:00Z",
}  # fmt: skip


@pytest.fixture(scope="module")
def schema_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schemas") / "sepsis.yaml"
    path.write_text(SCHEMA_FILE.read_text().rstrip() + MORE)
    return path


@pytest.fixture(scope="module")
def app(schema_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Its model takes a missing value."""
    models = tmp_path_factory.mktemp("models")
    published(models, "1", -1.0, names=NAMES)
    with running(tmp_path_factory.mktemp("state"), models, schemas=schema_file) as made:
        yield made


@pytest.fixture(scope="module")
def strict(schema_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Its model says that it takes none."""
    models = tmp_path_factory.mktemp("models")
    published(models, "1", -1.0, names=NAMES, imputation=MEDIANS, handles_missing=False)
    with running(tmp_path_factory.mktemp("state"), models, schemas=schema_file) as made:
        yield made


def body(weakened: Any = None, values: dict[str, float] | None = None, **more: Any) -> Json:
    made = asked(chart("p", values))
    made["prefetch"] |= {"weakened": weakened, "cultures": None} | more
    return made


def row(found: Json, name: str) -> str:
    (line,) = [line for line in found["detail"].splitlines() if line.startswith(f"| {name} |")]
    return str(line)


def test_ch29_null_says_that_there_is_none(app: Flask) -> None:
    found = card(app.test_client(), body())
    assert row(found, "Weakened") == "| Weakened | 0 | – | – | – |"
    assert row(found, "Cultures") == "| Cultures | 0 | – | – | – |"
    assert "Preliminary" not in found["detail"]


def test_ch30_an_error_does_not_say_that_there_is_none(app: Flask) -> None:
    found = card(app.test_client(), body(OUTCOME, cultures=OUTCOME))
    assert row(found, "Weakened").startswith(
        "| Weakened | none | – | – | **imputed** by the model itself; the EHR sent an"
    )
    assert row(found, "Cultures").startswith(
        "| Cultures | none | – | – | **imputed** by the model itself; the EHR sent an"
    )
    assert "2 of 10 inputs not observed" in found["detail"]


def test_ch28_what_was_not_sent_does_not_say_that_there_is_none(app: Flask) -> None:
    sent = body()
    del sent["prefetch"]["weakened"], sent["prefetch"]["cultures"]
    found = card(app.test_client(), sent)
    for name in ("Weakened", "Cultures"):
        assert row(found, name).startswith(f"| {name} | none | – | – | **imputed** by the model itself; not sent")


def test_ch31_a_part_in_which_there_is_none_does_not_say_that_there_is_none(app: Flask) -> None:
    page = {"resourceType": "Bundle", "type": "searchset", "total": 3, "entry": []}
    assert "**imputed**" in row(card(app.test_client(), body(page)), "Weakened")


def test_what_was_found_counts_by_whichever_key_it_came(app: Flask) -> None:
    culture = observation("lactate", 1.0, id="k", code={"coding": [{"system": LOINC, "code": "600-7"}]})
    sent = body([CONDITION, culture])
    del sent["prefetch"]["cultures"]
    found = card(app.test_client(), sent)
    assert row(found, "Weakened").startswith("| Weakened | 1 |")
    assert row(found, "Cultures").startswith("| Cultures | 1 |")


def test_ch41_a_model_that_takes_no_missing_value_gives_no_score(strict: Flask) -> None:
    assert post(strict.test_client(), body(values=WELL)).json == {"cards": []}
    sent = body(values=WELL)
    del sent["prefetch"]["weakened"]
    answer = post(strict.test_client(), sent)
    assert answer.status_code == 412
    assert answer.json["issue"][0]["diagnostics"].startswith("weakened: not sent")


def test_ch42_nor_where_the_ehr_sent_an_error(strict: Flask) -> None:
    found = card(strict.test_client(), body(OUTCOME, values=SICK))
    assert found["summary"] == "Sepsis risk not computed: missing Weakened"
    assert "This is not a low risk." in found["detail"]


def test_ch41_what_could_not_be_scored_anyhow_is_told_and_not_412(strict: Flask) -> None:
    sent = body(OUTCOME, values=SICK)
    del sent["prefetch"]["cultures"]
    assert "missing Weakened" in card(strict.test_client(), sent)["summary"]
