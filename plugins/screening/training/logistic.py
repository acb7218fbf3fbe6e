"""Logistic regression by maximum likelihood for many resamples at once: two columns to five, no penalty.

Fitting a thousand resamples one by one takes minutes. Here Newton's steps are taken for all together; from the fit of the
rows as they are, a resample is three steps away.
"""

import numpy as np

from screening.model.calibration import NEAREST
from screening.training.data import Bools, Floats, Ints

_STEPS = 40
_STRIDE = 4.0  # log-odds that one step may change a stay by: far from the maximum Newton's own step goes astray
_NEAR = 1e-5  # once a step changes no stay by more log-odds, what is left is of their square


def fit_logistic(
    columns: Floats, labels: Ints, weights: Floats, *, offset: Floats | None = None, start: Floats | None = None
) -> Floats:
    """Return the coefficients of most likelihood, float64 (b, k).

    Parameters
    ----------
    columns
        float64 (n, k), a column of ones among them where an intercept is wanted.
    labels, weights
        int64 (n,) and float64 (b, n).
    offset
        float64 (n,), log-odds that are added with a coefficient of 1; None is for none.
    start
        float64 (k,), from where to go; None is for zeros.

    Returns
    -------
    ndarray
        NaN for a row of weights whose likelihood has no maximum: one label alone, labels that the columns separate, or
        columns of which one tells nothing new.
    """
    found = np.full((len(weights), columns.shape[1]), np.nan)
    if start is not None and np.isnan(start).any():
        return found
    positives = weights @ labels
    rows = np.flatnonzero((positives > 0) & (positives < weights.sum(axis=1)))
    beta = np.tile(np.zeros(columns.shape[1]) if start is None else start, (len(rows), 1))
    given = weights[rows] if len(rows) < len(weights) else weights
    odds = beta @ columns.T + (0.0 if offset is None else offset)
    products = (columns[:, :, np.newaxis] * columns[:, np.newaxis, :]).reshape(len(columns), -1)
    for _ in range(_STEPS):
        if not len(rows):
            break
        step, solid = _step(odds, columns, products, labels, given)
        change = step @ columns.T
        largest = np.abs(change).max(axis=1, keepdims=True)
        short = np.minimum(1.0, _STRIDE / np.maximum(largest, _NEAR))
        beta += short * step
        odds += short * change
        there = largest[:, 0] < _NEAR
        found[rows[there & solid]] = beta[there & solid]
        if not (going := solid & ~there).all():
            rows, beta, odds, given = rows[going], beta[going], odds[going], given[going]
    return found


def _step(odds: Floats, columns: Floats, products: Floats, labels: Ints, weights: Floats) -> tuple[Floats, Bools]:
    """Return Newton's step, (b, k), and for which rows there is one, (b,); the step of the others is 0."""
    p = probability(odds)
    slope = (weights * (labels - p)) @ columns
    size = columns.shape[1]
    curve = ((weights * (p * (1 - p))) @ products).reshape(-1, size, size)
    scale = np.sqrt(np.einsum("bkk->bk", curve))
    solid = (scale > 0).all(axis=1)
    scale[~solid] = 1.0
    even = curve / scale[:, :, np.newaxis] / scale[:, np.newaxis, :]
    solid &= np.linalg.eigvalsh(even)[:, 0] > 1e-10
    even[~solid], slope[~solid] = np.eye(size), 0.0
    return np.linalg.solve(even, (slope / scale)[:, :, np.newaxis])[:, :, 0] / scale, solid


def log_odds(scores: Floats) -> Floats:
    """Return the log-odds of probabilities, no nearer to 0 and 1 than the calibration that is stored takes them."""
    near = np.clip(scores, NEAREST, 1 - NEAREST)
    return np.log(near / (1 - near))


def probability(odds: Floats) -> Floats:
    """Return probabilities of log-odds."""
    return 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
