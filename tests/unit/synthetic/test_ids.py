import uuid

import pytest

from screening.synthetic.ids import SYNTHETIC_ID, stable_uuid

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, SYNTHETIC_ID)


@pytest.mark.parametrize("name", ["0/0", "7/99999", "ü", "", *(f"Observation/{number}" for number in range(40))])
def test_equals_the_standard_library_uuid5(name: str) -> None:
    assert stable_uuid(name) == str(uuid.uuid5(NAMESPACE, name))
