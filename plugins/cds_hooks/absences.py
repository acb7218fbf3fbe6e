"""Nothing found is a value only where somebody said that there is nothing.

Of a Condition, a medication or a count "none found" is the value 0, which the batch path may say: there a search that fails
ends the run. Here a key may not have been obtained, and then 0 would be an invention, and mostly one in favour of "low".
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from screening.feature_matrix import FeatureMatrix
from screening.features import absence_is_zero
from screening.schema import Schema


def without_invented_zeros(matrix: FeatureMatrix, schema: Schema, unknown: Collection[str]) -> FeatureMatrix:
    """Return the matrix of one patient with a missing value in place of a 0 that nobody said.

    Parameters
    ----------
    unknown
        Prefetch keys of which it is not known whether there is more than what was found. What was found counts, by whichever
        key it came.
    """
    seen = set(matrix.observed.feature)
    columns = [
        column
        for column, feature in enumerate(schema.features.values())
        if feature.name in unknown and feature.name not in seen and absence_is_zero(feature)
    ]
    if not columns:
        return matrix
    values = matrix.vectors.values.copy()
    values[:, columns] = np.nan
    return FeatureMatrix(replace(matrix.vectors, values=values), matrix.observed, matrix.sources, matrix.drops)
