import sqlite3
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from fhir_sandbox.refusals import Refusal
from fhir_sandbox.store import Store

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def ids(store):
    with store.reading() as reader:
        return [row[0] for row in reader.rows("SELECT id FROM resource ORDER BY seq")]


def test_what_was_stored_is_there_after_a_restart(tmp_path, observation):
    path = tmp_path / "fhir.sqlite"
    first = Store(path)
    first.load([observation("o1"), observation("o2")])
    with first.writing() as writer:
        writer.delete(writer.newest("Observation", "o2"))
    first.close()
    second = Store(path)
    assert second.counts() == {"Observation": 1}
    with second.reading() as reader:
        assert orjson.loads(reader.newest("Observation", "o1").body)["subject"] == {"reference": "Patient/p1"}
        assert reader.newest("Observation", "o2").body is None
        assert [version.version for version in reader.versions_of("Observation", "o2")] == [2, 1]
    second.close()


def test_the_file_is_written_ahead_and_a_temporary_one_goes_away(tmp_path):
    kept = Store(tmp_path / "fhir.sqlite")
    with kept.reading() as reader:
        assert reader.rows("PRAGMA journal_mode") == [("wal",)]
    kept.close()
    assert (tmp_path / "fhir.sqlite").exists()
    temporary = Store()
    assert temporary.path.exists()
    temporary.close()
    assert not temporary.path.parent.exists()


def test_a_file_of_another_version_or_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ValueError, match="version 99"):
        Store(path)
    (tmp_path / "text").write_text("no database at all, but long enough to be read as one" * 20)
    with pytest.raises(sqlite3.DatabaseError):
        Store(tmp_path / "text")


def test_a_write_that_fails_leaves_nothing_and_the_next_one_works(observation):
    store = Store()
    with pytest.raises(Refusal):
        store.load([observation("o1"), {**observation("o2"), "effectiveDateTime": "never"}])
    assert store.counts() == {}
    store.load([observation("o3")])
    assert ids(store) == ["o3"]
    store.close()


def test_a_reader_sees_one_moment(observation):
    store = Store()
    with store.reading() as reader:
        assert reader.counts() == {}
        store.load([observation("o1")])
        assert reader.counts() == {}
    assert store.counts() == {"Observation": 1}
    store.close()


def test_load_keeps_ids_makes_versions_and_leaves_what_it_is_given_alone(observation):
    store = Store()
    given = observation("o1")
    before = orjson.dumps(given)
    assert store.load([given, {"resourceType": "Patient"}]) == 2
    assert store.load(iter([given])) == 1
    assert orjson.dumps(given) == before
    with store.reading() as reader:
        assert reader.newest("Observation", "o1").version == 2
    assert store.counts() == {"Observation": 1, "Patient": 1}
    assert store.versions() == 3
    store.close()


@pytest.mark.parametrize("bad", [{"resourceType": "Nonsense"}, {"resourceType": "Patient", "id": "a b"}, {}, "x"])
def test_load_refuses_what_is_no_resource(bad):
    store = Store()
    with pytest.raises(Refusal):
        store.load([bad])
    store.close()


def test_last_updated_never_runs_backwards(tmp_path, observation):
    path = tmp_path / "fhir.sqlite"
    moments = iter([NOON, NOON - timedelta(hours=1)])
    store = Store(path, clock=lambda: next(moments))
    store.load([observation("o1")])
    store.load([observation("o2")])
    store.close()
    again = Store(path, clock=lambda: NOON - timedelta(days=1))
    again.load([observation("o3")])
    with again.reading() as reader:
        updated = {orjson.loads(row[0])["meta"]["lastUpdated"] for row in reader.rows("SELECT body FROM resource")}
    assert updated == {"2024-05-01T12:00:00.000Z"}
    again.close()


def test_a_place_in_the_order_of_arrival_is_never_given_twice(observation):
    store = Store()
    store.load([observation("o1"), observation("o2")])
    with store.writing() as writer:
        last = writer.newest("Observation", "o2")
        writer.delete(last)
    store.load([observation("o3")])
    with store.reading() as reader:
        assert reader.newest("Observation", "o3").seq > last.seq
    store.close()
