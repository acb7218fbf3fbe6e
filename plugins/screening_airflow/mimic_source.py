"""Where a training run's MIMIC-IV lies, by the run's params and Airflow's connections."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from screening.errors import FatalError
from screening_airflow import run_files

if TYPE_CHECKING:
    from screening.readers.mimic_tables import MimicTables
    from screening.training.source import Source

log = logging.getLogger(__name__)


def invented_folder(dag_id: str, run_id: str) -> Path:
    """Return where a run's invented hospital lies: among its reports, since the staging may be no folder of this machine."""
    return run_files.reports(dag_id, run_id) / "invented_mimic"


def chosen_source(params: Mapping[str, Any], dag_id: str, run_id: str) -> Source:
    """
    Return what a run's params choose; an invented hospital is written into the run's reports folder.

    :raises FatalError: where both a folder and a database are given.
    """
    from screening.training.source import Source, invented

    folder, conn_id = params["mimic_folder"], params["postgres_conn_id"]
    if folder and conn_id:
        raise FatalError("give mimic_folder or postgres_conn_id, not both")
    if folder:
        return Source("folder", str(folder))
    if conn_id:
        return Source("postgres", str(conn_id))
    patients = int(params["synthetic_patients"])
    log.info("neither folder nor database is given: inventing a hospital of %s patients", f"{patients:,}")
    return invented(invented_folder(dag_id, run_id), patients)


def opened(source: Source, log: Any) -> AbstractContextManager[MimicTables]:
    """Open the tables of a source; progress goes to the task's log."""
    from screening.training.source import tables

    def progress(table: str, rows: int, share: float) -> None:
        log.info("%s: %s rows read, %.0f %%", table, f"{rows:,}", share * 100)

    return tables(source, progress, dsn)


def dsn(conn_id: str) -> str:
    """Return libpq's connection string of a connection of type `postgres`; its extra holds further options of libpq."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise FatalError(
            f"there is no connection {conn_id}: make one of type postgres under Admin, Connections, or name another with "
            "the run's postgres_conn_id"
        ) from None
    if found.conn_type != "postgres":
        raise FatalError(f"connection {conn_id} is of type {found.conn_type}: training needs one of type postgres")
    given: dict[str, Any] = {
        "host": found.host, "port": found.port, "dbname": found.schema, "user": found.login, "password": found.password,
    }  # fmt: skip
    try:
        extra = json.loads(found.extra or "{}")
        return make_conninfo(**{key: value for key, value in given.items() if value}, **extra)
    except (ValueError, TypeError, ProgrammingError):  # their words may quote the extra
        raise FatalError(
            f'connection {conn_id}: the extra must be a JSON object of libpq\'s own options, such as {{"sslmode": '
            '"require"}'
        ) from None
