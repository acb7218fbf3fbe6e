"""The summary of a run: counts that add up to the cohort, who was not screened and why, as JSON and as Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from screening.outcome import Outcome, RiskLevel

NAMED = 1000
"""How many patients a Markdown summary names; the JSON names all."""


@dataclass(frozen=True)
class Line:
    """One patient of a run, free of everything but the logical id and what became of it."""

    patient_id: str
    outcome: str
    detail: tuple[str, ...] = ()
    probability: float | None = None
    risk_level: str | None = None
    imputed: tuple[str, ...] = ()
    resource: str = ""
    write: str = ""
    prediction_time: str | None = None


@dataclass(frozen=True)
class Summary:
    """A run in numbers; `cohort` equals the sum of `outcomes`."""

    run: str
    schema: str
    model: str
    prediction_time: str
    cohort: int
    outcomes: dict[str, int]
    risk_levels: dict[str, int]
    missing: dict[str, int]
    writes: dict[str, int]
    imputed: dict[str, int]
    drops: dict[str, int]
    requests: int
    unusable_cohort_entries: int
    seconds: float | None
    lines: list[Line] = field(repr=False)

    @property
    def failed_fraction(self) -> float:
        """Failed patients over the cohort."""
        return self.outcomes[Outcome.FAILED] / self.cohort if self.cohort else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        return asdict(self)


def summarize(
    lines: Iterable[Line],
    cohort: Sequence[str],
    *,
    run: str,
    schema: str,
    model: str,
    prediction_time: str,
    drops: Counter[str],
    requests: int,
    unusable: int = 0,
    seconds: float | None = None,
) -> Summary:
    """Add up a run; a patient of the cohort without a line is `failed`: its batch did not finish.

    Raises
    ------
    ValueError
        Where a line names a patient outside the cohort, or one twice, or an outcome that there is none of: a defect of ours
        that must not be summed over.
    """
    by_id: dict[str, Line] = {}
    for line in lines:
        if line.patient_id in by_id:
            raise ValueError(f"Patient/{line.patient_id} has two results in run {run}")
        by_id[line.patient_id] = line
    if strangers := by_id.keys() - set(cohort):
        raise ValueError(f"{len(strangers)} result(s) of run {run} are not of its cohort")
    if unheard := {line.outcome for line in by_id.values()} - set(Outcome):
        raise ValueError(f"run {run} has results of no known outcome: {', '.join(sorted(unheard))}")
    whole = [by_id.get(p) or Line(p, Outcome.FAILED, ("its batch did not finish",)) for p in cohort]
    return Summary(
        run=run,
        schema=schema,
        model=model,
        prediction_time=prediction_time,
        cohort=len(whole),
        outcomes={kind.value: sum(line.outcome == kind for line in whole) for kind in Outcome},
        risk_levels={kind.value: sum(line.risk_level == kind for line in whole) for kind in RiskLevel},
        missing=_sorted(Counter(n for line in whole if line.outcome == Outcome.INSUFFICIENT_DATA for n in line.detail)),
        writes=_sorted(Counter(line.write for line in whole if line.write)),
        imputed=_sorted(Counter(name for line in whole for name in line.imputed)),
        drops=_sorted(drops),
        requests=requests,
        unusable_cohort_entries=unusable,
        seconds=seconds,
        lines=whole,
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def markdown(summary: Summary) -> str:
    """Return the summary to read: counts first, then who was not screened and why."""
    parts = [
        f"# {summary.schema}: {summary.cohort} patients as of {summary.prediction_time}",
        f"Run `{summary.run}`, model {summary.model}, {summary.requests} requests to the server"
        + (f", {summary.seconds:.0f} s." if summary.seconds is not None else "."),
        _table("outcome", summary.outcomes) + f"\n| **cohort** | **{summary.cohort}** |",
        _table("risk level", summary.risk_levels),
        _table("missing feature", summary.missing),
        _table("imputed feature", summary.imputed),
        _table("RiskAssessments", summary.writes),
        _table("values dropped because", summary.drops),
    ]
    if summary.unusable_cohort_entries:
        parts.append(
            f"**{summary.unusable_cohort_entries} entries of the cohort name no patient of this server, or are counted by "
            "it and not given: whom they stand for was not screened.**"
        )
    unscreened = [line for line in summary.lines if line.outcome not in (Outcome.SCORED, Outcome.INSUFFICIENT_DATA)]
    if unscreened:
        parts += ["## Not screened", _lines(unscreened)]
    insufficient = [line for line in summary.lines if line.outcome == Outcome.INSUFFICIENT_DATA]
    if insufficient:
        parts += ["## Insufficient data", _lines(insufficient)]
    parts.append("Research software, not a medical device.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(title: str, counts: dict[str, int]) -> str:
    if not counts:
        return ""
    rows = "\n".join(f"| {name} | {count} |" for name, count in counts.items())
    return f"| {title} | patients |\n|---|---:|\n{rows}".replace(
        "patients", "values" if "dropped" in title else "patients"
    )


def _lines(lines: list[Line]) -> str:
    rows = "\n".join(
        f"| Patient/{line.patient_id} | {line.outcome} | {', '.join(line.detail)} |" for line in lines[:NAMED]
    )
    more = f"\n\nand {len(lines) - NAMED} more; the JSON names all." if len(lines) > NAMED else ""
    return f"| patient | outcome | why |\n|---|---|---|\n{rows}{more}"
