"""F27: of two services on one hook the peer lists the last alone, and whichever is called, that one answers."""

from pathlib import Path

import pytest
from tests.charts import ROOT
from tests.conformance.cds.ehr import SERVICE, call, sidecar

OTHER = "/cds-services/other-screen-risk"


@pytest.mark.parametrize("names", [("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")])
def test_f27_each_of_two_services_on_one_hook_answers_for_itself(tmp_path: Path, names: tuple[str, str]) -> None:
    text = (ROOT / "include/schemas/sepsis.yaml").read_text()
    other = text.replace("name: sepsis", "name: other_screen").replace("title: Sepsis", "title: Other")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / names[0]).write_text(text)
    (tmp_path / "schemas" / names[1]).write_text(
        other.replace("moderate: 0.4, high: 0.7", "moderate: 0.01, high: 0.02")
    )
    with sidecar(state=tmp_path / "state", schemas=tmp_path / "schemas") as ehr:
        listed = {one["id"]: one["hook"] for one in ehr.get().json["services"]}
        assert listed == {"sepsis-risk": "patient-view", "other-screen-risk": "patient-view"}
        assert ehr.cards(call("demo-moderate"), path=SERVICE)[0]["summary"].startswith("Sepsis Risk: MODERATE")
        assert ehr.cards(call("demo-moderate"), path=OTHER)[0]["summary"].startswith("Other Risk: HIGH")
