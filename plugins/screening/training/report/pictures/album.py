"""All pictures of a training run, in the order in which they are read."""

from screening.training.report.pictures.canvas import Draw, Evaluation, Picture, picture
from screening.training.report.pictures.cohort import attrition, covariates
from screening.training.report.pictures.importance import importances
from screening.training.report.pictures.probability import calibration, net_benefit, thresholds
from screening.training.report.pictures.ranking import candidates, curves, subgroups

PICTURES: dict[str, tuple[Draw, str]] = {
    "attrition": (attrition, "Each row is what is left after one more rule; the last row is the data of this report."),
    "covariates": (
        covariates,
        "Left: the further right, the more often missing. Right: the difference of the means in standard deviations.",
    ),
    "candidates": (candidates, "Each dot is a candidate's figure, each bar where it may as well lie."),
    "curves": (
        curves,
        "The further the line from the dotted one, the better; where the band reaches the dotted line, it may be chance.",
    ),
    "calibration": (
        calibration,
        "On the dotted line the probability says what happens; below it the model promises more risk than there is.",
    ),
    "thresholds": (
        thresholds,
        "Choose a threshold at the bottom and read upward what is found, how many alerts are true, and how many there are.",
    ),
    "net_benefit": (
        net_benefit,
        "The highest line is the best way to act for whoever would look at 1/threshold stays to find one.",
    ),
    "importances": (importances, "The longer the bar, the more the ranking needs that feature; it tells no cause."),
    "subgroups": (subgroups, "A group whose bar lies left of the blue line is served worse; a wide bar tells little."),
}


def pictures(evaluation: Evaluation) -> list[Picture]:
    """Draw them all; what is undefined is said in words in its picture."""
    return [picture(name, how, draw, evaluation) for name, (draw, how) in PICTURES.items()]
