"""The pictures: the same bytes in any process, words where nothing can be drawn, and text that is text."""

import hashlib
import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from tests.charts import ROOT
from tests.unit.training.run_facts import drawn, evaluation

from screening.training.report.pictures.album import PICTURES
from screening.training.report.pictures.canvas import Picture, picture

SOME = ("covariates", "calibration", "importances")
CASES = ("whole", "tiny", "undefined")
OF_UNTOUCHED = ("curves", "calibration", "thresholds", "net_benefit", "importances", "subgroups")
AXES = {
    "attrition": ("stays with coded sepsis", "ICU stays", "with the data that screening asks for"),
    "covariates": ("missing, % of stays", "standardized mean difference", "lactate, mmol/L", "temperature, °C"),
    "candidates": ("logistic regression", "random forest", "XGBoost", "F1 (more is better)", "Brier (less)"),
    "curves": ("1 − specificity (false positive rate)", "sensitivity (recall)", "PPV (precision)"),
    "calibration": ("predicted probability", "share of stays with coded sepsis", "perfect: observed as predicted"),
    "thresholds": ("threshold on the probability", "alerts per 100 stays", "number needed to evaluate"),
    "net_benefit": ("threshold on the probability", "alert by the model", "alert for every stay", "alert for none"),
    "importances": ("loss of AUROC when the feature is shuffled", "gender_encoded"),
    "subgroups": ("sex: female", "age: 80+", "AUROC (dotted: chance)"),
}


def _texts(svg: str) -> str:
    """Return all text that is drawn, joined: a sentence is broken into lines."""
    return " ".join(" ".join(ElementTree.fromstring(svg).itertext()).split())  # noqa: S314 - drawn by ourselves


def _draw(name: str, changed: dict[str, Any]) -> Picture:
    return picture(name, "", PICTURES[name][0], changed)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_says_in_text_what_it_shows_of_how_many_stays(case: str, name: str) -> None:
    found = drawn(case)[name]
    text = _texts(found.svg)
    assert found.title
    assert found.title in text
    part = "test" if name in OF_UNTOUCHED else "cross_validation"
    stays = evaluation(case)["parts"][part]["stays"] if name not in ("attrition", "covariates") else None
    stays = stays or evaluation(case)["attrition"][-1]["stays"]
    assert f"{stays:,} stays of" in text


@pytest.mark.parametrize("name", PICTURES)
def test_axes_have_their_labels_as_text(name: str) -> None:
    text = _texts(drawn("whole")[name].svg)
    assert [label for label in AXES[name] if label not in text] == []


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_taken_out_of_the_report_still_says_what_its_data_are(name: str) -> None:
    assert "Synthetic data: no evidence of performance." in _texts(drawn("whole")[name].svg)
    assert "Synthetic and tiny data: no evidence of performance." in _texts(drawn("tiny")[name].svg)


def test_real_data_of_some_size_are_not_called_otherwise() -> None:
    real = _draw("attrition", {**evaluation("whole"), "synthetic": False})
    assert "no evidence" not in _texts(real.svg)


