"""Every rule of the gate refuses, passes at its limit and says why; `allow_tiny` waives evidence and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.charts import ROOT
from tests.unit.training.evaluation_example import example, undefined

from screening.training.gate import judge as module
from screening.training.gate.comparison import Comparison, Standing
from screening.training.gate.judge import Leaks, Service, judge
from screening.training.gate.leaks import ShuffledLabels
from screening.training.gate.paired import Paired
from screening.training.gate.verdict import Kind, Rule, Ruling, Verdict
from screening.training.plan import TrainingPlan, load_plan

EVIDENCE = (
    "positives", "better than chance", "calibration slope", "calibration intercept", "calibration error", "subgroups",
    "AUPRC against the champion", "F1 against the champion",
)  # fmt: skip
INTEGRITY = ("real before invented", "shuffled labels", "later values", "too good", "latency", "schema")
FIT = ShuffledLabels((0.51, 0.49), 0.02)
HOLDS = Leaks(FIT, True)
SERVES = Service(2.0, "a" * 64, "a" * 64)
REAL, INVENTED = (Standing("1.2.0", "c" * 64, synthetic, False) for synthetic in (False, True))
TINY = Standing("1.1.0", "d" * 64, False, True)


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    return load_plan(ROOT / "include" / "training" / "sepsis.yaml")


def pair(new: float, champion: float, shares: float = 1.0, limit: float = 0.0) -> Paired:
    """Return a figure of which such a share of a thousand resamples is just at the limit, and the others below."""
    at = round(shares * 1000)
    resampled = np.concatenate([np.full(at, -limit), np.full(1000 - at, -limit - 1e-6)])
    return Paired(new, champion, new - champion, -0.05, 0.05, resampled)


def compared(champion: Standing = REAL, **figures: Paired) -> Comparison:
    return Comparison(champion, figures={"auprc": pair(0.4, 0.39), "f1": pair(0.4, 0.39), **figures})


def evaluation(**changed: Any) -> dict[str, Any]:
    return {**example(synthetic=False), **changed}


def with_part(part: str, **changed: Any) -> dict[str, Any]:
    found = evaluation()
    return {**found, "parts": {**found["parts"], part: {**found["parts"][part], **changed}}}


def calibrated(name: str, value: float | None) -> dict[str, Any]:
    told = {**example()["parts"]["test"]["calibration"], name: {"value": value, "low": 0.0, "high": 2.0}}
    return with_part("test", calibration=told)


def ask(
    plan: TrainingPlan, given: dict[str, Any] | None = None, comparison: Comparison | None = None,
    leaks: Leaks = HOLDS, service: Service = SERVES, *, allow_tiny: bool = False,
) -> Verdict:  # fmt: skip
    return judge(
        given or evaluation(),
        compared() if comparison is None else comparison,
        leaks,
        service,
        plan,
        allow_tiny=allow_tiny,
    )


def rule(verdict: Verdict, name: str) -> Rule:
    return next(one for one in verdict.rules if one.rule == name)


def test_a_good_model_passes_every_rule(plan: TrainingPlan) -> None:
    verdict = ask(plan)
    assert [one.rule for one in verdict.of(Ruling.PASSED)] == [one.rule for one in verdict.rules]
    assert verdict.passed
    assert not verdict.tiny
    assert verdict.champion == ("1.2.0", "c" * 64)
    assert verdict.summary() == "the gate: passed"


def test_the_rules_are_those_of_the_table_in_their_order(plan: TrainingPlan) -> None:
    kinds = {one.rule: one.kind for one in ask(plan).rules}
    assert kinds == {**dict.fromkeys(EVIDENCE, Kind.EVIDENCE), **dict.fromkeys(INTEGRITY, Kind.INTEGRITY)}
    rows = re.findall(r"^\| ([^|]+) \| (evidence|integrity) \|", module.__doc__ or "", re.M)
    told = {
        "calibration slope, intercept, error": 3,
        "AUPRC and F1 against the champion": 2,
    }
    assert sum(told.get(name, 1) for name, _ in rows) == len(kinds)
    assert all(kinds[name] == kind for name, kind in rows if name not in told)


def subgroup(auroc: float | None, positives: int = 20) -> dict[str, Any]:
    whole = {"value": 0.8, "low": 0.7, "high": 0.9}  # 0.8 - 0.7 is a little more than 0.1
    row = {"group": "sex", "level": "female", "stays": 400, "positives": positives, "calibration_in_the_large": 0.0}
    given = with_part("test", auroc=whole)
    return {**given, "subgroups": [{**row, "auroc": {"value": auroc, "low": None, "high": None}}]}


def auroc(low: float | None, value: float | None = 0.6) -> dict[str, Any]:
    return {**with_part("test", auroc={"value": value, "low": low, "high": 0.7}), "subgroups": []}


def auprc_at(share: float, limit: float = 0.01) -> Comparison:
    return compared(auprc=pair(0.35, 0.36, share, limit))


def facts(given: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"given": given, **more}


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    # case: rule, refused, at the limit, what the words of the refusal hold
    "few untouched": (
        "positives",
        facts(with_part("test", positives=19), comparison=compared(TINY)),
        facts(with_part("test", positives=20)),
        ("19 positive", "20 needed", "take more patients"),
    ),
    "few to learn from": (
        "positives",
        facts(with_part("train", positives=99), comparison=compared(TINY)),
        facts(with_part("train", positives=100)),
        ("99 to learn from", "100 needed", "take more patients"),
    ),
    "chance": (
        "better than chance",
        facts(auroc(0.5)),
        facts(auroc(0.500001)),
        ("AUROC 0.6", "bound 0.5", "above 0.5", "no better"),
    ),
    "chance, undefined": (
        "better than chance",
        facts(auroc(None, None)),
        facts(auroc(0.51)),
        ("AUROC", "undefined", "0.5", "no evidence"),
    ),
    "too extreme": (
        "calibration slope",
        facts(calibrated("slope", 0.7999)),
        facts(calibrated("slope", 0.8)),
        ("slope 0.7999", "0.8 to 1.25", "too extreme"),
    ),
    "too moderate": (
        "calibration slope",
        facts(calibrated("slope", 1.2501)),
        facts(calibrated("slope", 1.25)),
        ("slope 1.25", "0.8 to 1.25", "too moderate"),
    ),
    "slope undefined": (
        "calibration slope",
        facts(calibrated("slope", None)),
        facts(calibrated("slope", 1.0)),
        ("slope is undefined", "0.8 to 1.25", "no evidence"),
    ),
    "risks too low": (
        "calibration intercept",
        facts(calibrated("intercept", 0.2001)),
        facts(calibrated("intercept", 0.2)),
        ("intercept 0.2001", "limit 0.2", "too low"),
    ),
    "risks too high": (
        "calibration intercept",
        facts(calibrated("intercept", -0.2001)),
        facts(calibrated("intercept", -0.2)),
        ("intercept -0.2001", "limit 0.2", "too high"),
    ),
    "risks too low as a whole": (
        "calibration intercept",
        facts(calibrated("in_the_large", 0.2001)),
        facts(calibrated("in_the_large", 0.2)),
        ("in the large 0.2001", "limit 0.2", "the risks it tells are too low"),
    ),
    "risks too high as a whole": (
        "calibration intercept",
        facts(calibrated("in_the_large", -0.2001)),
        facts(calibrated("in_the_large", -0.2)),
        ("in the large -0.2001", "limit 0.2", "the risks it tells are too high"),
    ),
    "as a whole undefined": (
        "calibration intercept",
        facts(calibrated("in_the_large", None)),
        facts(calibrated("in_the_large", 0.0)),
        ("intercept is undefined", "0.2", "no evidence"),
    ),
    "intercept undefined": (
        "calibration intercept",
        facts(calibrated("intercept", None)),
        facts(calibrated("intercept", 0.0)),
        ("intercept is undefined", "0.2", "no evidence"),
    ),
    "wrong risks": (
        "calibration error",
        facts(calibrated("ece", 0.0501)),
        facts(calibrated("ece", 0.05)),
        ("differ by 0.0501", "limit 0.05", "not the risk"),
    ),
    "error undefined": (
        "calibration error",
        facts(calibrated("ece", None)),
        facts(calibrated("ece", 0.0)),
        ("error is undefined", "0.05", "no evidence"),
    ),
    "a subgroup worse": (
        "subgroups",
        facts(subgroup(0.6999)),
        facts(subgroup(0.7)),
        ("AUROC 0.6999", "sex female", "0.8 in all", "0.1 is allowed", "worse"),
    ),
    "a subgroup undefined": (
        "subgroups",
        facts(subgroup(None)),
        facts(subgroup(0.7)),
        ("sex female", "undefined", "0.1", "no evidence"),
    ),
    "AUPRC lost": (
        "AUPRC against the champion",
        facts(comparison=auprc_at(0.899)),
        facts(comparison=auprc_at(0.9)),
        ("AUPRC 0.35", "0.36", "89.9% of 1000", "no more than 0.01", "90%", "worse than the model that screens now"),
    ),
    "F1 lost": (
        "F1 against the champion",
        facts(comparison=compared(f1=pair(0.35, 0.36, 0.899, 0.02))),
        facts(comparison=compared(f1=pair(0.35, 0.36, 0.9, 0.02))),
        ("F1 0.35", "0.36", "89.9% of 1000", "no more than 0.02", "90%", "worse than the model that screens now"),
    ),
    "F1 undefined": (
        "F1 against the champion",
        facts(comparison=compared(f1=Paired(0.4, None, None, None, None, np.full(9, np.nan)))),
        facts(),
        ("F1 0.4", "undefined", "0.02", "no evidence", "optimal_threshold"),
    ),
    "labels leak": (
        "shuffled labels",
        facts(leaks=Leaks(ShuffledLabels((0.5601,), 0.02), True)),
        facts(leaks=Leaks(ShuffledLabels((0.56,), 0.02), True)),
        ("AUROC 0.5601", "chance reaches 0.56", "both sides of a cut"),
    ),
    "the future": (
        "later values",
        facts(leaks=Leaks(FIT, False)),
        facts(leaks=Leaks(FIT, True)),
        ("change a feature", "none may", "future"),
    ),
    "too good on the untouched": (
        "too good",
        facts(auroc(0.85, 0.9001)),
        facts(auroc(0.85, 0.9)),
        ("AUROC 0.9001", "untouched", "above 0.9", "a leak is likelier"),
    ),
    "too good in cross validation": (
        "too good",
        facts(with_part("cross_validation", auroc={"value": 0.91, "low": 0.9, "high": 0.92})),
        facts(with_part("cross_validation", auroc={"value": 0.9, "low": 0.9, "high": 0.92})),
        ("0.91 in cross validation", "above 0.9", "a leak is likelier"),
    ),
    "slow": (
        "latency",
        facts(service=Service(50.01, "a", "a")),
        facts(service=Service(50.0, "a", "a")),
        ("50.01 ms", "limit 50 ms", "wait"),
    ),
    "no time measured": (
        "latency",
        facts(service=Service(float("nan"), "a", "a")),
        facts(service=Service(1.0, "a", "a")),
        ("nan ms", "limit 50 ms"),
    ),
    "another schema": (
        "schema",
        facts(service=Service(1.0, "b" * 64, "a" * 64)),
        facts(service=Service(1.0, "a" * 64, "a" * 64)),
        ("b" * 12, "a" * 12, "train again"),
    ),
    "invented for real": (
        "real before invented",
        facts(evaluation(synthetic=True)),
        facts(evaluation(synthetic=True), comparison=compared(INVENTED)),
        ("invented patients", "champion 1.2.0 of real patients", "the champion stands"),
    ),
    "invented for tiny": (
        "real before invented",
        facts(evaluation(synthetic=True), comparison=compared(TINY)),
        facts(comparison=compared(TINY)),
        ("invented patients", "champion 1.1.0 of too few real patients", "the champion stands"),
    ),
    "tiny for real": (
        "real before invented",
        facts(with_part("test", positives=5), allow_tiny=True),
        facts(with_part("test", positives=5), comparison=compared(TINY), allow_tiny=True),
        ("too few real patients", "champion 1.2.0 of real patients", "the champion stands"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_rule_refuses_passes_at_its_limit_and_tells_figure_limit_and_consequence(
    plan: TrainingPlan, case: str
) -> None:
    name, refused, at_limit, words = CASES[case]
    verdict = ask(plan, **refused)
    assert [one.rule for one in verdict.of(Ruling.REFUSED)] == [name]
    assert not verdict.passed
    found = rule(verdict, name).words
    assert [word for word in words if word not in found] == [], found
    assert found in verdict.summary()
    assert rule(ask(plan, **at_limit), name).verdict is Ruling.PASSED
    assert ask(plan, **at_limit).passed


def test_every_rule_has_a_case() -> None:
    assert {name for name, *_ in CASES.values()} == {*EVIDENCE, *INTEGRITY}


def few(**changed: Any) -> dict[str, Any]:
    return {**with_part("test", positives=5), **changed}


def test_allow_tiny_waives_evidence_of_too_few_and_marks_the_model(plan: TrainingPlan) -> None:
    nothing = undefined(few())
    alone = compared(TINY, auprc=pair(0.2, 0.4, 0.0, 0.01), f1=Paired(None, None, None, None, None, np.full(9, np.nan)))
    verdict = ask(plan, nothing, alone, allow_tiny=True)
    assert {one.rule for one in verdict.of(Ruling.WAIVED)} == set(EVIDENCE) - {"subgroups"}
    assert rule(verdict, "subgroups").verdict is Ruling.NOT_ASKED
    assert verdict.passed
    assert verdict.tiny
    assert all("waived" in one.words for one in verdict.of(Ruling.WAIVED))
    assert "too few positive stays" in verdict.summary()
    without = ask(plan, nothing, alone)
    assert {one.rule for one in without.of(Ruling.REFUSED)} == set(EVIDENCE) - {"subgroups"}
    assert without.tiny
    assert not without.passed


def test_allow_tiny_waives_what_fails_and_leaves_what_holds(plan: TrainingPlan) -> None:
    verdict = ask(plan, few(), compared(INVENTED), allow_tiny=True)
    assert [one.rule for one in verdict.of(Ruling.WAIVED)] == ["positives"]
    assert rule(verdict, "calibration slope").verdict is Ruling.PASSED


@pytest.mark.parametrize("name", INTEGRITY)
def test_allow_tiny_never_waives_integrity(plan: TrainingPlan, name: str) -> None:
    given, comparison, leaks, service = few(), compared(INVENTED), HOLDS, SERVES
    if name == "real before invented":
        comparison = compared(REAL)
    elif name == "shuffled labels":
        leaks = Leaks(ShuffledLabels((0.9,), 0.01), True)
    elif name == "later values":
        leaks = Leaks(FIT, False)
    elif name == "too good":
        given["parts"]["test"]["auroc"] = {"value": 0.95, "low": 0.9, "high": 1.0}
    elif name == "latency":
        service = Service(51.0, "a", "a")
    else:
        service = Service(1.0, "a", "b")
    verdict = ask(plan, given, comparison, leaks, service, allow_tiny=True)
    assert [one.rule for one in verdict.of(Ruling.REFUSED)] == [name]
    assert not verdict.passed


@pytest.mark.parametrize("case", [case for case, (name, *_) in CASES.items() if name in EVIDENCE and "few" not in case])
def test_a_data_set_that_is_large_enough_gets_nothing_waived(plan: TrainingPlan, case: str) -> None:
    name, refused, *_ = CASES[case]
    verdict = ask(plan, **refused, allow_tiny=True)
    assert verdict.of(Ruling.WAIVED) == ()
    assert rule(verdict, name).verdict is Ruling.REFUSED
    assert not verdict.tiny


def test_a_small_subgroup_is_not_asked_and_one_that_does_better_is_told(plan: TrainingPlan) -> None:
    found = rule(ask(plan, subgroup(0.1, positives=19)), "subgroups")
    assert found.verdict is Ruling.NOT_ASKED
    assert "20 positive stays" in found.words
    assert rule(ask(plan, {**evaluation(), "subgroups": []}), "subgroups").verdict is Ruling.NOT_ASKED
    better = rule(ask(plan, subgroup(0.85)), "subgroups")
    assert better.verdict is Ruling.PASSED
    assert "0.85 in the worst of 1" in better.words


def test_the_worst_of_several_subgroups_is_named_and_all_that_lose_too_much(plan: TrainingPlan) -> None:
    rows = [
        {**subgroup(value)["subgroups"][0], "level": level}
        for level, value in (("a", 0.7), ("b", 0.5), ("c", 0.6), ("d", 0.75))
    ]
    found = rule(ask(plan, {**subgroup(0.7), "subgroups": rows}), "subgroups")
    assert "worst of 4 subgroups, sex b," in found.words
    assert found.words.endswith("sex b (0.5), sex c (0.6)")


def test_without_a_champion_there_is_nothing_to_compare(plan: TrainingPlan) -> None:
    verdict = ask(plan, comparison=Comparison())
    asked = {one.rule: one for one in verdict.of(Ruling.NOT_ASKED)}
    assert set(asked) == {"AUPRC against the champion", "F1 against the champion", "real before invented"}
    assert all("no champion yet" in one.words for one in asked.values())
    assert verdict.passed
    assert verdict.champion is None


def test_a_synthetic_champion_keeps_no_model_of_real_patients_out(plan: TrainingPlan) -> None:
    worse = compared(INVENTED, auprc=pair(0.2, 0.9, 0.0, 0.01), f1=pair(0.2, 0.9, 0.0, 0.02))
    verdict = ask(plan, comparison=worse)
    assert verdict.passed
    for name in ("AUPRC", "F1"):
        found = rule(verdict, f"{name} against the champion")
        assert found.verdict is Ruling.NOT_ASKED
        assert f"{name} 0.2, the champion's 0.9" in found.words
        assert "keeps out no model of real ones" in found.words
    problem = Comparison(INVENTED, problem="it needs lactate")
    assert ask(plan, comparison=problem).passed


def test_a_synthetic_champion_is_compared_with_a_synthetic_challenger(plan: TrainingPlan) -> None:
    verdict = ask(plan, evaluation(synthetic=True), compared(INVENTED, auprc=pair(0.2, 0.9, 0.0, 0.01)))
    assert [one.rule for one in verdict.of(Ruling.REFUSED)] == ["AUPRC against the champion"]


def test_a_champion_that_does_not_tell_its_patients_counts_as_of_real_ones(plan: TrainingPlan) -> None:
    unknown = REAL._replace(synthetic=None)
    assert not ask(plan, evaluation(synthetic=True), compared(unknown)).passed
    assert ask(plan, comparison=compared(unknown)).passed


def test_a_comparison_that_is_impossible_refuses_with_the_way_on(plan: TrainingPlan) -> None:
    verdict = ask(plan, comparison=Comparison(REAL, problem="it needs glucose. Train with its schema"))
    assert {one.rule for one in verdict.of(Ruling.REFUSED)} == {"AUPRC against the champion", "F1 against the champion"}
    assert all("needs glucose. Train with its schema" in one.words for one in verdict.of(Ruling.REFUSED))
    broken = ask(plan, few(), Comparison(problem="champion.json: is broken"), allow_tiny=True)
    assert [one.rule for one in broken.of(Ruling.REFUSED)] == ["real before invented"]
    assert "champion.json: is broken" in broken.summary()


def test_remarks_on_the_champion_are_told_with_the_figures(plan: TrainingPlan) -> None:
    figures = {"auprc": pair(0.4, 0.39), "f1": pair(0.4, 0.39)}
    for standing in (REAL, INVENTED):
        verdict = ask(plan, comparison=Comparison(standing, figures=figures, remarks=("it may have seen them",)))
        assert "it may have seen them" in rule(verdict, "AUPRC against the champion").words
        assert "it may have seen them" in rule(verdict, "F1 against the champion").words


def test_a_verdict_survives_its_file(plan: TrainingPlan, tmp_path: Path) -> None:
    for verdict in (ask(plan), ask(plan, few(), Comparison(), allow_tiny=True)):
        (tmp_path / "verdict.json").write_text(json.dumps(verdict.to_json()))
        content = json.loads((tmp_path / "verdict.json").read_text())
        assert Verdict.from_json(content) == verdict
        assert content["passed"] is verdict.passed is True
        assert set(content["rules"][0]) == {"rule", "kind", "verdict", "words"}


def test_who_was_not_judged_has_not_passed() -> None:
    assert not Verdict((), tiny=False).passed
