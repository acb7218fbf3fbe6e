"""The stages of training, in order: what a task of the DAG calls, and what `train` does in one go.

locate → cohort → extract → features → fit each candidate → evaluate → gate → publish. Each stage reads what the ones before
left in the run's folder and may be repeated. Nothing is published before the gate, and the champion changes last.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any

from screening.readers.mimic import MimicReader
from screening.readers.mimic_tables import MimicTables
from screening.schema import Schema
from screening.staging import Folder
from screening.training import staged
from screening.training.extract import extract as write_parts
from screening.training.extract import parts_of, read_parts
from screening.training.folds import Split
from screening.training.folds import split as split_set
from screening.training.matrix import later_values_change_nothing, training_set
from screening.training.plan import Candidate, TrainingPlan
from screening.training.stays import COLUMNS, read_stays, refuse_one_label

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes
    ----------
    schema, plan
        What a feature is, and what is learned from whom.
    folder
        Where the stages leave their files; for this run alone.
    """

    schema: Schema
    plan: TrainingPlan
    folder: Folder


def locate(job: Job, tables: MimicTables) -> dict[str, list[str]]:
    """Check that every table and column is there, before anything is read; return them.

    Raises
    ------
    DataFileError
        Naming all that is missing.
    """
    wanted: dict[str, list[str]] = {table: list(columns) for table, columns in COLUMNS.items()}
    for table, columns in MimicReader(tables, job.schema, job.plan.clock()).wanted().items():
        wanted[table] = list(columns)
    tables.check(wanted)
    return wanted


def cohort(job: Job, tables: MimicTables) -> list[dict[str, Any]]:
    """Read the stays and their labels; return the attrition so far."""
    stays = read_stays(tables, job.schema, job.plan)
    staged.save_stays(job.folder, stays)
    staged.save_json(job.folder, "tables_cohort", tables.fingerprint())
    return stays.attrition


def extract(job: Job, tables: MimicTables) -> dict[str, int]:
    """Read the event tables once and keep what counts within the stays' windows; return counts."""
    stays = staged.load_stays(job.folder)
    reader = MimicReader(tables, job.schema, job.plan.clock())
    values = write_parts(reader, stays, job.folder, parts_of(stays))
    dropped = [[feature, reason, count] for (feature, reason), count in sorted(reader.drops.items())]
    staged.save_json(job.folder, "dropped", dropped)
    staged.save_json(job.folder, "tables_events", tables.fingerprint())
    return {"values": values, "dropped": reader.drops.total()}


def features(job: Job) -> dict[str, int]:
    """Compute the training set, by the feature engine of screening; return counts."""
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
    """Cut the training set; the same patients go the same way in every run with the plan's salt.

    Raises
    ------
    FatalError
        As `screening.training.folds.split`.
    """
    return split_set(staged.load_set(job.folder), job.plan)


def fit(job: Job, candidate: Candidate) -> dict[str, float]:
    """Fit one candidate, out of fold and on all that is to learn from; return its figures."""
    from screening.training.fit import fit as fit_candidate

    cut = split(job)
    fitted = fit_candidate(candidate, job.plan.candidates[candidate], cut.learning, cut.folds, job.plan.seed)
    staged.save_object(job.folder, f"fitted-{candidate}", fitted)
    return {"f1": fitted.f1, "threshold": fitted.threshold}
