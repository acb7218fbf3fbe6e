"""The cohort: stays in intensive care, when each is looked at, its label, and who is left out and why."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from screening.columns import NOT_A_TIME
from screening.errors import DataFileError, FatalError
from screening.patient_features import ages
from screening.readers.mimic import local_to_utc
from screening.readers.mimic_tables import INVENTED, MimicTables
from screening.readers.mimic_windows import Windows
from screening.schema import Schema
from screening.training.labels import matches
from screening.training.people import people
from screening.training.plan import Label, TrainingPlan

COLUMNS = {
    "patients": ("subject_id", "gender", "anchor_age", "anchor_year", "anchor_year_group", "dod"),
    "admissions": ("subject_id", "hadm_id", "deathtime"),
    "transfers": ("subject_id", "intime"),
    "diagnoses_icd": ("hadm_id", "icd_code", "icd_version"),
    "icustays": ("subject_id", "hadm_id", "stay_id", "intime", "outtime"),
}
"""Table → the columns that the cohort is made of."""
_HOUR, _MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)


@dataclass
class Stays:
    """Who is learned from.

    Attributes
    ----------
    frame
        One row a stay in the order of stay_id: `stay_id`, `subject_id`, `hadm_id`, `first` and `last` (UTC microseconds;
        what is known of the patient in (first, last] counts, and `last` is the prediction time), `label` (1 positive),
        `invented` (whether the tables say so of the patient), and `PATIENT_COLUMNS`, where `patient_id` is the stay_id as
        text.
    attrition
        For each step of exclusion what is left after it: `step`, `stays`, `patients`, `positives`.
    """

    frame: pd.DataFrame
    attrition: list[dict[str, Any]]

    def keep(self, step: str, rule: Callable[[pd.DataFrame], Any]) -> None:
        """Leave out the stays for which a rule does not hold, and count what is left."""
        self.frame = self.frame[np.asarray(rule(self.frame), dtype=bool)].reset_index(drop=True)
        self.attrition.append(
            {
                "step": step,
                "stays": len(self.frame),
                "patients": int(self.frame["subject_id"].nunique()),
                "positives": int(self.frame["label"].sum()),
            }
        )

    def windows(self) -> Windows:
        """Return the spans of time in which the stays' values lie."""
        return Windows(*(self.frame[name].to_numpy("int64") for name in ("subject_id", "first", "last")))


def read_stays(tables: MimicTables, schema: Schema, plan: TrainingPlan) -> Stays:
    """Read the cohort: all stays but those that the plan excludes.

    Raises
    ------
    DataFileError
        As `all_stays`.
    FatalError
        Where no stay is left, or all that are left have one label.
    """
    stays, clock = all_stays(tables, schema, plan), plan.clock()
    stays.keep("with billed diagnoses", lambda each: each["billed"])
    shortest = plan.cohort.min_stay // _MICROSECOND
    stays.keep(
        f"of {plan.cohort.min_stay / _HOUR:g} h or longer",
        lambda each: each["end"] - each["begin"] >= shortest,
    )
    stays.keep("alive at the prediction time", lambda each: ~_known(each["died"]) | (each["died"] > each["last"]))
    stays.keep(
        f"aged {plan.cohort.min_age} or older",
        lambda each: ages(each["birth_date"], each["last"].to_numpy("int64"), clock) >= plan.cohort.min_age,
    )
    refuse_one_label(stays.frame["label"].to_numpy("int64"), plan)
    return stays


