"""P2: the MIMIC-IV demo's tables and the same hundred patients on FHIR, pinned."""

from pathlib import Path

import pytest

from screening.__main__ import main


def test_p2_all_stays_of_the_demo_are_equal(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--mimic", str(real_data / "mimic-iv-demo-2.2"), "--fhir", str(real_data / "mimic-iv-fhir-demo")]
    assert main(["parity", *folders]) == 0
    assert capsys.readouterr().out == "140 of 140 stays are equal bit for bit\n"