def test_the_same_bytes_in_another_process_of_another_zone_and_style(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.grid: False\nsvg.fonttype: path\n")
    code = (
        "import sys, hashlib; from tests.unit.training.run_facts import evaluation;"
        "from screening.training.report.pictures.album import PICTURES;"
        "from screening.training.report.pictures.canvas import picture;"
        f"drawn = [picture(name, '', PICTURES[name][0], evaluation('tiny')).svg for name in {SOME}];"
        "print(hashlib.sha256(''.join(drawn).encode()).hexdigest());"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    there = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    there["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "plugins")))
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | there, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    here = "".join(drawn("tiny")[name].svg for name in SOME)
    assert done.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_the_style_of_whoever_calls_is_left_alone() -> None:
    with mpl.rc_context({"font.size": 31.0}):
        _draw("importances", evaluation("tiny"))
        assert mpl.rcParams["font.size"] == 31.0


def test_pictures_carry_no_date_and_ids_that_are_their_own_and_used() -> None:
    everything = [one.svg for one in drawn("whole").values()]
    ids = [name for svg in everything for name in re.findall(r' id="([^"]+)"', svg)]
    used = {name for svg in everything for name in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg) for name in name}
    assert len(ids) == len(set(ids))
    assert used - {""} == set(ids)
    assert not any("<metadata" in svg or "<?xml" in svg or "DOCTYPE" in svg for svg in everything)


def test_what_is_undefined_is_said_in_words() -> None:
    said = {name: _texts(one.svg) for name, one in drawn("undefined").items()}
    assert "0 of 4,000 stays with coded sepsis" in said["curves"]
    assert "untouched patients: undefined" in said["curves"]
    assert "No calibration curve: 0 of 4,000" in said["calibration"]
    assert "undefined: the untouched stays all have one label" in said["thresholds"]
    assert "undefined: the untouched stays all have one label" in said["net_benefit"]
    assert "undefined: without stays of both labels" in said["importances"]
    assert "No subgroup's AUROC can be told" in said["subgroups"]
    assert "No difference can be told" in said["covariates"]
    assert not [name for name, text in said.items() if "nan" in text.split() or "None" in text.split()]


def test_titles_say_what_is_seen() -> None:
    titles = {name: one.title for name, one in drawn("whole").items()}
    assert (
        titles["attrition"] == "20,000 of 27,000 stays are learned from or judged by, 3,000 of them with coded sepsis"
    )
    assert titles["candidates"].startswith("XGBoost is taken: best F1 out of fold, 0.40 (0.39 to 0.41)")
    assert titles["thresholds"].startswith("At the threshold 0.22: 22.4 alerts per 100 stays find 57 %")
    assert titles["importances"] == "The model leans most on age: shuffled, it costs 0.090 of AUROC"


def test_chance_is_named_where_it_is_not_ruled_out() -> None:
    changed = deepcopy({**evaluation("tiny"), "tiny": False})
    changed["parts"]["test"]["auroc"] = {"value": 0.7, "low": 0.5, "high": 0.9}
    assert _draw("curves", changed).title == "Chance is not ruled out: AUROC 0.70 (0.50 to 0.90) on untouched patients"


def test_tiny_data_are_never_said_to_show_that_a_model_ranks() -> None:
    assert drawn("tiny")["curves"].title == "Too few to judge by: AUROC 0.88 (0.65 to 1.00) on untouched patients"
    assert drawn("whole")["curves"].title.startswith("Stays with coded sepsis are ranked higher: AUROC 0.79")


def test_a_figure_without_bounds_is_drawn_without_them() -> None:
    changed = deepcopy(evaluation("tiny"))
    for row in changed["subgroups"]:
        row["auroc"] |= {"low": None, "high": None}
    for figures in changed["candidates"].values():
        figures["f1"] |= {"low": None, "high": None}
    changed["operating_points"][1]["threshold"] = None
    changed["operating_points"][0]["sensitivity"] |= {"low": None, "high": None}
    assert "Lowest AUROC by subgroup: sex male, 0.75" in _texts(_draw("subgroups", changed).svg)
    assert "XGBoost is taken: best F1 out of fold, 0.40, of 3" in _texts(_draw("candidates", changed).svg)
    assert "sensitivity 0.80, at" not in _texts(_draw("thresholds", changed).svg)


def test_a_model_that_helps_nowhere_is_told_so() -> None:
    changed = deepcopy(evaluation("tiny"))
    changed["net_benefit"]["model"] = [-0.1] * 99
    changed["importances"] = [{**row, "auroc_loss": -0.01} for row in changed["importances"]]
    assert _draw("net_benefit", changed).title.startswith("At no threshold has the model more net benefit")
    assert _draw("importances", changed).title == "No feature is missed: shuffling none of them costs AUROC"


def test_one_candidate_is_not_called_the_best_of_one() -> None:
    changed = evaluation("tiny")
    one = {**changed, "candidates": {"xgboost": changed["candidates"]["xgboost"]}}
    assert _draw("candidates", one).title == "XGBoost is the only candidate: F1 out of fold 0.40 (0.30 to 0.50)"


def test_operating_points_are_lettered_in_the_order_of_their_thresholds() -> None:
    key = "A sensitivity 0.80, at 0.12; B best F1 (out of fold), at 0.22; C moderate, at 0.40; D high, at 0.70"
    assert key in _texts(drawn("whole")["thresholds"].svg)


@pytest.mark.parametrize("name", PICTURES)
def test_a_label_is_drawn_as_it_is_written(name: str) -> None:
    label = 'a<b> & "$x_1$"'
    found = _draw(name, {**evaluation("tiny"), "label": label})
    assert label in _texts(found.svg)
    assert "<b>" not in found.svg
