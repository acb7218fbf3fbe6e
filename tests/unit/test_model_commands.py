"""`python -m screening model …`: the registry as it is shown, the champion as it moves, a file as it is checked."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.charts import ROOT, WEIGHTS, Rule, sepsis

from screening.__main__ import main
from screening.errors import ModelError
from screening.model.bundle import as_bundle
from screening.model.registry import publish
from screening.model_checks import Verdict, check_content, refused
from screening.scoring import check_fits

TUTORIAL = ROOT.parent / "shared" / "data" / "healthchain-demo-patients" / "sepsis_model.pkl"
NAMES = list(sepsis().feature_names)


def told_by_schema() -> dict[str, Any]:
    """Metadata of a model trained with the shipped schema."""
    features = sepsis().features.values()
    return {
        "feature_names": NAMES,
        "metrics": {"optimal_threshold": 0.4},
        "units": {feature.name: feature.unit for feature in features},
        "aggregation": {feature.name: feature.how for feature in features if feature.codes},
        "schema_sha256": sepsis().fingerprint(),
        "synthetic": True,
        "versions": {},
    }


def fitted(columns: int = len(NAMES), classes: int = 2) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(1)
    return RandomForestClassifier(n_estimators=3, random_state=1).fit(
        rng.normal(size=(60, columns)), np.arange(60) % classes
    )


def model_file(content: Any) -> bytes:
    import joblib

    file = io.BytesIO()
    joblib.dump(content, file)
    return file.getvalue()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A registry with versions 1 (champion) and 2, which is tiny and carries a whole evaluation."""
    home = tmp_path / "models"
    evaluation = {"parts": {"test": {"auroc": {"value": 0.71, "low": 0.62, "high": 0.8}}}}
    for version, metrics in (("1", {"auroc": 0.7, "f1": 0.5}), ("2", evaluation)):
        metadata = {**told_by_schema(), "note": version, "imputation": {"wbc": 9.0}}
        publish(
            home, "sepsis", version, model=model_file({"model": fitted(), "metadata": metadata}), synthetic=True,
            training_data={"rows": 60}, created=datetime(2026, 3, 1, tzinfo=UTC), metrics=metrics,
            model_card=f"# Card of {version}\n", more={"tiny": True} if version == "2" else {}, promoted=version == "1",
        )  # fmt: skip
    return home


