"""A training run's connection of type `postgres`: what libpq is told of it, and what cannot be used."""

import json
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from screening.errors import FatalError
from screening.training.source import Source
from screening_airflow.mimic_source import chosen_source, dsn


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the connection `mimic`."""

    def make(**fields: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_MIMIC", json.dumps({"conn_type": "postgres"} | fields))

    return make


def test_the_fields_and_the_extra_are_what_libpq_is_told(connection: Any) -> None:
    connection(host="db", port=5433, schema="mimic", login="reader", password="it's", extra={"sslmode": "require"})
    assert conninfo_to_dict(dsn("mimic")) == {
        "host": "db", "port": "5433", "dbname": "mimic", "user": "reader", "password": "it's", "sslmode": "require",
    }  # fmt: skip


def test_what_is_empty_is_left_to_libpq(connection: Any) -> None:
    connection(host="db")
    assert conninfo_to_dict(dsn("mimic")) == {"host": "db"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"conn_type": "http", "host": "db"}, "connection mimic is of type http: training needs one of type postgres"),
        ({"extra": {"sslmood": "require"}}, "connection mimic: the extra must be a JSON object of libpq's own options"),
        ({"extra": {"host": "hunter2"}, "host": "db"}, "the extra must be a JSON object of libpq's own options"),
    ],
)
def test_a_connection_that_cannot_be_used(connection: Any, fields: dict[str, Any], words: str) -> None:
    connection(**fields)
    with pytest.raises(FatalError) as caught:
        dsn("mimic")
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_folder_or_a_database_is_taken_as_it_is_named() -> None:
    params = {"mimic_folder": None, "postgres_conn_id": None}
    assert chosen_source(params | {"mimic_folder": "/data/mimiciv/3.1"}, "d", "r") == Source(
        "folder", "/data/mimiciv/3.1"
    )
    assert chosen_source(params | {"postgres_conn_id": "mimic"}, "d", "r") == Source("postgres", "mimic")
