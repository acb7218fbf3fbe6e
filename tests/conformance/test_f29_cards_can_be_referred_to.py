"""F29: the peer's cards have no uuid, so that no feedback can name one, and its `title` is lost on the way."""

from collections.abc import Iterator

import pytest
from tests.conformance.cds.ehr import FEEDBACK, Ehr, Json, call, no_data, sidecar, with_keys


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with sidecar(state=tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.mark.parametrize("body", [call(), call("demo-moderate"), no_data(), with_keys(lactate=None)])
def test_f29_every_card_has_a_uuid_that_feedback_may_name(ehr: Ehr, body: Json) -> None:
    card = ehr.card(body)
    entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-03-10T12:00:00Z"}
    assert ehr.post({"feedback": [entry]}, FEEDBACK).status_code == 200


def test_f29_what_a_card_says_is_where_clients_look_for_it(ehr: Ehr) -> None:
    card = ehr.card(call())
    assert "title" not in card
    assert card["summary"].startswith("Sepsis Risk: HIGH")
