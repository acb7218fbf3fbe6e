"""What `stages.fetch` makes of each answer of the server: nobody is lost, and one costs nobody else."""

from pathlib import Path
from typing import Any

import pytest
from tests.charts import BASE, T, chart, patient, sepsis

from screening import stages, staging
from screening.errors import FhirFatalError, FhirGone, FhirNotFound, FhirTemporaryError
from screening.fhir_client.exchange import Answer

Answers = dict[str, list[Answer]]
"""By patient: of the read, then of the search."""


class Server:
    """Answers the questions of each patient in their order."""

    def __init__(self, answers: Answers) -> None:
        self.answers = {who: iter(mine) for who, mine in answers.items()}

    def get_each(self, urls: list[str]) -> list[Answer]:
        return [next(self.answers[url.removeprefix("Patient/").split("patient=")[-1].split("&")[0]]) for url in urls]


def well(who: str) -> list[Answer]:
    return [Answer(200, [patient(who)]), Answer(200, [one for one in chart(who) if one["resourceType"] != "Patient"])]


def failing(status: int, error: Any) -> Answer:
    return Answer(status, error=error)


def outcomes(answers: Answers, folder: Path, *, tolerate: bool = False) -> dict[str, tuple[str, str, int]]:
    """Return what was settled of each patient, why, and how many of its features were observed."""
    ids = list(answers)
    stages.fetch(Server(answers), sepsis(), ids, T, folder, base_url=BASE, tolerate=tolerate)  # type: ignore[arg-type]
    stages.featurize(folder, sepsis(), ids, T)
    found = staging.load_matrix(folder)
    seen = found.cells[found.cells["count"] > 0].groupby("patient_id").size().to_dict()
    return {
        row["patient_id"]: (row["standing"], row["reason"], seen.get(row["patient_id"], 0))
        for row in found.rows.to_dict("records")
    }


BROKEN: dict[str, tuple[list[Answer], str, str]] = {
    "unknown": ([failing(404, FhirNotFound("no", status=404)), Answer(200)], "not_found", "no Patient resource"),
    "deleted": ([failing(410, FhirGone("no", status=410)), Answer(200)], "failed", r"deleted on the server (410)"),
    "another": (
        [Answer(200, [patient("q")]), Answer(200)],
        "failed",
        "answered the read of the Patient with something",
    ),
    "no Patient": ([Answer(200, [{"resourceType": "Group", "id": "b"}]), Answer(200)], "failed", "something else"),
    "nothing": ([Answer(200), Answer(200)], "failed", "something else"),
    "refused": ([well("b")[0], failing(403, FhirFatalError("GET Observation: 403"))], "failed", "GET Observation: 403"),
    "search gone": (
        [well("b")[0], failing(404, FhirNotFound("GET Observation: 404"))],
        "failed",
        "GET Observation: 404",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_patient_in_trouble_is_told_and_the_other_is_read(tmp_path: Path, name: str) -> None:
    answers, standing, reason = BROKEN[name]
    found = outcomes({"a": well("a"), "b": answers}, tmp_path)
    assert found["a"] == outcomes({"a": well("a")}, tmp_path / "alone")["a"]
    assert found["a"][2] > 2
    assert (found["b"][0], found["b"][2]) == (standing, 0)
    assert reason in found["b"][1]


@pytest.mark.parametrize("name", BROKEN)
def test_who_cannot_be_read_has_no_data_not_even_in_another_s_answer(tmp_path: Path, name: str) -> None:
    """A server that gives what was not asked for, an include or a search that it ignored, must not cost the batch."""
    answers, standing, _ = BROKEN[name]
    generous = well("a")
    generous[1].resources.extend(chart("b"))
    found = outcomes({"a": generous, "b": answers}, tmp_path)
    assert found["a"][:2] == ("", "")
    assert (found["b"][0], found["b"][2]) == (standing, 0)


def test_a_hiccup_is_raised_until_the_last_try(tmp_path: Path) -> None:
    busy = failing(503, FhirTemporaryError("busy", status=503))
    with pytest.raises(FhirTemporaryError):
        outcomes({"a": well("a"), "b": [well("b")[0], busy]}, tmp_path)
    assert not list(tmp_path.iterdir())
    found = outcomes({"a": well("a"), "b": [well("b")[0], busy]}, tmp_path, tolerate=True)
    assert found["a"][0] == ""
    assert found["b"] == ("failed", "a request kept failing with HTTP 503", 0)


def test_the_stage_run_again_overwrites_its_own(tmp_path: Path) -> None:
    first = outcomes({"a": well("a"), "b": well("b")}, tmp_path)
    assert outcomes({"a": well("a")}, tmp_path) == {"a": first["a"]}
