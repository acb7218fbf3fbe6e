"""The label: which admissions were billed with a code of the plan, MIMIC's spelling of the codes put in order first."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from screening.training.plan import Label


def matches(codes: pd.Series, versions: pd.Series, label: Label) -> npt.NDArray[np.bool_]:
    """Tell which diagnoses make their admission positive.

    Parameters
    ----------
    codes, versions
        `icd_code` as text and `icd_version` (9 or 10) of diagnoses_icd. A code is put into MIMIC's spelling first (no white
        space, no dots, capitals): R65.20 is R6520. A code means nothing without its version: 038 is septicaemia in ICD-9.
    label
        The prefixes; one matches its whole branch (A41 matches A419).
    """
    plain = codes.fillna("").astype("str").str.replace(r"[\s.]", "", regex=True).str.upper()
    found = np.zeros(len(codes), dtype=bool)
    for version, prefixes in ((9, label.icd9), (10, label.icd10)):
        if prefixes:
            found |= plain.str.startswith(prefixes).to_numpy(bool) & (versions == version).to_numpy(bool)
    return found