def all_stays(tables: MimicTables, schema: Schema, plan: TrainingPlan) -> Stays:
    """Read all stays in intensive care, each with its label and the time at which it is looked at.

    Raises
    ------
    DataFileError
        As the tables do; for a table without rows, a stay without its numbers or one that stands twice, and for stays whose
        patient or admission the other tables lack.
    """
    icu = _frame(tables, "icustays").sort_values("stay_id", ignore_index=True)
    patients, admissions = _frame(tables, "patients"), _frame(tables, "admissions")
    _refuse_odd(icu, patients, admissions)
    clock = plan.clock()
    billed, positive = _billed(tables, plan.label)
    frame = icu[["stay_id", "subject_id", "hadm_id"]].assign(
        begin=local_to_utc(icu["intime"], clock),
        end=local_to_utc(icu["outtime"], clock),
        died=local_to_utc(admissions.set_index("hadm_id")["deathtime"].reindex(icu["hadm_id"]), clock),
        billed=icu["hadm_id"].isin(billed),
        label=icu["hadm_id"].isin(positive).astype("int64"),
        invented=icu["subject_id"].isin(patients.loc[patients["anchor_year_group"] == INVENTED, "subject_id"]),
        patient_id=icu["stay_id"].astype("str"),
    )
    frame["last"] = np.minimum(frame["begin"] + plan.prediction.after_intime // _MICROSECOND, frame["end"])
    frame["first"] = frame["last"] - schema.lookback // _MICROSECOND if schema.lookback is not None else NOT_A_TIME
    born = people(patients, _frame(tables, "transfers"), clock).set_index("subject_id")
    stays = Stays(frame.join(born.reindex(frame["subject_id"]).reset_index(drop=True)), [])
    stays.keep("ICU stays", lambda each: each["stay_id"].notna())  # all: the first line of the attrition
    stays.keep("with a begin and an end", lambda each: _known(each["begin"]) & _known(each["end"]))
    return stays


def _billed(tables: MimicTables, label: Label) -> tuple[Any, Any]:
    """Return the admissions with any diagnosis, and those with one that makes them positive; six million rows, streamed."""
    billed: list[Any] = []
    positive: list[Any] = []
    for batch in tables.batches("diagnoses_icd", COLUMNS["diagnoses_icd"]):
        rows = batch.to_pandas()
        billed.append(rows["hadm_id"].unique())
        positive.append(rows.loc[matches(rows["icd_code"], rows["icd_version"], label), "hadm_id"].unique())
    found = np.unique(np.concatenate(billed)), np.unique(np.concatenate(positive))
    if not len(found[0]):
        raise DataFileError("diagnoses_icd: the table has no rows: copy or load it anew")
    return found


def refuse_one_label(labels: Any, plan: TrainingPlan) -> None:
    """Refuse a cohort from which nothing can be learned.

    Raises
    ------
    FatalError
        Where there is no stay at all, no positive one, or none that is not.
    """
    name = plan.label.name
    if not len(labels):
        raise FatalError("no stay is left to learn from: the attrition above tells at which step they went")
    if not labels.any():
        raise FatalError(f"no stay is positive ({name}): are the prefixes of the plan's label those of this data?")
    if labels.all():
        raise FatalError(f"every stay is positive ({name}): there is nothing to tell apart")


def _known(times: pd.Series) -> Any:
    return times != NOT_A_TIME


def _frame(tables: MimicTables, table: str) -> pd.DataFrame:
    rows = pa.Table.from_batches(list(tables.batches(table, COLUMNS[table])))
    if not len(rows):
        raise DataFileError(f"{table}: the table has no rows: copy or load it anew")
    return rows.to_pandas()


def _refuse_odd(icu: pd.DataFrame, patients: pd.DataFrame, admissions: pd.DataFrame) -> None:
    if icu[["stay_id", "subject_id", "hadm_id"]].isna().any(axis=None):
        raise DataFileError("icustays: a row lacks its stay_id, subject_id or hadm_id: copy or load the table anew")
    if twice := set(icu.loc[icu["stay_id"].duplicated(), "stay_id"].tolist()):
        raise DataFileError(f"icustays: {len(twice)} stay_id stand twice: load the table once")
    if patients["subject_id"].duplicated().any() or admissions["hadm_id"].duplicated().any():
        raise DataFileError("patients or admissions: a subject_id or hadm_id stands twice: load the tables once")
    for key, other, name in (("subject_id", patients, "patients"), ("hadm_id", admissions, "admissions")):
        if lost := set(icu[key].tolist()) - set(other[key].tolist()):
            raise DataFileError(f"icustays names {len(lost)} {key} that {name} lacks: the tables are of two releases")
