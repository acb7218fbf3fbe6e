"""MIMIC's patients as the feature engine knows patients: birth date, sex, death."""

from datetime import tzinfo

import numpy as np
import pandas as pd

from screening.columns import NOT_A_TIME, as_utc
from screening.patient_records import PATIENT_COLUMNS
from screening.readers.mimic import local_to_utc

_GENDER = {"M": "male", "F": "female"}


def people(patients: pd.DataFrame, transfers: pd.DataFrame, clock: tzinfo) -> pd.DataFrame:
    """Return `PATIENT_COLUMNS` by subject_id.

    MIMIC tells the age in one year (anchor_age, anchor_year), not the birthday. As in MIMIC-IV-on-FHIR the birthday is that
    of the first transfer; the birth year is anchor_year less anchor_age. kind-lab's conversion takes the year of the first
    transfer instead of anchor_year, so that its ages are off by the years that lie between the two. Without a transfer
    only the year is known; without an anchor nothing is. An age above 89 is 91 in MIMIC.
    """
    first = transfers.groupby("subject_id")["intime"].min().reindex(patients["subject_id"]).reset_index(drop=True)
    year = patients["anchor_year"] - patients["anchor_age"]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    day = first.dt.day.where((first.dt.month != 2) | (first.dt.day != 29) | leap, 28)
    known = year.notna().to_numpy()
    parts = pd.DataFrame({"year": year.fillna(0), "month": first.dt.month.fillna(7), "day": day.fillna(2)}).astype(
        "int64"
    )
    born = [f"{y:04d}-{m:02d}-{d:02d}" for y, m, d in parts.itertuples(index=False)]
    died = patients["dod"].notna().to_numpy(bool)
    day_after = pd.to_datetime(patients["dod"]) + pd.Timedelta(days=1)
    found = pd.DataFrame(
        {
            "subject_id": patients["subject_id"],
            "birth_date": np.where(known, born, ""),
            "birth_precision": np.where(known, np.where(first.isna(), "year", "day"), ""),
            "gender": patients["gender"].map(_GENDER).fillna(""),
            "deceased": died,
            # A date without a time is over with its day, as the FHIR reader has it.
            "deceased_time": as_utc(np.where(died, local_to_utc(day_after, clock) - 1, NOT_A_TIME)),
            "merged": False,
            "problem": "",
            "source": "patients",
        }
    )
    texts = ["birth_date", "birth_precision", "gender", "problem", "source"]
    return found.astype(dict.fromkeys(texts, "str"))[["subject_id", *(c for c in PATIENT_COLUMNS if c != "patient_id")]]
