"""Whom the params of a run name."""

import pytest
from tests.dags.conftest import ROOT

from screening.errors import FatalError
from screening.schema import Cohort, load_schema
from screening_airflow.run_operators import wanted

SCHEMA = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")


def test_the_params_come_before_the_schema() -> None:
    assert wanted({"patient_ids": ["a"]}, SCHEMA) == Cohort(patient_ids=["a"])
    assert wanted({"cohort": "Group/icu"}, SCHEMA) == Cohort(group="Group/icu")
    assert wanted({"cohort": "Patient?active=true"}, SCHEMA) == Cohort(search="Patient?active=true")
    assert wanted({"patient_ids": [], "cohort": ""}, SCHEMA) == SCHEMA.cohort


@pytest.mark.parametrize("text", ["Group/", "Group/a b", "Group/a/b"])
def test_a_group_that_is_none_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(FatalError, match="cohort must read like") as caught:
        wanted({"cohort": text}, SCHEMA)
    assert text not in str(caught.value).replace("Group/icu", "")
