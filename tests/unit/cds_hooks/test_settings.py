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
    assert {*given, "prefetch_today"} == set(READ) == {field.name for field in fields(Settings)}
    assert from_environment({"CDS_AUTH": "off", "CDS_PREFETCH_TODAY": "true"}).prefetch_today  # not beside `latest`
    found = from_environment({f"CDS_{name.upper()}": text for name, (text, _) in given.items()})
    assert {name: getattr(found, name) for name in given} == {name: value for name, (_, value) in given.items()}


def test_ch60_whether_calls_need_a_token_must_be_said() -> None:
    with pytest.raises(SettingsError, match=r"CDS_AUTH: say `required`"):
        from_environment({})


def test_ch60_off_does_not_reach_beyond_this_machine_by_accident() -> None:
    with pytest.raises(SettingsError, match="on a port that other machines reach"):
        from_environment({"CDS_AUTH": "off", "CDS_BIND": "0.0.0.0:8091"})
    public = "https://cds.example.org"
    for bind in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
        assert from_environment({"CDS_AUTH": "off", "CDS_BIND": bind}).loopback
    assert not from_environment(
        {"CDS_AUTH": "off", "CDS_BIND": "0.0.0.0:8091", "CDS_ALLOW_PUBLIC_WITHOUT_AUTH": "true", "CDS_BASE_URL": public}
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
        ("FEEDBACK_URL", "feedback.db"), ("FEEDBACK_URL", "sqlite://"), ("FEEDBACK_URL", "oracle+cx_oracle://u@h/x"),
        ("STATE", __file__), ("STATE", f"{__file__}/cds"), ("MAX_BODY_BYTES", "1"), ("PREDICTION_TIME", "yesterday"),
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
        (
            {"CDS_AUTH": "off", "CDS_PREFETCH_TODAY": "true", "CDS_PREDICTION_TIME": "latest"},
            "CDS_PREFETCH_TODAY has no eff",
        ),
        ({"CDS_AUTH": "off", "CDS_EARLIER_SCREENING": "24h"}, "CDS_EARLIER_SCREENING has nobody to ask"),
        (
            {"CDS_AUTH": "required", "CDS_EHRS": "/", "CDS_EARLIER_SCREENING": "24h", "CDS_FETCH_FROM": "nowhere"},
            "CDS_EARLIER_SCREENING has nobody to ask",
        ),
        ({"CDS_AUTH": "off", "CDS_BASE_URL": "http://cds.example.org"}, "CDS_BASE_URL must be https"),
        ({"CDS_AUTH": "off", "CDS_BASE_URL": "http://127.0.0.1.evil.example"}, "CDS_BASE_URL must be https"),
        ({"CDS_AUTH": "required", "CDS_EHRS": "/", "CDS_BIND": "0.0.0.0:8091"}, "CDS_BASE_URL must be https"),
        ({"CDS_AUTH": "off", "CDS_CA_BUNDLE": certifi.where()}, "CDS_CA_BUNDLE has no effect without CDS_EHRS"),
        ({"CDS_AUTH": "off", "CDS_ALLOW_UNVERIFIED_MODEL": "true"}, "CDS_MODEL_FILE"),
        ({"CDS_AUTH": "required", "CDS_EHRS": "/", "CDS_ALLOW_PUBLIC_WITHOUT_AUTH": "true"}, "no effect"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        from_environment(given)


@pytest.mark.parametrize("more", [
    {"CDS_FHIR_CONN": "{}", "CDS_FETCH_FROM": "nowhere"}, {"CDS_FHIR_CONN": "{}", "CDS_FETCH_FROM": "own"},
    {"CDS_EHRS": "/"},
])  # fmt: skip
def test_an_earlier_screening_is_looked_up_where_somebody_can_be_asked(more: dict[str, str]) -> None:
    given = {"CDS_AUTH": "off", "CDS_EARLIER_SCREENING": "24h"}
    assert from_environment(given | more).earlier_screening == timedelta(hours=24)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8091", "http://localhost/cds", "http://[::1]:8091", "https://c.example"]
)
def test_ch82_the_public_address_is_https_or_this_machine_s(url: str) -> None:
    assert from_environment({"CDS_AUTH": "off", "CDS_BASE_URL": url}).base_url == url


def test_a_password_of_the_feedback_database_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment({"CDS_AUTH": "off", "CDS_FEEDBACK_URL": "nodb+x://user:hunter2@host/x"})
    assert "CDS_FEEDBACK_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_site_s_authorities_stand_for_the_public_ones() -> None:
    given = {"CDS_AUTH": "off", "CDS_EHRS": "/"}
    assert from_environment(given).verify is True
    assert from_environment(given | {"CDS_CA_BUNDLE": certifi.where()}).verify == certifi.where()


def test_what_follows_from_other_settings() -> None:
    found = from_environment({"CDS_AUTH": "off", "CDS_BIND": "127.0.0.1:9001", "CDS_STATE": "/srv/cds", "CDS_ZONE": ""})
    assert found.base_url == "http://127.0.0.1:9001"
    assert found.feedback_url == "sqlite:////srv/cds/feedback.db"
    assert found.zone is None
