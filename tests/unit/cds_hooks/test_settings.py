"""Settings: every variable has an effect or is refused, and nothing is opened to strangers by accident."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import certifi
import pytest

from cds_hooks.settings import _READ as READ
from cds_hooks.settings import Settings, SettingsError, from_environment

FULL = {
    "auth": ("off", "off"),
    "allow_public_without_auth": ("true", True),
    "bind": ("0.0.0.0:9000", "0.0.0.0:9000"),
    "workers": ("3", 3),
    "base_url": ("https://cds.example.org/x/", "https://cds.example.org/x"),
    "prediction_time": ("latest", "latest"),
    "zone": ("America/New_York", ZoneInfo("America/New_York")),
    "hooks": ("patient-view, encounter-start", ("patient-view", "encounter-start")),
    "require_patient_match": ("false", False),
    "clinicians_only": ("false", False),
    "strict_hook_instance": ("true", True),
    "fetch_from": ("nowhere", "nowhere"),
    "fhir_conn": ("{}", "{}"),
    "fetch_seconds": ("0.5", 0.5),
    "ca_bundle": (certifi.where(), Path(certifi.where())),
    "allow_http": ("true", True),
    "earlier_screening": ("24h", timedelta(hours=24)),
    "prefetch_today": ("true", True),
    "system_actions": ("true", True),
    "cors_origins": ("https://a.example, http://127.0.0.1:8080", ("https://a.example", "http://127.0.0.1:8080")),
    "max_body_bytes": ("2048", 2048),
    "feedback_url": ("sqlite:///x.db", "sqlite:///x.db"),
    "models": ("models", Path("models")),
    "model_file": ("model.pkl", Path("model.pkl")),
    "allow_unverified_model": ("true", True),
    "state": ("state", Path("state")),
}


def test_every_setting_is_read(tmp_path: Path) -> None:
    paths = {name: (str(tmp_path), tmp_path) for name in ("ehrs", "schemas")}
    given = FULL | paths
    assert set(given) == set(READ) == {field.name for field in fields(Settings)}
    found = from_environment({f"CDS_{name.upper()}": text for name, (text, _) in given.items()})
    assert {name: getattr(found, name) for name in given} == {name: value for name, (_, value) in given.items()}


def test_ch60_whether_calls_need_a_token_must_be_said() -> None:
    with pytest.raises(SettingsError, match=r"CDS_AUTH: say `required`"):
        from_environment({})


def test_ch60_off_does_not_reach_beyond_this_machine_by_accident() -> None:
    with pytest.raises(SettingsError, match="on a port that other machines reach"):
        from_environment({"CDS_AUTH": "off", "CDS_BIND": "0.0.0.0:8091"})
    for bind in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
        assert from_environment({"CDS_AUTH": "off", "CDS_BIND": bind}).loopback
    assert not from_environment(
        {"CDS_AUTH": "off", "CDS_BIND": "0.0.0.0:8091", "CDS_ALLOW_PUBLIC_WITHOUT_AUTH": "true"}
    ).loopback


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AUTH", "none"), ("BIND", "8091"), ("BIND", "localhost:0"), ("BIND", "localhost:99999"), ("WORKERS", "0"),
        ("WORKERS", "two"), ("BASE_URL", "cds.example.org"), ("BASE_URL", "https://u:p@cds.example.org"),
        ("BASE_URL", "https://cds.example.org?x=1"), ("EHRS", "there-is-no-such-file.yaml"), ("SCHEMAS", "nowhere-at-all"),
        ("ZONE", "Mars/Olympus"), ("HOOKS", "order-sign"), ("HOOKS", "patient-view,patient-view"), ("HOOKS", " , "),
        ("REQUIRE_PATIENT_MATCH", "yes"), ("FETCH_FROM", "anywhere"), ("FETCH_SECONDS", "0"), ("FETCH_SECONDS", "nan"),
        ("EARLIER_SCREENING", "soon"), ("CORS_ORIGINS", "*"), ("CORS_ORIGINS", "https://a.example/path"),
        ("MAX_BODY_BYTES", "1"), ("PREDICTION_TIME", "yesterday"),
    ],
)  # fmt: skip
def test_what_a_variable_cannot_mean_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"CDS_{name}"):
        from_environment({"CDS_AUTH": "off", f"CDS_{name}": text})


def test_all_problems_are_told_at_once_and_no_value_is_repeated() -> None:
    given = {"CDS_WORKERS": "secret-1", "CDS_ATUH": "secret-2", "CDS_ZONE": "secret-3"}
    with pytest.raises(SettingsError) as caught:
        from_environment(given)
    said = str(caught.value)
    assert all(name in said for name in (*given, "CDS_AUTH:"))
    assert "secret" not in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"CDS_AUTH": "required"}, "CDS_EHRS"),
        ({"CDS_AUTH": "off", "CDS_FETCH_FROM": "own"}, "CDS_FHIR_CONN"),
        ({"CDS_AUTH": "off", "CDS_CA_BUNDLE": certifi.where()}, "CDS_CA_BUNDLE has no effect without CDS_EHRS"),
        ({"CDS_AUTH": "off", "CDS_ALLOW_UNVERIFIED_MODEL": "true"}, "CDS_MODEL_FILE"),
        ({"CDS_AUTH": "required", "CDS_EHRS": "/", "CDS_ALLOW_PUBLIC_WITHOUT_AUTH": "true"}, "no effect"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        from_environment(given)


def test_the_site_s_authorities_stand_for_the_public_ones() -> None:
    given = {"CDS_AUTH": "off", "CDS_EHRS": "/"}
    assert from_environment(given).verify is True
    assert from_environment(given | {"CDS_CA_BUNDLE": certifi.where()}).verify == certifi.where()


def test_what_follows_from_other_settings() -> None:
    found = from_environment({"CDS_AUTH": "off", "CDS_BIND": "127.0.0.1:9001", "CDS_STATE": "/srv/cds", "CDS_ZONE": ""})
    assert found.base_url == "http://127.0.0.1:9001"
    assert found.feedback_url == "sqlite:////srv/cds/feedback.db"
    assert found.zone is None
