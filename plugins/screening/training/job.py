"""What one training run is: by which schema and plan, and where its stages leave their files."""

from dataclasses import dataclass

from screening.schema import Schema
from screening.staging import Folder
from screening.training.plan import TrainingPlan


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

    @property
    def name(self) -> str:
        """The model's name in the registry."""
        return self.schema.model or self.schema.name
