"""What sets the positive stays apart, feature by feature, before any model."""

from typing import Any

import numpy as np

from screening.schema import Schema
from screening.training.data import Floats, TrainingSet
from screening.training.evaluation.intervals import ratio


def covariates(data: TrainingSet, schema: Schema) -> list[dict[str, Any]]:
    """Summarize each feature among the positive stays and among the others.

    Returns
    -------
    list of dict
        In the order of the features: `feature`, `unit`; for `positive` and `negative` the `mean` and `sd` of the values that
        are there and the share that is `missing`; and `smd`, the standardized mean difference: positive less negative, by
        the root of the mean of the two variances. NaN where there are too few values.
    """
    positive = data.labels == 1
    rows = []
    for column, name in enumerate(data.feature_names):
        values = data.values[:, column]
        mine, others = _summary(values[positive]), _summary(values[~positive])
        spread = np.sqrt((mine["sd"] ** 2 + others["sd"] ** 2) / 2)
        rows.append(
            {
                "feature": name,
                "unit": schema.features[name].unit,
                "positive": mine,
                "negative": others,
                "smd": float(ratio(mine["mean"] - others["mean"], spread)),
            }
        )
    return rows


def _summary(values: Floats) -> dict[str, float]:
    there = values[~np.isnan(values)]
    return {
        "mean": float(there.mean()) if len(there) else np.nan,
        "sd": float(there.std(ddof=1)) if len(there) > 1 else np.nan,
        "missing": float(np.isnan(values).mean()) if len(values) else np.nan,
    }
