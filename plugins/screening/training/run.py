"""The stages of training, in order: what a task of the DAG calls, and what `train` does in one go.

locate → cohort → extract → features → fit each candidate → evaluate → gate → publish. Each stage reads what the ones before
left in the run's folder and may be repeated. Nothing is published before the gate, and the champion changes last.
"""

import hashlib
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from screening.errors import FatalError
from screening.model.bundle import ModelBundle
from screening.readers.mimic import MimicReader
from screening.readers.mimic_tables import MimicTables
from screening.training import staged
from screening.training.extract import extract as write_parts
from screening.training.extract import parts_of, read_parts
from screening.training.job import Job as Job
from screening.training.learning.folds import Split
from screening.training.learning.folds import split as cut
from screening.training.matrix import later_values_change_nothing, training_set
from screening.training.plan import Candidate
from screening.training.staged import Described as Described
from screening.training.stays import COLUMNS, read_stays, refuse_one_label

SHUFFLES = 3
"""How often the labels are shuffled to look for a leak; each costs as much as fitting the chosen candidate out of fold."""
REFUSED = "refused_model"
"""Folder in the run's reports that keeps a model which the gate refused."""


def locate(job: Job, tables: MimicTables, described: Described) -> dict[str, list[str]]:
    """Check that every table and column is there, before anything is read; return them.

    Raises
    ------
    SchemaError
        A candidate's settings cannot be fitted.
    DataFileError
        Naming all that is missing.
    """
    from screening.training.learning.candidates import check_candidates

    check_candidates(job.plan.candidates)
    wanted: dict[str, list[str]] = {table: list(columns) for table, columns in COLUMNS.items()}
    for table, columns in MimicReader(tables, job.schema, job.plan.clock()).wanted().items():
        wanted[table] = list(columns)
    tables.check(wanted)
    staged.save_described(job.folder, described)
    return wanted


def cohort(job: Job, tables: MimicTables) -> list[dict[str, Any]]:
    """Read the stays and their labels; return the attrition so far.

    From here on the run is one of this plan and this schema: a later stage refuses to go on with another one.
    """
    stays = read_stays(tables, job.schema, job.plan)
    staged.save_json(job.folder, "begun_with", _fingerprints(job))
    staged.save_stays(job.folder, stays)
    staged.save_json(job.folder, "tables_cohort", tables.fingerprint())
    return stays.attrition


def extract(job: Job, tables: MimicTables) -> dict[str, int]:
    """Read the event tables once and keep what counts within the stays' windows; return counts."""
    _refuse_changed(job)
    stays = staged.load_stays(job.folder)
    reader = MimicReader(tables, job.schema, job.plan.clock())
    values = write_parts(reader, stays, job.folder, parts_of(stays))
    dropped = [[feature, reason, count] for (feature, reason), count in sorted(reader.drops.items())]
    staged.save_json(job.folder, "dropped", dropped)
    staged.save_json(job.folder, "tables_events", tables.fingerprint())
    return {"values": values, "dropped": reader.drops.total()}


def features(job: Job) -> dict[str, int]:
    """Compute the training set, by the feature engine of screening; return counts."""
    _refuse_changed(job)
    schema, clock = job.schema, job.plan.clock()
    stays = staged.load_stays(job.folder)
    parts = parts_of(stays)
    data, drops = training_set(read_parts(job.folder, stays, parts), stays, schema, clock)
    refuse_one_label(data.labels, job.plan)
    staged.save_set(job.folder, data)
    staged.save_json(job.folder, "attrition_whole", stays.attrition)
    whole = Counter({(feature, reason): count for feature, reason, count in staged.load_json(job.folder, "dropped")})
    whole.update(drops)
    staged.save_json(job.folder, "dropped_whole", [[*key, count] for key, count in sorted(whole.items())])
    values, mine = next(read_parts(job.folder, staged.load_stays(job.folder), parts))
    staged.save_json(job.folder, "after_window", later_values_change_nothing(values, mine, schema, clock))
    return {"stays": len(data), "positives": int(data.labels.sum())}


def split(job: Job) -> Split:
    """Cut the training set into who is learned from and who judges; see `folds.split`."""
    _refuse_changed(job)
    return cut(staged.load_set(job.folder), job.plan)


def fit(job: Job, candidate: Candidate) -> dict[str, float]:
    """Fit one candidate, out of fold and on all that is to learn from; return its figures."""
    from screening.training.learning.fit import fit as fit_candidate

    parts = split(job)
    fitted = fit_candidate(candidate, job.plan.candidates[candidate], parts.learning, parts.folds, job.plan.seed)
    staged.save_object(job.folder, f"fitted-{candidate}", fitted)
    return {"f1": fitted.f1, "threshold": fitted.threshold}