def run(models: Path, command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(["model", *command.split(), "--models", str(models)])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_list_shows_every_version(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "aki").mkdir()
    status, out, err = run(models, "list sepsis", capsys)
    assert (status, err) == (0, "")
    head, one, two = out.splitlines()
    assert head == "sepsis"
    assert one.startswith("* 1 ")
    assert "2026-03-01  sha256 " in one
    assert one.endswith("synthetic  AUROC 0.700  F1 0.500")
    assert two.startswith("  2 ")
    assert two.endswith("synthetic tiny  AUROC 0.710 (0.620 to 0.800)")
    status, out, _ = run(models, "list", capsys)
    assert status == 1  # aki has no champion
    assert [line for line in out.splitlines() if not line.startswith((" ", "*"))] == [
        f"aki: {models}/aki/champion.json: there is no champion of model 'aki': promote one of its versions (none)",
        "sepsis",
    ]


def test_list_shows_what_is_broken(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "sepsis" / "2" / "model.pkl").write_bytes(b"x")
    (models / "sepsis" / "3").mkdir()
    status, out, _ = run(models, "list sepsis", capsys)
    assert status == 1
    _, one, two, three = out.splitlines()
    assert "broken" not in one
    assert "AUROC 0.710" in two
    assert "broken: " in two
    assert "its sha256 is" in two
    assert three.startswith("  3            broken: ")
    assert three.endswith("manifest.json: no such file")


def test_list_of_an_empty_registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(tmp_path, "list", capsys)
    assert (status, out) == (0, f"{tmp_path} holds no model\n")


def test_show_tells_the_champion_or_the_version(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(models, "show sepsis", capsys)
    assert (status, err) == (0, "")
    assert out.startswith("sepsis 1, sha256 ")
    for line in (
        "marks: champion, synthetic",
        'created: 2026-03-01T00:00:00+00:00; training data: {"rows": 60}',
        "figures: AUROC 0.700, F1 0.500",
        "threshold: 0.4; calibration: null",
        "takes missing values: yes; medians stored: wbc 9",
    ):
        assert line in out.splitlines()
    assert "temperature (Cel, mean)" in out
    assert "gender_encoded\n" in out
    status, out, _ = run(models, "show sepsis 2", capsys)
    assert out.startswith("sepsis 2, sha256 ")
    assert "marks: synthetic, tiny\n" in out


def test_show_as_json_is_all_of_it(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(models, "promote sepsis 2", capsys)
    status, out, _ = run(models, "show sepsis --json", capsys)
    told = json.loads(out)
    assert status == 0
    assert (told["version"], told["champion"], told["rollback_leads_to"], told["tiny"]) == ("2", True, "1", True)
    assert told["features"] == NAMES
    assert told["imputation"] == {"wbc": 9.0}
    assert told["metrics"]["parts"]["test"]["auroc"]["low"] == 0.62
    assert told["manifest"]["training_data"] == {"rows": 60}
    assert json.loads(run(models, "show sepsis 1 --json", capsys)[1])["champion"] is False


def test_show_prints_the_card(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(models, "show sepsis --card", capsys) == (0, "# Card of 1\n", "")
    assert run(models, "show sepsis 2 --card", capsys) == (0, "# Card of 2\n", "")
    (models / "sepsis" / "2" / "model_card.md").unlink()
    status, _, err = run(models, "show sepsis 2 --card", capsys)
    assert status == 2
    assert "model_card.md: cannot be read: FileNotFoundError" in err


def test_show_notes_what_the_model_warns_of(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = models / "sepsis" / "1" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "versions": {"numpy": "1.0.0"}}))
    assert "note: fitted with other versions than run here: numpy 1.0.0 → " in run(models, "show sepsis", capsys)[1]


def test_promote_and_rollback(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(models, "promote sepsis 2", capsys) == (0, "sepsis 2 is champion\n", "")
    assert "a rollback leads to 1\n" in run(models, "show sepsis", capsys)[1]
    assert run(models, "rollback sepsis", capsys) == (0, "sepsis 1 is champion again, after 2\n", "")
    assert "a rollback" not in run(models, "show sepsis", capsys)[1]
    status, _, err = run(models, "rollback sepsis", capsys)
    assert status == 2
    assert "nothing to roll back to" in err
    assert "promote a version instead; there is: 1, 2" in err
    status, _, err = run(models, "promote sepsis 9", capsys)
    assert (status, "no version '9'; there is: 1, 2" in err) == (2, True)
    assert "* 1" in run(models, "list", capsys)[1]


def test_check_of_a_published_file(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(models, f"check {models}/sepsis/2/model.pkl", capsys)
    assert (status, err) == (0, "")
    assert "  ok        file                 published as sepsis 2, with the sha256 of its manifest" in out
    assert "  ok        registry             model sepsis 2 loads from the registry" in out
    assert "refused" not in out
    with (models / "sepsis" / "2" / "model.pkl").open("ab") as file:
        file.write(b"x")
    status, out, _ = run(models, f"check {models}/sepsis/2/model.pkl", capsys)
    assert status == 1
    assert "its sha256 is" in out
    assert out.endswith("refused: it would not drop in\n")


def test_check_sees_what_only_the_registry_holds_against_it(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = models / "sepsis" / "2" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "feature_names": NAMES[::-1]}))
    status, out, _ = run(models, f"check {models}/sepsis/2/model.pkl", capsys)
    assert status == 1
    assert "  refused   registry " in out
    assert "not those of the model" in out


class Bomb:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("exploded"),)


def test_check_loads_no_file_of_unknown_origin_unasked(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.pkl").write_bytes(model_file(Bomb()))
    status, out, err = run(models, "check mine.pkl", capsys)
    assert (status, out) == (2, "")
    assert "loading a pickle runs whatever code it holds" in err
    assert not (tmp_path / "exploded").exists()
    status, out, _ = run(models, "check mine.pkl --allow-unverified", capsys)
    assert status == 1
    assert "loading it has run whatever code it holds" in out
    assert "  refused   keys                 holds a NoneType, not a dict" in out
    assert (tmp_path / "exploded").exists()
    status, _, err = run(models, "check none.pkl --allow-unverified", capsys)
    assert (status, "none.pkl: no such file" in err) == (2, True)


def test_check_of_a_file_that_is_none(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.pkl").write_bytes(b"no pickle")
    status, out, _ = run(models, f"check {tmp_path}/mine.pkl --allow-unverified", capsys)
    assert status == 1
    assert "cannot be unpickled" in out


class Ours:
    """A model of the user's own, which tells nothing of itself."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict_proba(self, rows: Any) -> Any:
        found = np.asarray(self.answer(rows), dtype=float)
        return np.column_stack([1 - found, found])


def content(model: Any = None, *, scaler: Any = None, leave: tuple[str, ...] = (), **metadata: Any) -> dict[str, Any]:
    told = {key: value for key, value in {**told_by_schema(), **metadata}.items() if key not in leave}
    return {"model": fitted() if model is None else model, "scaler": scaler, "metadata": told}


def named_otherwise() -> Any:
    import pandas as pd

    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(60, len(NAMES))), columns=NAMES[::-1])
    return fitted().fit(frame, np.arange(60) % 2)


def booster() -> Any:
    from xgboost import XGBClassifier

    rng = np.random.default_rng(1)
    return XGBClassifier(n_estimators=2).fit(rng.normal(size=(60, len(NAMES))), np.arange(60) % 2).get_booster()


GOOD: dict[str, Any] = {
    "as the schema says": content,
    "three keys and no more": lambda: content(leave=("units", "aggregation", "schema_sha256", "synthetic", "versions")),
    "no threshold": lambda: content(leave=("metrics",)),
    "a booster": lambda: content(booster()),
    "one of the user's own": lambda: content(Ours(lambda rows: np.full(len(rows), 0.5))),
    "no NaN, no medians": lambda: content(Ours(lambda rows: np.clip(rows[:, 0] * 0 + 0.5, 0, 1))),
    "another schema": lambda: content(schema_sha256="0" * 64),
    "a calibration": lambda: content(calibration={"method": "platt", "coef": 1.0, "intercept": 0.0}),
    "another class": lambda: content(positive_class=0),
    "older libraries": lambda: content(versions={"numpy": "1.0"}),
    "a scaler that is not applied": lambda: content(scaler=fitted_scaler()),
}
BAD: dict[str, tuple[Any, dict[str, str]]] = {
    "no dict": (lambda: [1], {"keys": "holds a list, not a dict"}),
    "no metadata": (lambda: {"model": fitted()}, {"keys": "lacks the key(s) metadata"}),
    "metadata that is none": (lambda: {"model": 1, "metadata": 2}, {"keys": "metadata is a int, not a dict"}),
    "no names": (lambda: content(leave=("feature_names",)), {"feature names": "lacks metadata.feature_names"}),
    "no predict_proba": (lambda: content(object()), {"predict_proba": "a object, has no predict_proba"}),
    "other columns": (lambda: content(fitted(7)), {"columns": "fitted on 7 columns, but metadata.feature_names has 8"}),
    "another order": (lambda: content(named_otherwise()), {"columns": "names and order must agree"}),
    "three classes": (lambda: content(fitted(classes=3)), {"classes": "classes are [0, 1, 2], not 0 and 1"}),
    "no such class": (lambda: content(positive_class=2), {"classes": "metadata.positive_class is 2"}),
    "a scaler that is none": (lambda: content(scaler=1), {"scaler": "scaler has no transform"}),
    "NaN": (lambda: content(Ours(lambda r: r[:, 0] * np.nan)), {"probe rows": "answers with NaN or with numbers"}),
    "margins": (lambda: content(Ours(lambda r: np.full(len(r), 1.5))), {"probe rows": "outside 0 to 1"}),
    "it fails": (lambda: content(Ours(lambda r: 1 / 0)), {"probe rows": "ZeroDivisionError"}),
    "unfitted": (lambda: content(type(fitted())()), {"probe rows": "NotFittedError"}),
    "odd medians": (lambda: content(imputation={"wbc": "9"}), {"imputation": "must be a dict of feature name to"}),
    "a threshold of 1": (lambda: content(metrics={"optimal_threshold": 1}), {"threshold": "above 0 and below 1"}),
    "falling": (
        lambda: content(calibration={"method": "platt", "coef": -1, "intercept": 0}), {"calibration": "coef above 0"},
    ),
    "perhaps": (lambda: content(synthetic="perhaps"), {"synthetic": "must be true or false"}),
    "a few": (lambda: content(tiny="a few"), {"synthetic": "metadata.tiny must be true or false"}),
    "another feature": (
        lambda: content(fitted(9), feature_names=[*NAMES, "bmi"]), {"schema: names": "that the schema lacks: bmi"},
    ),
    "Fahrenheit": (
        lambda: content(units={**told_by_schema()["units"], "temperature": "[degF]"}),
        {"schema: units": "temperature ([degF], the schema has Cel)"},
    ),
    "the last value": (
        lambda: content(aggregation={"wbc": "last"}), {"schema: aggregation": "wbc (last, the schema has mean)"},
    ),
    "all at once": (
        lambda: content(fitted(3, classes=3), metrics={"optimal_threshold": 2}, units={"wbc": "g"}, calibration=1),
        {
            "columns": "3 columns", "classes": "[0, 1, 2]", "threshold": "below 1", "calibration": "must be",
            "schema: units": "wbc (g",
        },
    ),
}  # fmt: skip


def fitted_scaler() -> Any:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(np.random.default_rng(1).normal(size=(60, len(NAMES))))


def loads(given: Any) -> bool:
    """Tell whether the loader itself takes it."""
    try:
        check_fits(as_bundle(given, name="m", version="1"), sepsis())
    except ModelError:
        return False
    return True


@pytest.mark.parametrize("case", GOOD)
def test_what_loads_passes_every_check(case: str) -> None:
    given = GOOD[case]()
    found = check_content(given, sepsis())
    assert loads(given)
    assert [check for check in found if check.verdict not in (Verdict.OK, Verdict.NOTE)] == []
    assert found[-1].name == "load"
    assert len(found) == 18


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_load_is_refused_for_its_reason_and_no_other(case: str) -> None:
    make, expected = BAD[case]
    given = make()
    found = check_content(given, sepsis())
    assert not loads(given)
    assert refused(found)
    told = {check.name: check.words for check in found if check.verdict is Verdict.REFUSED}
    assert set(told) == set(expected)
    assert [name for name, words in expected.items() if words not in told[name]] == []
    assert all(check.name != "load" for check in found)


@pytest.mark.parametrize(
    ("case", "name", "words"),
    [
        ("three keys and no more", "schema: units", "does not tell its units"),
        ("three keys and no more", "schema: aggregation", "does not tell its aggregation"),
        ("three keys and no more", "schema: version", "does not tell which schema"),
        ("three keys and no more", "synthetic", "does not tell whether"),
        ("three keys and no more", "versions", "does not tell which libraries"),
        ("no threshold", "threshold", "risk_levels alone decide"),
        ("one of the user's own", "columns", "neither names nor how many"),
        ("as the schema says", "columns", "only how many"),
        ("no NaN, no medians", "missing values", "a patient without heart_rate or temperature or"),
        ("another schema", "schema: version", "another version of the schema"),
        ("older libraries", "versions", "numpy 1.0 → "),
        ("a scaler that is not applied", "scaler", "it is not applied"),
    ],
)
def test_what_is_worth_knowing_is_a_note(case: str, name: str, words: str) -> None:
    (check,) = [one for one in check_content(GOOD[case](), sepsis()) if one.name == name]
    assert check.verdict is Verdict.NOTE
    assert words in check.words


def test_what_a_model_is_of_is_told_whatever_its_manifest_says() -> None:
    given = content(synthetic=True, tiny=True)
    for manifest in ({}, {"synthetic": False, "tiny": False}):
        (check,) = [one for one in check_content(given, sepsis(), manifest) if one.name == "synthetic"]
        assert (check.verdict, check.words) == (Verdict.OK, "trained on invented patients, too few to judge it by")


def test_what_rests_on_a_refused_check_is_not_asked() -> None:
    found = {check.name: check for check in check_content(content(object()), sepsis())}
    assert {name for name, check in found.items() if check.verdict is Verdict.NOT_ASKED} == {
        "columns", "classes", "probe rows", "missing values",
    }  # fmt: skip
    assert found["columns"].words == "needs predict_proba"
    assert found["schema: units"].verdict is Verdict.OK


def test_the_tutorials_model_drops_in_with_notes(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not TUTORIAL.exists():
        pytest.skip("the tutorial's model is not here: it is looked for in ../shared/data/healthchain-demo-patients")
    status, out, _ = run(models, f"check {TUTORIAL} --allow-unverified", capsys)
    assert status == 0
    assert "pickled with scikit-learn 1.8.0" in out
    assert out.endswith("it drops in; 7 notes to read\n")


def test_a_model_of_rules_in_the_tests_is_one_too() -> None:
    given = {"model": Rule(WEIGHTS), "metadata": {"feature_names": list(WEIGHTS)}}
    assert not refused(check_content(given, sepsis()))
