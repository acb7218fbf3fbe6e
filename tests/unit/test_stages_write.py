"""What `stages.write` does with each answer of the server."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from screening import stages, staging
from screening.errors import FhirFatalError, FhirTemporaryError
from screening.feature_matrix import FeatureMatrix
from screening.features import featurize
from screening.fhir_client.exchange import Answer
from screening.observations import Observations, Reading
from screening.outcome import Input, Outcome, PatientResult, RiskLevel
from screening.results.risk_assessment import AssessmentContext, build
from screening.schema import Coding, parse_schema

AT = datetime(2026, 3, 1, tzinfo=UTC)
CONTEXT = AssessmentContext("s", "1", Coding(system="urn:x", code="y"), "m", "1", "a" * 64, synthetic=True)
SCHEMA = parse_schema(
    'name: s\nversion: "1"\nfeatures:\n  hr: {fhir_resource: Observation, code: a, code_system: b, unit: /min}\n'
)


def scored(patient_id: str, probability: float = 0.5) -> PatientResult:
    given = (Input("hr", "Heart rate", "/min", 80.0, AT, 1),)
    return PatientResult(
        patient_id, Outcome.SCORED, (), AT, probability, RiskLevel.MODERATE, given, {"hr": 0.1}, ("Observation/o",)
    )


def empty_matrix() -> FeatureMatrix:
    return featurize(Reading(Observations.of_rows([]), []), SCHEMA, AT)


@dataclass
class Server:
    """Answers every create with the same, and remembers the updates."""

    answer: Answer
    updated: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    created: list[dict[str, Any]] = field(default_factory=list)

    def create_each(self, resources: list[dict[str, Any]], keys: list[str]) -> list[Answer]:
        assert len(resources) == len(keys)
        self.created += resources
        return [self.answer for _ in resources]

    def update(self, resource: dict[str, Any], if_match: str) -> Answer:
        self.updated.append((resource, if_match))
        return Answer(200, [resource], etag='W/"2"', location=f"RiskAssessment/{resource['id']}")


def written(server: Server, folder: Path, *, tolerate: bool = False) -> Any:
    staging.save_results(folder, [scored("p")])
    staging.save_matrix(folder, empty_matrix())
    lines, _ = stages.write(server, folder, CONTEXT, tolerate=tolerate)  # type: ignore[arg-type]
    return lines[0]


def theirs(**changes: Any) -> dict[str, Any]:
    return build(scored("p"), CONTEXT) | {"id": "r", "meta": {"versionId": "1"}} | changes


def test_new_is_created_under_the_server_s_id(tmp_path: Path) -> None:
    line = written(Server(Answer(201, [theirs()], location="RiskAssessment/r")), tmp_path)
    assert (line.outcome, line.write, line.resource) == ("scored", "created", "RiskAssessment/r")


def test_the_same_is_left_alone(tmp_path: Path) -> None:
    server = Server(Answer(200, [theirs()], etag='W/"1"', location="RiskAssessment/r"))
    assert written(server, tmp_path).write == "unchanged"
    assert server.updated == []


def test_other_content_is_amended_in_the_version_that_was_found(tmp_path: Path) -> None:
    other = build(scored("p", 0.6), CONTEXT) | {"id": "r"}
    server = Server(Answer(200, [other], etag='W/"1"', location="RiskAssessment/r"))
    assert written(server, tmp_path).write == "amended"
    ((resource, version),) = server.updated
    assert (resource["id"], resource["status"], version) == ("r", "amended", 'W/"1"')


def test_a_version_that_only_meta_tells_will_do(tmp_path: Path) -> None:
    other = build(scored("p", 0.6), CONTEXT) | {"id": "r", "meta": {"versionId": "7"}}
    server = Server(Answer(200, [other]))
    assert written(server, tmp_path).write == "amended"
    assert server.updated[0][1] == "7"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"status": "entered-in-error"}, "retracted"),
        ({"prediction": [], "meta": {}}, "the server tells no version of its RiskAssessment"),
    ],
)
def test_what_must_not_be_amended_fails_the_patient_alone(tmp_path: Path, found: dict[str, Any], words: str) -> None:
    server = Server(Answer(200, [theirs(**found)]))
    line = written(server, tmp_path)
    assert (line.outcome, line.probability, line.risk_level, line.write) == ("failed", None, None, "")
    assert words in line.detail[0]
    assert server.updated == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(422, "POST /fhir/RiskAssessment: 422 (invariant)"), (412, "412, several have this identifier; keep one")],
)
def test_a_refusal_fails_the_patient_with_the_words_of_the_client(tmp_path: Path, status: int, words: str) -> None:
    line = written(Server(Answer(status, error=FhirFatalError(words, status=status))), tmp_path)
    assert (line.outcome, line.resource) == ("failed", "")
    assert line.detail == (f"RiskAssessment not written: {words}",)


def test_what_is_not_fit_is_not_sent_and_costs_nobody_else(tmp_path: Path) -> None:
    server = Server(Answer(201, [theirs()], location="RiskAssessment/r"))
    staging.save_results(tmp_path, [replace(scored("bad"), basis=("Medication/1",)), scored("p")])
    staging.save_matrix(tmp_path, empty_matrix())
    bad, good = stages.write(server, tmp_path, CONTEXT)[0]  # type: ignore[arg-type]
    assert (bad.patient_id, bad.outcome, bad.resource) == ("bad", "failed", "")
    assert bad.detail == ("RiskAssessment not fit to be written: basis",)
    assert (good.outcome, good.write) == ("scored", "created")
    assert [one["subject"]["reference"] for one in server.created] == ["Patient/p"]


def test_a_hiccup_is_raised_until_the_last_try(tmp_path: Path) -> None:
    server = Server(Answer(503, error=FhirTemporaryError("busy", status=503)))
    with pytest.raises(FhirTemporaryError):
        written(server, tmp_path)
    assert written(server, tmp_path, tolerate=True).outcome == "failed"


def test_a_dry_run_builds_and_checks_and_asks_nobody(tmp_path: Path) -> None:
    staging.save_results(tmp_path, [scored("p"), PatientResult("q", Outcome.INSUFFICIENT_DATA, ("hr",))])
    staging.save_matrix(tmp_path, empty_matrix())
    lines, _ = stages.write(None, tmp_path, CONTEXT)
    assert [(line.patient_id, line.outcome, line.write) for line in lines] == [
        ("p", "scored", "dry_run"),
        ("q", "insufficient_data", ""),
    ]
