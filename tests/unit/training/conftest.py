"""A training set of invented stays, for whatever learns or judges."""

from collections.abc import Callable

import numpy as np
import pytest

from screening.training.data import TrainingSet

NAMES = ("heart_rate", "temperature", "respiratory_rate", "wbc", "lactate", "creatinine", "age", "gender_encoded")
CENTRE = np.array([88.0, 37.0, 19.0, 11.0, 2.0, 1.3, 64.0, 0.5])
SPREAD = np.array([16.0, 0.7, 5.0, 5.0, 1.2, 0.9, 16.0, 0.5])
WEIGHTS = np.array([0.8, 0.5, 0.6, 0.5, 0.9, 0.3, 0.3, 0.0])


def _training_set(patients: int = 400, seed: int = 0, signal: float = 1.0, missing: float = 0.1) -> TrainingSet:
    """Return stays of so many patients, one to four each, about every fifth stay positive.

    A patient's stays resemble each other, in values and in labels. `signal` is how strongly the first seven features tell
    the label: 0 not at all, 1 an AUROC of about 0.8. `missing` is the share of missing measurements; age and sex are known.
    """
    random = np.random.default_rng(seed)
    many = random.choice(4, patients, p=[0.75, 0.15, 0.07, 0.03]) + 1
    subjects = np.repeat(np.arange(patients, dtype="int64") * 7 + 10_000_000, many)
    own = np.repeat(random.normal(size=(patients, len(NAMES))), many, axis=0)
    latent = 0.7 * own + 0.714 * random.normal(size=own.shape)
    latent[:, 6:] = own[:, 6:]
    odds = -1.9 + signal * latent @ WEIGHTS + 0.7 * own[:, 7]
    labels = (random.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype("int64")
    latent[:, 7] = np.where(own[:, 6] * 5 % 2 < 1, 1.0, -1.0)  # a patient's own, and unrelated to the rest
    values = np.round(CENTRE + SPREAD * latent, 3)
    values[:, 3:6] = np.maximum(values[:, 3:6], 0.3)
    values[:, 6] = np.clip(np.round(values[:, 6]), 18, 100)
    lost = random.random(values.shape) < missing
    lost[:, 6:] = False
    return TrainingSet(
        feature_names=NAMES,
        values=np.where(lost, np.nan, values),
        labels=labels,
        subjects=subjects,
        stays=np.arange(len(labels), dtype="int64") + 30_000_000,
        age=values[:, 6].copy(),
        sex=np.where(values[:, 7] == 1.0, "male", "female"),
    )


@pytest.fixture(scope="session")
def training_set() -> Callable[..., TrainingSet]:
    """Make a training set: `training_set(patients=400, seed=0, signal=1.0, missing=0.1)`."""
    return _training_set
