"""The summary of a run: its counts add up to the cohort, whatever happened."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.outcome import Outcome
from screening.results.summary import NAMED, Line, Summary, markdown, summarize

LINES = [
    Line("a", "scored", (), 0.91, "high", ("lactate",), "RiskAssessment/1", "created", "2026-03-10T12:00:00+00:00"),
    Line("b", "scored", (), 0.11, "low", ("lactate", "wbc"), "RiskAssessment/2", "unchanged"),
    Line("c", "scored", (), 0.5, "moderate", (), "", "dry_run"),
    Line("d", "insufficient_data", ("lactate", "wbc")),
    Line("e", "insufficient_data", ("lactate",)),
    Line("f", "excluded", ("deceased before the prediction time",)),
    Line("g", "not_found", ("no Patient resource of this id",)),
    Line("h", "failed", ("a request was refused with HTTP 403",)),
]
COHORT = list("abcdefghi")


def run(lines: Any = LINES, cohort: Any = COHORT, **more: Any) -> Summary:
    given: dict[str, Any] = {
        "run": "manual__1", "schema": "sepsis 1.0.0", "model": "sepsis 2", "prediction_time": "2026-03-10T12:00:00+00:00",
        "drops": Counter({"wbc: no_unit": 2, "heart_rate: status": 5, "lactate: comparator": 2}), "requests": 42,
    }  # fmt: skip
    return summarize(lines, cohort, **(given | more))


def test_the_counts() -> None:
    found = run()
    assert found.cohort == 9
    assert found.outcomes == {"scored": 3, "insufficient_data": 2, "excluded": 1, "not_found": 1, "failed": 2}
    assert found.risk_levels == {"low": 1, "moderate": 1, "high": 1}
    assert found.missing == {"lactate": 2, "wbc": 1}
    assert found.imputed == {"lactate": 2, "wbc": 1}
    assert found.writes == {"created": 1, "dry_run": 1, "unchanged": 1}
    assert list(found.drops.items()) == [("heart_rate: status", 5), ("lactate: comparator", 2), ("wbc: no_unit", 2)]
    assert found.failed_fraction == pytest.approx(2 / 9)


def test_a_patient_whose_batch_did_not_finish_is_failed_and_named() -> None:
    assert run().lines[-1] == Line("i", Outcome.FAILED, ("its batch did not finish",))
    nothing = run(lines=[])
    assert nothing.outcomes == {"scored": 0, "insufficient_data": 0, "excluded": 0, "not_found": 0, "failed": 9}
    assert nothing.failed_fraction == 1.0


def test_the_lines_stand_in_the_order_of_the_cohort() -> None:
    assert [line.patient_id for line in run(reversed(LINES)).lines] == COHORT
    assert run(reversed(LINES)) == run()


def test_the_reasons_of_the_excluded_and_failed_are_no_missing_features() -> None:
    assert set(run().missing) == {"lactate", "wbc"}


@given(st.lists(st.tuples(st.sampled_from(list(Outcome)), st.booleans()), max_size=30))
def test_the_outcomes_add_up_to_the_cohort(found: list[tuple[Outcome, bool]]) -> None:
    cohort = [f"p{n}" for n in range(len(found))]
    lines = [Line(who, outcome.value) for who, (outcome, finished) in zip(cohort, found, strict=True) if finished]
    made = run(lines, cohort)
    assert sum(made.outcomes.values()) == made.cohort == len(cohort)
    assert set(made.outcomes) == {outcome.value for outcome in Outcome}
    assert 0 <= made.failed_fraction <= 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([LINES[0], LINES[0]], "Patient/a has two results in run manual__1"),
        ([Line("stranger", "scored")], r"1 result\(s\) of run manual__1 are not of its cohort"),
        ([Line("a", "Scored")], "results of no known outcome: Scored"),
        ([Line("a", "")], "results of no known outcome"),
    ],
)
def test_what_would_be_summed_over_is_refused(lines: list[Line], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(lines)


def test_as_json_is_plain_and_whole() -> None:
    found = run(seconds=12.5, unusable=2)
    body = json.loads(json.dumps(found.as_json()))
    assert body["outcomes"]["scored"] == 3
    assert (body["seconds"], body["unusable_cohort_entries"], body["requests"]) == (12.5, 2, 42)
    assert [line["patient_id"] for line in body["lines"]] == COHORT
    assert body["lines"][0]["probability"] == 0.91
    assert body["lines"][8]["outcome"] == "failed"


class TestMarkdown:
    def test_who_was_not_screened_and_why(self) -> None:
        text = markdown(run(unusable=2, seconds=12.4))
        assert text.startswith("# sepsis 1.0.0: 9 patients as of 2026-03-10T12:00:00+00:00\n")
        assert "Run `manual__1`, model sepsis 2, 42 requests to the server, 12 s." in text
        assert "| scored | 3 |" in text
        assert "| **cohort** | **9** |" in text
        assert "| Patient/f | excluded | deceased before the prediction time |" in text
        assert "| Patient/i | failed | its batch did not finish |" in text
        assert "| Patient/d | insufficient_data | lactate, wbc |" in text
        assert "**2 entries of the cohort name no patient of this server, or are counted by it and not given" in text
        assert text.endswith("Research software, not a medical device.\n")
        assert text.index("## Not screened") < text.index("## Insufficient data")

    def test_each_table_says_what_it_counts(self) -> None:
        heads = re.findall(r"^\| ([^|]+) \| (patients|values) \|$", markdown(run()), re.MULTILINE)
        assert heads == [
            ("outcome", "patients"), ("risk level", "patients"), ("missing feature", "patients"),
            ("imputed feature", "patients"), ("RiskAssessments", "patients"), ("values dropped because", "values"),
        ]  # fmt: skip

    def test_nobody_scored_is_named_beside_a_number(self) -> None:
        text = markdown(run())
        assert "0.91" not in text
        assert not re.search(r"Patient/[abc]\b", text)

    def test_what_there_is_none_of_is_left_out(self) -> None:
        text = markdown(run(LINES[:3], ["a", "b", "c"], drops=Counter()))
        for absent in (
            "Not screened",
            "Insufficient data",
            "missing feature",
            "dropped because",
            "entries of the cohort",
            " s.",
        ):
            assert absent not in text
        assert "| failed | 0 |" in text

    def test_many_are_cut_and_the_cut_is_told(self) -> None:
        cohort = [f"p{n}" for n in range(NAMED + 5)]
        text = markdown(run([Line(who, "failed", ("x",)) for who in cohort], cohort))
        assert text.count("| Patient/") == NAMED
        assert "and 5 more; the JSON names all." in text
        assert f"| failed | {NAMED + 5} |" in text
