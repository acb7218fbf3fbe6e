"""How illness shows: a latent severity that moves all six features at once, under much noise.

Severity is standard normal in the well and shifted in the septic. Each feature follows it with a gain, on top of a
level of the patient's own and of the noise of single readings; laboratory values do so on a log scale. The gains are
set so that a model of 24 h means separates the septic at an AUROC of about 0.85, and not at 0.99.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.synthetic.terms import FEATURES

Floats = NDArray[np.float64]

PREVALENCE_LOGIT = -1.58
SEPTIC_SHIFT = 1.75


@dataclass(frozen=True, slots=True)
class Sign:
    """How one feature answers to severity.

    Attributes
    ----------
    centre, gain, between, within
        Level of a 60-year-old man at severity 0; change for each unit of severity; spread of patients' own levels;
        spread of readings. On the log scale where `log`.
    age, female
        Change for each year above 60, and for women.
    low, high, decimals
        Bounds and rounding of a reading in the canonical unit.
    """

    centre: float
    gain: float
    between: float
    within: float
    age: float
    female: float
    low: float
    high: float
    decimals: int
    log: bool = False


SIGNS: dict[str, Sign] = {
    "heart_rate": Sign(84, 7, 10, 5, -0.12, 2, 35, 210, 0),
    "temperature": Sign(36.9, 0.28, 0.32, 0.25, -0.003, 0.05, 33.5, 41.8, 1),
    "respiratory_rate": Sign(17.5, 1.7, 2.4, 2, 0.01, 0, 6, 55, 0),
    "wbc": Sign(math.log(9.5), 0.2, 0.32, 0.08, 0, 0, 0.5, 90, 1, log=True),
    "lactate": Sign(math.log(1.35), 0.24, 0.36, 0.12, 0.001, 0, 0.4, 20, 1, log=True),
    "creatinine": Sign(math.log(1.0), 0.16, 0.38, 0.05, 0.004, -0.2, 0.2, 14, 1, log=True),
}


@dataclass(frozen=True, slots=True)
class Body:
    """What a patient brings to every stay: age in years, sex, and the own level of each feature."""

    age: float
    female: bool
    levels: dict[str, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Body":
        """Draw a patient of 18 to 95 years."""
        age = 18 + 77 * float(rng.beta(2.6, 1.9))
        female = bool(rng.random() < 0.45)
        draws = rng.standard_normal(len(FEATURES)).tolist()
        levels = {name: draw * SIGNS[name].between for name, draw in zip(FEATURES, draws, strict=True)}
        return cls(min(age, 94.9), female, levels)

    def sepsis_probability(self) -> float:
        """Return the prior of a septic stay; mildly higher in the old and in men."""
        logit = PREVALENCE_LOGIT + 0.012 * (self.age - 62) + (-0.07 if self.female else 0.06)
        return 1 / (1 + math.exp(-logit))


@dataclass(frozen=True, slots=True)
class Course:
    """Severity over one stay: a level, a trend for each day, and a slow wave."""

    level: float
    trend: float
    amplitude: float
    period: float
    phase: float

    @classmethod
    def draw(cls, rng: np.random.Generator, *, septic: bool) -> "Course":
        """Draw the course of a stay."""
        level, trend, amplitude = rng.standard_normal(3).tolist()
        period, phase = rng.uniform((1.0, 0.0), (3.0, 2 * math.pi)).tolist()
        shift = SEPTIC_SHIFT if septic else 0.0
        return cls(level + shift, 0.08 * trend, 0.25 * abs(amplitude), period, phase)

    def at(self, days: Floats) -> Floats:
        """Return severity at days since the ICU admission."""
        return self.level + self.trend * days + self.amplitude * np.sin(2 * math.pi * days / self.period + self.phase)


def readings(rng: np.random.Generator, feature: str, body: Body, severity: Floats) -> list[float]:
    """Return readings in the canonical unit, one for each severity."""
    sign = SIGNS[feature]
    level = sign.centre + body.levels[feature] + sign.age * (body.age - 60) + (sign.female if body.female else 0)
    values = level + sign.gain * severity + sign.within * rng.standard_normal(len(severity))
    if sign.log:
        values = np.exp(values)
    found: list[float] = np.round(np.clip(values, sign.low, sign.high), sign.decimals).tolist()
    return found
