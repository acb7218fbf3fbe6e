"""The gate's rules on the champion: the new model must not be worse on the same patients, nor of a lesser kind."""

from screening.training.gate.comparison import Comparison
from screening.training.gate.paired import Paired
from screening.training.gate.verdict import Kind, Rule, not_asked, ruled, told

SURE = 0.9
"""The share of the resamples in which the new model must lose no more than the limit."""
_PATIENTS = ("invented patients", "too few real patients to judge it", "real patients")
"""From the least to the most: where a model stands among these, its like or more may take its place."""
_SHOWN = {"auprc": "AUPRC", "f1": "F1"}
_THRESHOLD = (
    "a figure that is undefined is no evidence; publish the champion anew with metadata.metrics.optimal_threshold, if it "
    "has none"
)


def no_worse(figure: str, comparison: Comparison, limit: float, *, synthetic: bool) -> Rule:
    """Ask that a figure (`auprc` or `f1`) is not worse than the champion's by more than a limit.

    Parameters
    ----------
    synthetic
        Whether the new model learned from invented patients. If not, a champion that did keeps nothing out.
    """
    name = _SHOWN[figure]
    rule = f"{name} against the champion"
    allowed = f"a loss of {told(limit)} is allowed"
    if comparison.champion is None and not comparison.problem:
        return not_asked(rule, Kind.EVIDENCE, f"there is no champion yet; {allowed}")
    if comparison.champion is not None and comparison.champion.synthetic and not synthetic:
        figures = f"{_figures(name, comparison.figures[figure])}; " if comparison.figures else ""
        return not_asked(
            rule,
            Kind.EVIDENCE,
            _with_remarks(
                f"{figures}{allowed}, but a champion of invented patients keeps out no model of real ones", comparison
            ),
        )
    if comparison.problem:
        return ruled(rule, Kind.EVIDENCE, False, f"not compared ({allowed})", otherwise=comparison.problem)
    return _judged(rule, name, comparison, comparison.figures[figure], limit)


def _judged(rule: str, name: str, comparison: Comparison, found: Paired, limit: float) -> Rule:
    share = found.share_above(-limit)
    if share is None:
        words = _with_remarks(f"{_figures(name, found)} (limit: a loss of {told(limit)})", comparison)
        return ruled(rule, Kind.EVIDENCE, False, words, otherwise=_THRESHOLD)
    words = (
        f"{_figures(name, found)}; {share:.1%} of {len(found.resampled)} resamples lose no more than {told(limit)}, needed "
        f"{SURE:.0%}"
    )
    return ruled(
        rule,
        Kind.EVIDENCE,
        share >= SURE,
        _with_remarks(words, comparison),
        otherwise="it may serve patients worse than the model that screens now",
    )


def _figures(name: str, found: Paired) -> str:
    new, champion = ("undefined" if value is None else told(value) for value in (found.new, found.champion))
    if found.difference is None or found.low is None or found.high is None:
        return f"{name} {new}, the champion's {champion}"
    return f"{name} {new}, the champion's {champion}: {found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


def _with_remarks(words: str, comparison: Comparison) -> str:
    return "; ".join((words, *comparison.remarks))


def real_before_invented(comparison: Comparison, *, synthetic: bool, tiny: bool) -> Rule:
    """Ask that a champion of real patients gives way to no model of invented or of too few ones.

    Parameters
    ----------
    synthetic, tiny
        Of the new model. What is told of the champion is weighed in the champion's favour: only one that says so is of
        invented or too few patients.
    """
    rule = "real before invented"
    if comparison.champion is None:
        if not comparison.problem:
            return not_asked(rule, Kind.INTEGRITY, "there is no champion yet to be replaced")
        return ruled(rule, Kind.INTEGRITY, False, "which patients the champion is of", otherwise=comparison.problem)
    standing = comparison.champion
    ours, theirs = _worth(synthetic, tiny), _worth(standing.synthetic is True, standing.tiny)
    return ruled(
        rule,
        Kind.INTEGRITY,
        ours >= theirs,
        f"the new model is of {_PATIENTS[ours]}, the champion {standing.version} of {_PATIENTS[theirs]}; it may "
        "replace its like or less",
        otherwise=(
            "the champion stands; give the schema another name under `model`, so that a line of models of its own begins"
        ),
    )


def _worth(synthetic: bool, tiny: bool) -> int:
    return 0 if synthetic else 1 if tiny else 2
