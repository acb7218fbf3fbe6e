"""The DAG that stands for a YAML that cannot be used: it fails when it runs, and says why.

An import error would stop the DAGs of all other files too, and a DAG that is only missing is missed by nobody.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from screening_airflow.run_files import safe
from screening_airflow.run_operators import RefuseOperator


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is the same for all files of one kind.

    Attributes
    ----------
    prefix
        Of the DAG's id, and its tag: `screening` or `training`.
    subject
        What cannot be used: `The schema`.
    consequence
        What does not happen meanwhile, as one sentence.
    """

    prefix: str
    subject: str
    consequence: str

    def dag(
        self,
        path: Path,
        taken: Container[str],
        reason: str,
        *,
        schedule: Any = None,
        start_date: datetime | None = None,
    ) -> DAG:
        """Wire the DAG of one file.

        Parameters
        ----------
        path
            The file; the DAG is called after it.
        taken
            Ids of DAGs that there are already: a file that cannot be used takes nobody's name.
        schedule, start_date
            As `DAG` has them; without a schedule it runs when somebody starts it.
        """
        plain = f"{self.prefix}_{safe(path.stem)}"
        with DAG(
            dag_id=f"{plain}_refused" if plain in taken else plain,
            description=f"{self.subject} cannot be used: see the DAG's documentation",
            doc_md=f"# {path.name} cannot be used\n\n```\n{reason}\n```\n\n{self.consequence}",
            schedule=schedule,
            start_date=start_date,
            catchup=False,
            tags=[self.prefix, "refused"],
        ) as dag:
            RefuseOperator(task_id="refuse", reason=reason)
        return dag