def evaluate(job: Job) -> dict[str, Any]:
    """Choose the best candidate, judge it, and make its model file; return the main figures."""
    from screening.training.evaluation.evaluate import evaluate as judged
    from screening.training.learning.artifact import model_bytes, model_content
    from screening.training.learning.fit import best

    parts, described = split(job), staged.load_described(job.folder)
    fitted = [staged.load_object(job.folder, f"fitted-{name}") for name in job.plan.candidates]
    attrition = staged.load_json(job.folder, "attrition_whole")
    found = judged(parts, fitted, job.schema, job.plan, attrition, synthetic=described.synthetic)
    test = found["parts"]["test"]
    content = model_content(
        best(fitted),
        parts.learning,
        job.schema,
        job.plan,
        metrics={name: test[name]["value"] for name in ("auroc", "auprc", "brier")},
        synthetic=described.synthetic,
        tiny=found["tiny"],
    )
    staged.save_json(job.folder, "evaluation", found)
    staged.save_bytes(job.folder, "model.pkl", model_bytes(content))
    return {"best": found["best"], "threshold": found["threshold"], "tiny": found["tiny"]} | {
        name: test[name] for name in ("auroc", "auprc", "f1", "brier")
    }


def gate(job: Job, models_dir: Path, reports: Path, *, allow_tiny: bool, today: datetime) -> dict[str, Any]:
    """Hold the model against every rule, and write the run's report; a model that is refused is kept beside it.

    Parameters
    ----------
    models_dir
        The registry, whose champion the model is held against; nothing is written there.
    reports
        Folder of this run, that stays.
    allow_tiny
        See `screening.training.gate.judge`.
    today
        For the report; with a zone.

    Returns
    -------
    dict
        `accepted`; `reasons`, a sentence for each rule that refuses; `words`, the whole in a few lines; `brief`, what
        whoever approves must know, in Markdown.
    """
    from screening.training.gate.verdict import Ruling
    from screening.training.product import judged, product
    from screening.training.publish import keep_refused, next_version
    from screening.training.report.page import brief, write_report

    _refuse_changed(job)
    verdict = judged(job, models_dir, allow_tiny=allow_tiny, shuffles=SHUFFLES)
    model = staged.load_bytes(job.folder, "model.pkl")
    staged.save_json(job.folder, "verdict", {"sha256": hashlib.sha256(model).hexdigest(), **verdict.to_json()})
    version = next_version(models_dir, job.name, model) if verdict.passed else None
    made, facts = product(job, verdict, version, today)
    write_report(reports, job.schema, job.plan, made.evaluation, facts)
    if not verdict.passed:
        keep_refused(reports / REFUSED, made, verdict)
    return {
        "accepted": verdict.passed,
        "reasons": [f"{rule.rule}: {rule.words}" for rule in verdict.of(Ruling.REFUSED)],
        "words": verdict.summary(),
        "brief": brief(job.schema, made.evaluation, facts),
    }


def publish(job: Job, models_dir: Path, *, created: datetime, approved_by: str | None) -> ModelBundle:
    """Publish what passed the gate as a version of the registry, and make it champion; may be repeated.

    Raises
    ------
    FatalError
        The gate refused the model, or judged another one; or another champion stands there than the one it was held
        against.
    ModelError
        The registry cannot be written; the champion is then the one it was.
    """
    from screening.training.gate.verdict import Verdict
    from screening.training.product import product, sources
    from screening.training.publish import Origin, next_version
    from screening.training.publish import publish as publish_version

    _refuse_changed(job)
    told, model = staged.load_json(job.folder, "verdict"), staged.load_bytes(job.folder, "model.pkl")
    if told["sha256"] != hashlib.sha256(model).hexdigest():
        raise FatalError(f"{job.name}: the gate judged another model than the one that this run holds: run it again")
    verdict, version = Verdict.from_json(told), next_version(models_dir, job.name, model)
    made, _ = product(job, verdict, version, created)
    words = staged.load_described(job.folder).words
    origin = Origin(job.plan, sources(job), words, approved_by, created)
    return publish_version(models_dir, job.name, made, verdict, origin)


def _fingerprints(job: Job) -> dict[str, str]:
    return {"schema": job.schema.fingerprint(), "plan": job.plan.fingerprint()}


def _refuse_changed(job: Job) -> None:
    """Refuse to go on with a plan or schema that was edited meanwhile: a later stage reads the files anew.

    Features would be of the one schema and the model said to be of the other; patients that were learned from would judge.
    """
    begun = staged.load_json(job.folder, "begun_with")
    if changed := [what for what, now in _fingerprints(job).items() if now != begun[what]]:
        raise FatalError(f"the {' and the '.join(changed)} changed since the run began: train again from the beginning")
