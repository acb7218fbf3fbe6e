"""MIMIC-IV in a real PostgreSQL gives what its CSV files give; whatever is wrong with one is said, without secrets."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from tests.postgres import Postgres, load, postgres

from screening.errors import DataFileError, FatalError, TemporaryError
from screening.readers import mimic_tables
from screening.readers.mimic import EVENTS
from screening.readers.mimic_postgres import PostgresTables
from screening.readers.mimic_tables import CsvTables, MimicTables
from screening.schema import load_schema
from screening.synthetic import Dirt, Hospital, write_mimic_csv
from screening.training import run, staged
from screening.training.data import TrainingSet
from screening.training.learning.artifact import data_fingerprint
from screening.training.plan import load_plan
from screening.training.stays import COLUMNS, Stays

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")
PLAN = load_plan(ROOT / "include" / "training" / "sepsis.yaml")
NOW = datetime(2026, 3, 8, 18, tzinfo=UTC)  # the clock leapt forward in the night before
HOSPITAL = Hospital(60, 3, NOW, Dirt(unknown_gender=0.2, comparator=0.05, string_value=0.05, cancelled=0.05))
WANTED = {**COLUMNS, **EVENTS}
MANY = 300_000  # rows of the large database
ITEMS = {"chartevents": (220045, 220210, 223761, 223762), "labevents": (50813, 50912, 51301)}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mimic")
    write_mimic_csv(HOSPITAL, path)
    return path


@pytest.fixture(scope="module")
def loaded(server: Postgres, folder: Path) -> str:
    """A database with the hospital in it; it is not changed."""
    load(server, "mimic", folder)
    return server.dsn("mimic")


@pytest.fixture(scope="module")
def large(server: Postgres, loaded: str) -> str:
    """A database with many chartevents more."""
    server.run("CREATE DATABASE large TEMPLATE mimic")
    more = (
        "INSERT INTO mimiciv_icu.chartevents (subject_id, stay_id, charttime, itemid, valuenum, valueuom) "
        "SELECT 1, 1, '2150-01-01', 220045, i, 'bpm' FROM generate_series(1, 300000) i"
    )
    server.run(more, "ANALYZE", database="large")
    return server.dsn("large")


@pytest.fixture
def changed(server: Postgres, loaded: str) -> Iterator[Any]:
    """Make a copy of the database and change it: `changed("DROP TABLE …")` returns its dsn."""

    def change(*statements: str) -> str:
        server.run("DROP DATABASE IF EXISTS changed", "CREATE DATABASE changed TEMPLATE mimic")
        server.run(*statements, database="changed")
        return server.dsn("changed")

    yield change
    server.run("DROP DATABASE IF EXISTS changed WITH (FORCE)")


@pytest.fixture(scope="module")
def reader(server: Postgres, loaded: str) -> str:
    """A user who may do nothing yet."""
    server.run("CREATE ROLE reader LOGIN PASSWORD 'hunter2-reader'")
    return "reader"


def rows_of(tables: MimicTables, table: str, columns: tuple[str, ...], itemids: tuple[int, ...] = ()) -> pa.Table:
    found = pa.Table.from_batches(list(tables.batches(table, columns, itemids=itemids)))
    return found.sort_by([(name, "ascending") for name in columns])


def trained(tables: MimicTables, folder: Path) -> tuple[Stays, TrainingSet, Any]:
    job = run.Job(SCHEMA, PLAN, folder)
    run.locate(job, tables, run.Described("invented", True))
    run.cohort(job, tables)
    run.extract(job, tables)
    run.features(job)
    return staged.load_stays(folder), staged.load_set(folder), staged.load_json(folder, "dropped_whole")


def the_same(one: MimicTables, other: MimicTables, tmp_path: Path) -> TrainingSet:
    """Hold two ways to one hospital against each other, from the first row to the fingerprint; return the training set."""
    stays, data, dropped = trained(one, tmp_path / "one")
    more_stays, more_data, more_dropped = trained(other, tmp_path / "other")
    pd.testing.assert_frame_equal(stays.frame, more_stays.frame)
    assert stays.attrition == more_stays.attrition
    assert dropped == more_dropped
    for name in ("values", "labels", "subjects", "stays", "age"):
        assert getattr(data, name).tobytes() == getattr(more_data, name).tobytes()
    assert data.sex.tolist() == more_data.sex.tolist()
    assert data_fingerprint(data) == data_fingerprint(more_data)
    return data


# What is read


@pytest.mark.parametrize("table", WANTED)
def test_every_table_has_the_rows_of_its_file(loaded: str, folder: Path, table: str) -> None:
    with PostgresTables(loaded) as tables:
        whole = rows_of(tables, table, WANTED[table])
        assert whole == rows_of(CsvTables(folder), table, WANTED[table])
        assert whole.schema == pa.schema([(name, mimic_tables.COLUMN_TYPES[name]) for name in WANTED[table]])
        assert len(whole) == tables.fingerprint()[table]["rows"] > 0


@pytest.mark.parametrize("table", ITEMS)
def test_only_the_wanted_items_are_read(loaded: str, folder: Path, table: str) -> None:
    with PostgresTables(loaded) as tables:
        some = rows_of(tables, table, EVENTS[table], ITEMS[table][:1])
        assert some == rows_of(CsvTables(folder), table, EVENTS[table], ITEMS[table][:1])
        assert set(some.column("itemid").to_pylist()) == {ITEMS[table][0]}
        (none,) = tables.batches(table, ["valuenum", "itemid"], itemids=[1])
        assert (len(none), none.schema.names) == (0, ["valuenum", "itemid"])


def test_the_training_set_is_that_of_the_files(loaded: str, folder: Path, tmp_path: Path) -> None:
    with PostgresTables(loaded) as tables:
        data = the_same(tables, CsvTables(folder), tmp_path)
    assert len(data) > 30
    assert 0 < data.labels.sum() < len(data)
    assert np.isnan(data.values).any()


def model_file(tables: MimicTables, folder: Path) -> bytes:
    """Take all stages up to the model file; with little of each candidate, since the bytes are what counts."""
    little = {"logistic_regression": {}, "random_forest": {"n_estimators": 10}, "xgboost": {"n_estimators": 10}}
    plan = PLAN.model_copy(update={"folds": 2, "bootstrap": 100, "candidates": little})
    job = run.Job(SCHEMA, plan, folder)
    run.locate(job, tables, run.Described("MIMIC-IV", False))
    run.cohort(job, tables)
    run.extract(job, tables)
    run.features(job)
    for candidate in plan.candidates:
        run.fit(job, candidate)
    run.evaluate(job)
    return staged.load_bytes(folder, "model.pkl")


def test_the_model_file_is_that_of_the_files_byte_for_byte(server: Postgres, tmp_path: Path) -> None:
    write_mimic_csv(Hospital(300, 3, NOW, HOSPITAL.dirt), tmp_path / "mimic")
    load(server, "trained", tmp_path / "mimic")
    with PostgresTables(server.dsn("trained")) as tables:
        made = model_file(tables, tmp_path / "one")
    assert made == model_file(CsvTables(tmp_path / "mimic"), tmp_path / "other")


def test_the_real_demo_gives_the_same_from_both(server: Postgres, real_data: Path, tmp_path: Path) -> None:
    demo = real_data / "mimic-iv-demo-2.2"
    load(server, "demo", demo)
    with PostgresTables(server.dsn("demo")) as tables:
        assert len(the_same(tables, CsvTables(demo), tmp_path)) > 100
        assert model_file(tables, tmp_path / "model") == model_file(CsvTables(demo), tmp_path / "model_of_files")


def test_odd_cells_are_read_as_those_of_a_file(changed: Any) -> None:
    dsn = changed(
        "ALTER DATABASE changed SET extra_float_digits = -10",
        "TRUNCATE mimiciv_hosp.labevents, mimiciv_hosp.patients",
        "INSERT INTO mimiciv_hosp.labevents (labevent_id, subject_id, itemid, valuenum, value, comments) VALUES "
        "(1, 1, 7, 'NaN', '', E'a \"quoted\"\\r\\nline, and é'), (2, 1, 7, '-Infinity', '\\.', NULL),"
        "(3, 1, 7, 0.30000000000000004, ' NA ', ''), (4, 1, 7, 5e-324, NULL, '\\N')",
        "INSERT INTO mimiciv_hosp.patients VALUES (1, '', 50, 2150, '2008 - 2010', NULL)",
        "INSERT INTO mimiciv_hosp.diagnoses_icd VALUES (1, 1, 1, '0389', 9)",
    )
    with PostgresTables(dsn) as tables:
        found = rows_of(tables, "labevents", ("valuenum", "value", "comments")).to_pylist()
        assert {(row["valuenum"], row["value"], row["comments"]) for row in found} == {
            (None, None, 'a "quoted"\r\nline, and é'),
            (None, "\\.", None),
            (0.1 + 0.2, " NA ", None),
            (5e-324, None, "\\N"),
        }
        assert sum(len(batch) for batch in tables.batches("labevents", ["comments"])) == 4
        assert rows_of(tables, "patients", ("gender",)).to_pylist() == [{"gender": None}]
        codes = rows_of(tables, "diagnoses_icd", ("hadm_id", "icd_code")).to_pylist()
        assert codes[0] == {"hadm_id": 1, "icd_code": "0389"}


def test_the_server_s_own_settings_change_nothing(changed: Any, folder: Path) -> None:
    dsn = changed(
        "ALTER DATABASE changed SET datestyle = 'German'",
        "ALTER DATABASE changed SET client_encoding = 'LATIN1'",
        "ALTER DATABASE changed SET timezone = 'Asia/Tokyo'",
        "ALTER DATABASE changed SET search_path = 'mimiciv_icu'",
    )
    with PostgresTables(dsn) as tables:
        for table in ("chartevents", "patients"):
            assert rows_of(tables, table, WANTED[table]) == rows_of(CsvTables(folder), table, WANTED[table])


# How it is read


def test_memory_is_bounded_and_progress_is_told(large: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimic_tables, "_ROWS_BETWEEN_REPORTS", 1)
    told: list[tuple[str, int, float]] = []
    with PostgresTables(large, lambda *what: told.append(what)) as tables:
        stream = tables.batches("chartevents", EVENTS["chartevents"], itemids=ITEMS["chartevents"])
        sizes = [len(next(stream)), len(next(stream))]
        first = list(told)
        sizes += [len(batch) for batch in stream]
    assert max(sizes) < 130_000  # 50,000, and four blocks of a million bytes over
    assert sum(sizes) > MANY
    assert 0 < first[-1][1] < 260_000  # a part of the table, when the second batch was there
    assert {name for name, _, _ in told} == {"chartevents"}
    assert [rows for _, rows, _ in told] == sorted(rows for _, rows, _ in told)
    assert 0 < told[0][2] <= told[-1][2] <= 1  # of the text, which is read ahead


def test_all_tables_are_of_one_moment(changed: Any, server: Postgres) -> None:
    with PostgresTables(changed()) as tables:
        before = len(rows_of(tables, "patients", COLUMNS["patients"]))
        server.run("DELETE FROM mimiciv_hosp.patients", "DELETE FROM mimiciv_icu.icustays", database="changed")
        assert len(rows_of(tables, "patients", COLUMNS["patients"])) == before > 0
        assert len(rows_of(tables, "icustays", COLUMNS["icustays"])) > 0
    with PostgresTables(server.dsn("changed")) as later:
        assert len(rows_of(later, "patients", COLUMNS["patients"])) == 0


def test_nothing_can_be_written(loaded: str) -> None:
    with PostgresTables(loaded) as tables:
        tables.check(COLUMNS)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            tables._cursor().execute("CREATE TABLE mimiciv_icu.mine (i int)")


def test_a_stream_that_is_left_ends_nothing(large: str) -> None:
    with PostgresTables(large) as tables:
        stream = tables.batches("chartevents", EVENTS["chartevents"])
        next(stream)
        with pytest.raises(FatalError, match="patients is asked for while chartevents is read"):
            next(tables.batches("patients", COLUMNS["patients"]))
        stream.close()
        assert tables.fingerprint() == {}
        assert len(rows_of(tables, "patients", COLUMNS["patients"])) == HOSPITAL.size


def test_the_digest_tells_change_and_not_order(changed: Any, server: Postgres, loaded: str) -> None:
    def digest(dsn: str) -> Any:
        with PostgresTables(dsn) as tables:
            rows_of(tables, "chartevents", EVENTS["chartevents"])
            return tables.fingerprint()["chartevents"]

    move = "CREATE TABLE moved AS SELECT * FROM mimiciv_icu.chartevents ORDER BY random()"
    back = "INSERT INTO mimiciv_icu.chartevents SELECT * FROM moved"
    first = digest(loaded)
    assert digest(changed(move, "TRUNCATE mimiciv_icu.chartevents", back)) == first
    other = digest(
        changed(
            "UPDATE mimiciv_icu.chartevents SET valuenum = valuenum + 1 "
            "WHERE ctid = (SELECT min(ctid) FROM mimiciv_icu.chartevents)"
        )
    )
    assert (other["rows"], other["digest"] != first["digest"]) == (first["rows"], True)


def test_psycopg_is_imported_when_a_database_is_opened() -> None:
    seen = "import sys; import screening.readers.mimic_postgres; sys.exit('psycopg' in sys.modules)"
    subprocess.run([sys.executable, "-c", seen], check=True, cwd=ROOT, env={"PYTHONPATH": "plugins"})


# What is wrong with a database

EXPECTED = "Expected is a database that mimic-code (mimic-iv/buildmimic/postgres) built from MIMIC-IV 2.0 or later"


def test_all_that_is_missing_is_named_at_once(changed: Any, server: Postgres, reader: str) -> None:
    changed(
        "DROP TABLE mimiciv_hosp.transfers",
        "ALTER TABLE mimiciv_hosp.patients DROP COLUMN dod, DROP COLUMN anchor_age",
        "ALTER TABLE mimiciv_hosp.labevents ALTER COLUMN charttime TYPE timestamptz",
        "GRANT USAGE ON SCHEMA mimiciv_hosp TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA mimiciv_hosp TO reader",
        "REVOKE SELECT ON mimiciv_hosp.admissions FROM reader",
        "GRANT SELECT (subject_id) ON mimiciv_hosp.admissions TO reader",
    )
    dsn = server.dsn("changed", user=reader, password="hunter2-reader")
    with PostgresTables(dsn, name="connection mimic") as tables, pytest.raises(DataFileError) as caught:
        tables.check(WANTED)
    assert str(caught.value) == (
        "connection mimic: MIMIC-IV cannot be read from this database:\n"
        "  - mimiciv_icu: this user may not look into it: GRANT USAGE ON SCHEMA mimiciv_icu\n"
        "  - mimiciv_hosp.patients lacks anchor_age, dod\n"
        "  - mimiciv_hosp.admissions: this user may not read hadm_id, deathtime: GRANT SELECT ON mimiciv_hosp.admissions\n"
        "  - mimiciv_hosp.transfers: there is no such table\n"
        "  - mimiciv_hosp.labevents: charttime should be timestamp without time zone, as mimic-code has it\n"
        f"{EXPECTED}."
    )


def test_another_build_is_recognized(changed: Any) -> None:
    dsn = changed("ALTER SCHEMA mimiciv_hosp RENAME TO mimic_core", "ALTER SCHEMA mimiciv_icu RENAME TO mimic_icu")
    with PostgresTables(dsn) as tables, pytest.raises(DataFileError) as caught:
        tables.check(WANTED)
    assert str(caught.value).splitlines()[1:] == [
        "  - mimiciv_hosp: there is no such schema",
        "  - mimiciv_icu: there is no such schema",
        f"{EXPECTED}; tables of these names lie in mimic_core, mimic_icu.",
    ]


def test_a_whole_database_passes(loaded: str) -> None:
    with PostgresTables(loaded) as tables:
        tables.check(WANTED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DROP TABLE mimiciv_hosp.patients", "there is no such table"),
        ("ALTER TABLE mimiciv_hosp.patients DROP COLUMN dod", "a column is missing"),
        ("ALTER TABLE mimiciv_hosp.patients ALTER COLUMN dod TYPE text USING 'in May'", "column dod: the cell is not"),
        ("ALTER TABLE mimiciv_hosp.patients ALTER COLUMN dod TYPE timestamptz", "column dod: the cell is not a date"),
        ("UPDATE mimiciv_hosp.patients SET dod = 'infinity'", "column dod: the cell is not a date"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_never_told(changed: Any, change: str, words: str) -> None:
    with PostgresTables(changed(change), name="connection mimic") as tables, pytest.raises(DataFileError) as caught:
        list(tables.batches("patients", COLUMNS["patients"]))
    assert words in str(caught.value)
    assert str(caught.value).startswith("connection mimic, mimiciv_hosp.patients")
    assert "May" not in str(caught.value)
    assert "infinity" not in str(caught.value)


def test_rows_that_a_policy_hides_are_an_error_and_not_a_smaller_cohort(
    changed: Any, server: Postgres, reader: str
) -> None:
    changed(
        "GRANT USAGE ON SCHEMA mimiciv_hosp TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA mimiciv_hosp TO reader",
        "ALTER TABLE mimiciv_hosp.patients ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY half ON mimiciv_hosp.patients USING (subject_id % 2 = 0)",
    )
    dsn = server.dsn("changed", user=reader, password="hunter2-reader")
    with PostgresTables(dsn) as tables, pytest.raises(DataFileError, match="may not read all rows of it"):
        list(tables.batches("patients", COLUMNS["patients"]))


def test_a_connection_lost_in_the_middle_is_no_result(large: str, server: Postgres) -> None:
    with PostgresTables(large, name="connection mimic") as tables:
        stream = tables.batches("chartevents", EVENTS["chartevents"])
        next(stream)
        assert tables._connection is not None
        server.run(f"SELECT pg_terminate_backend({tables._connection.info.backend_pid})")
        with pytest.raises(TemporaryError, match=r"connection mimic, mimiciv_icu.chartevents: the connection was lost"):
            list(stream)
        assert tables.fingerprint() == {}
        # Another connection would see another moment.
        for again in (lambda: list(tables.batches("patients", COLUMNS["patients"])), lambda: tables.check(COLUMNS)):
            with pytest.raises(TemporaryError, match=r"the connection was lost.*begin again"):
                again()


def test_a_statement_timeout_is_said(large: str) -> None:
    dsn = psycopg.conninfo.make_conninfo(large, options="-c statement_timeout=40")
    with PostgresTables(dsn) as tables, pytest.raises(DataFileError, match="raise statement_timeout for this user"):
        list(tables.batches("chartevents", EVENTS["chartevents"]))


def test_the_server_s_trouble_may_pass_and_the_query_s_does_not(changed: Any) -> None:
    fail = (
        "CREATE FUNCTION fail() RETURNS date LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'Patient Smith' USING ERRCODE = '{state}'; END $$"
    )
    view = (
        "CREATE VIEW mimiciv_hosp.patients AS "
        "SELECT subject_id, gender, anchor_age, anchor_year, anchor_year_group, fail() AS dod FROM mimiciv_hosp.kept"
    )
    for state, kind in (("53200", TemporaryError), ("22012", DataFileError)):
        dsn = changed("ALTER TABLE mimiciv_hosp.patients RENAME TO kept", fail.format(state=state), view)
        with PostgresTables(dsn) as tables, pytest.raises(kind, match=f"SQLSTATE {state}") as caught:
            list(tables.batches("patients", COLUMNS["patients"]))
        assert "Smith" not in str(caught.value)


SECRET = "hunter2-secret"


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"password": SECRET}, DataFileError, "refuses the user or the password"),
        ({"password": ""}, DataFileError, "wants a password"),
        ({"dbname": SECRET}, DataFileError, "no such database or user"),
        ({"port": 1}, TemporaryError, "no connection: is the server up"),
        ({"host": f"{SECRET}.invalid"}, TemporaryError, "no connection: is the server up"),
        (SECRET, FatalError, "is none that PostgreSQL knows"),
    ],
    ids=str,
)
def test_no_connection_is_said_without_secrets(
    server: Postgres, change: Any, kind: type[Exception], words: str
) -> None:
    dsn = change if isinstance(change, str) else server.dsn(**change)
    with PostgresTables(dsn, name="connection mimic") as tables, pytest.raises(kind, match=words) as caught:
        tables.check(WANTED)
    told = f"{caught.value}{caught.value.__cause__}"
    assert told.startswith("connection mimic: ")
    assert caught.value.__suppress_context__
    assert not any(secret in told for secret in (SECRET, server.password, "127.0.0.1", str(server.port)))
