"""The deployment files hold together: compose file, Dockerfile, .env.example, pins and docs/deployment.md.

Where `docker-compose` is installed its `config` resolves the file; elsewhere the file is resolved here, by the few rules
that it uses, and every assertion is made all the same.
"""

import base64
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_hooks.settings import SettingsError, from_environment
from screening.fhir_client.settings import ClientSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = shutil.which("docker-compose")
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
DOCS = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.M)
SECRETS = [name for name, _ in EXAMPLE]
FILLED = {name: f"secret-of-{name.lower()}" for name in SECRETS}
MANDATORY = re.compile(r"\$\{(\w+):\?set \1 in \.env\}")
OPTIONAL = re.compile(r"\$\{(\w+):-([^}]*)\}")
CDS_DOCKERFILE = (ROOT / "Dockerfile.cds").read_text(encoding="utf-8")
SETTINGS = {
    "CDS_AUTH", "CDS_ALLOW_PUBLIC_WITHOUT_AUTH", "CDS_BASE_URL", "CDS_EHRS", "CDS_FETCH_FROM", "CDS_FHIR_CONN",
    "CDS_FEEDBACK_URL", "CDS_CORS_ORIGINS", "CDS_CA_BUNDLE", "CDS_ALLOW_HTTP",
}  # fmt: skip


def config(folder: Path, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `docker-compose config` with an .env of these values and nothing of the caller's environment but the path."""
    env_file = folder / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
    command = [
        str(COMPOSE),
        "--file",
        str(ROOT / "docker-compose.yaml"),
        "--env-file",
        str(env_file),
        "--profile",
        "cds",
        "config",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The compose file with its variables put in and its anchors merged."""
    if COMPOSE:
        done = config(tmp_path_factory.mktemp("compose"), FILLED)
        assert done.returncode == 0, done.stderr
        return dict(yaml.safe_load(done.stdout))
    return dict(yaml.safe_load(OPTIONAL.sub(r"\2", MANDATORY.sub(lambda found: FILLED[found[1]], TEXT))))


@pytest.fixture(scope="module")
def services(resolved: dict[str, Any]) -> dict[str, Any]:
    return dict(resolved["services"])


def airflow_of(services: dict[str, Any]) -> dict[str, Any]:
    return {name: body for name, body in services.items() if name.startswith("airflow-")}


def target_of(volume: Any) -> tuple[str, str]:
    """Return the target of a volume and its mode."""
    if isinstance(volume, dict):
        return volume["target"], "ro" if volume.get("read_only") else "rw"
    _, target, *mode = volume.split(":")
    return target, mode[0] if mode else "rw"


def test_every_variable_is_mandatory_has_no_default_and_names_itself() -> None:
    bare = TEXT.replace("$$", "")
    others = OPTIONAL.findall(bare)
    assert bare.count("$") == len(MANDATORY.findall(bare)) + len(others)
    assert set(MANDATORY.findall(bare)) == set(SECRETS)
    # No secrets of Airflow's: folders, with an empty volume where there is none, and what the sidecar is told.
    folders = {"MIMIC_DIR": "mimic", "CDS_EHRS_DIR": "ehrs"}
    assert {name for name, _ in others} == folders.keys() | SETTINGS
    assert {name: default for name, default in others if name in folders} == folders
    assert {default for name, default in others if name in SETTINGS} == {"", "http://127.0.0.1:8091"}


def test_the_example_gives_names_and_no_values() -> None:
    assert len(SECRETS) == len(set(SECRETS)) == 5
    assert [value for _, value in EXAMPLE] == [""] * 5


def test_what_sounds_like_a_secret_comes_from_env(services: dict[str, Any]) -> None:
    found = {
        key: value
        for body in services.values()
        for key, value in body.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|KEY|TOKEN|SQL_ALCHEMY_CONN", key) and not key.endswith("_FILE")
    }
    assert len(found) == 6
    assert all("secret-of-" in value for value in found.values())


@pytest.mark.parametrize("missing", SECRETS)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_missing_secret_stops_everything_and_is_named(missing: str, how: str, tmp_path: Path) -> None:
    if COMPOSE:
        left = {name: value for name, value in FILLED.items() if name != missing}
        done = config(tmp_path, left if how == "absent" else left | {missing: ""})
        assert done.returncode != 0
        assert f"set {missing} in .env" in done.stderr
        assert not any(value in done.stderr for value in left.values())
    assert f"${{{missing}:?set {missing} in .env}}" in TEXT  # `:?` refuses an empty one too


def test_every_service_has_a_healthcheck_or_says_why_not(services: dict[str, Any]) -> None:
    for name, body in services.items():
        reason = body.get("labels", {}).get("screening.no-healthcheck", "")
        assert bool(body.get("healthcheck", {}).get("test")) != (len(reason) > 20), name


def test_who_waits_for_health_waits_for_a_service_that_has_a_healthcheck(services: dict[str, Any]) -> None:
    waits = [(on, how["condition"]) for body in services.values() for on, how in body.get("depends_on", {}).items()]
    assert {"service_healthy", "service_completed_successfully", "service_started"} == {how for _, how in waits}
    for on, how in waits:
        assert (how == "service_healthy") == ("healthcheck" in services[on]), on
    assert services["airflow-scheduler"]["depends_on"]["airflow-apiserver"]["condition"] == "service_healthy"


def test_every_port_is_on_loopback(services: dict[str, Any]) -> None:
    ports = [port for body in services.values() for port in body.get("ports", [])]
    assert len(ports) == 3
    for port in ports:
        assert (port["host_ip"] if isinstance(port, dict) else port.split(":")[0]) == "127.0.0.1"


def test_no_image_floats(services: dict[str, Any]) -> None:
    images = {body["image"] for body in services.values()}
    assert "airflow-risk-screening:local" in images
    for image in images:
        assert re.fullmatch(r"[a-z/-]+:(?!latest)[\w.-]+", image), image


def test_the_image_has_the_pinned_airflow_and_the_tested_python() -> None:
    pin = re.search(r"^apache-airflow==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M)
    locked = re.search(r"^apache-airflow==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M)
    base = re.search(r"^FROM apache/airflow:([\d.]+)-python([\d.]+)$", DOCKERFILE, re.M)
    again = re.search(r'pip install .*"apache-airflow==([\d.]+)" -r', DOCKERFILE)
    python = re.search(r"--python-version ([\d.]+)", (ROOT / "Makefile").read_text())
    assert pin is not None
    assert locked is not None
    assert base is not None
    assert again is not None
    assert python is not None
    assert pin[1] == locked[1] == base[1] == again[1]
    assert base[2] == python[1]


def test_the_dockerfile_is_classic_and_ends_as_another_than_root() -> None:
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    assert {line.split()[0] for line in lines} == {"FROM", "COPY", "RUN", "ENV", "USER"}
    assert "<<" not in DOCKERFILE
    assert "--mount" not in DOCKERFILE
    assert [line.split()[1] for line in lines if line.startswith("USER")][-1] == "airflow"


def test_what_the_dockerfiles_copy_is_there_and_nothing_else_is_sent() -> None:
    copied = re.findall(r"^COPY --chown=airflow:root (\S+) /opt/airflow/(\S+)$", DOCKERFILE, re.M)
    cds = re.findall(r"^COPY (\S+) /opt/sidecar/(\S+)$", CDS_DOCKERFILE, re.M)
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert len(copied) == DOCKERFILE.count("\nCOPY ")
    assert len(cds) == CDS_DOCKERFILE.count("\nCOPY ")
    assert all(source == target and (ROOT / source).exists() for source, target in [*copied, *cds])
    assert "*" in rules
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {
        source.split("/")[0] for source, _ in [*copied, *cds]
    }


def test_the_sidecar_s_image_has_its_requirements_in_the_tested_versions_and_ends_as_another_than_root() -> None:
    lines = [line for line in CDS_DOCKERFILE.splitlines() if line and not line.startswith("#")]
    python = re.search(r"--python-version ([\d.]+)", (ROOT / "Makefile").read_text())
    assert python is not None
    assert lines[0] == f"FROM python:{python[1]}-slim"
    assert (
        "pip install --no-cache-dir -r /opt/sidecar/requirements-cds.txt -c /opt/sidecar/requirements.lock"
        in CDS_DOCKERFILE
    )
    assert [line.split()[1] for line in lines if line.startswith("USER")] == ["sidecar"]
    assert "CDS_AUTH=" not in CDS_DOCKERFILE  # it has no default
    assert "airflow" not in " ".join(lines).lower()


def test_the_sidecar_reads_alone_and_keeps_its_state(services: dict[str, Any]) -> None:
    body = services["cds-hooks"]
    mounts = dict(target_of(volume) for volume in body["volumes"])
    assert mounts == {"/opt/sidecar/include": "ro", "/opt/sidecar/ehrs": "ro", "/opt/sidecar/state": "rw"}
    assert body["read_only"] is True
    assert body["profiles"] == ["cds"]  # who does not say who may ask is not given one
    assert "CDS_STATE=/opt/sidecar/state" in CDS_DOCKERFILE
    assert body["healthcheck"]["test"][-1] in CDS_DOCKERFILE


def test_ch60_the_compose_file_says_not_by_itself_who_may_ask(services: dict[str, Any]) -> None:
    environment = services["cds-hooks"]["environment"]
    assert not environment["CDS_AUTH"]
    assert set(environment) == SETTINGS
    given = {name: value for name, value in environment.items() if value} | {"CDS_BIND": "0.0.0.0:8091"}
    with pytest.raises(SettingsError, match="CDS_AUTH: say `required`"):
        from_environment(given)
    with pytest.raises(SettingsError, match="on a port that other machines reach"):
        from_environment(given | {"CDS_AUTH": "off"})
    settings = from_environment(given | {"CDS_AUTH": "off", "CDS_ALLOW_PUBLIC_WITHOUT_AUTH": "true"})
    assert settings.base_url == "http://127.0.0.1:8091"


def test_the_example_names_the_sidecar_s_settings_as_comments() -> None:
    named = re.findall(r"^# (CDS_\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.M)
    assert set(named) <= SETTINGS | {"CDS_EHRS_DIR"}
    assert {"CDS_AUTH", "CDS_BASE_URL", "CDS_EHRS"} <= set(named)


def test_the_docs_name_these_services_and_their_ports(services: dict[str, Any]) -> None:
    section = DOCS.split("## Services")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| .+ \| (.+) \| (.+) \|$", section, re.M)
    assert {name for name, _, _ in rows} == set(services)
    for name, ports, check in rows:
        mapped = services[name].get("ports")
        assert ports == (str(mapped[0]).split(":")[1] if mapped else "none")
        assert check.startswith("none") != ("healthcheck" in services[name]), name


def test_the_docs_name_every_secret_and_volume(resolved: dict[str, Any]) -> None:
    named = re.findall(r"^\| `([\w-]+)` \|", DOCS, re.M)
    assert set(SECRETS) | set(resolved["volumes"]) <= set(named)


def test_airflow_services_share_one_environment(services: dict[str, Any]) -> None:
    environments = {name: dict(body["environment"]) for name, body in airflow_of(services).items()}
    assert len(environments) == 5
    admin = [name for name, environment in environments.items() if environment.pop("AIRFLOW_ADMIN_PASSWORD", None)]
    assert admin == ["airflow-init"]
    assert all(environment == environments["airflow-init"] for environment in environments.values())


def test_the_connection_is_one_that_the_client_takes(services: dict[str, Any]) -> None:
    connection = json.loads(services["airflow-scheduler"]["environment"]["AIRFLOW_CONN_FHIR_DEFAULT"])
    assert set(connection) == {"conn_type", "host", "extra"}
    assert connection["conn_type"] == "fhir"
    assert ClientSettings(base_url=connection["host"], **connection["extra"]).base_url == "http://hapi:8080/fhir"


def test_code_is_mounted_read_only_where_python_looks(services: dict[str, Any]) -> None:
    for name, body in airflow_of(services).items():
        mounts = dict(target_of(volume) for volume in body["volumes"])
        code = {f"/opt/airflow/{folder}": "ro" for folder in ("dags", "plugins", "include")}
        if name != "airflow-init":
            assert code.items() <= mounts.items(), name
        assert body["environment"]["PYTHONPATH"] == "/opt/airflow/plugins"
        assert body["environment"]["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_patient_data_and_results_are_seen_by_the_scheduler_alone(services: dict[str, Any]) -> None:
    for folder, setting in (("staging", "SCREENING_STAGING"), ("reports", "SCREENING_REPORTS")):
        path = f"/opt/airflow/{folder}"
        seen = [name for name, body in services.items() if path in dict(map(target_of, body.get("volumes", [])))]
        assert seen == ["airflow-scheduler"]
        assert services["airflow-scheduler"]["environment"][setting].removeprefix("file://") == path


def test_models_are_published_by_the_scheduler_alone(services: dict[str, Any]) -> None:
    path = "/opt/airflow/include/models"
    seen = {name: dict(map(target_of, body.get("volumes", []))).get(path) for name, body in services.items()}
    assert {name: mode for name, mode in seen.items() if mode} == {"airflow-scheduler": "rw"}


@pytest.mark.parametrize("folder", ["", "/data/mimiciv/3.1"])
def test_mimic_is_mounted_read_only_into_the_scheduler_alone_or_an_empty_volume_is(
    services: dict[str, Any], folder: str, tmp_path: Path
) -> None:
    assert "# MIMIC_DIR=" in (ROOT / ".env.example").read_text(encoding="utf-8")  # as a comment it is no secret to fill
    if COMPOSE:
        done = config(tmp_path, FILLED | ({"MIMIC_DIR": folder} if folder else {}))
        services = yaml.safe_load(done.stdout)["services"]
    elif folder:
        services = yaml.safe_load(OPTIONAL.sub(folder, MANDATORY.sub("x", TEXT)))["services"]
    found = {
        name: volume
        for name, body in services.items()
        for volume in body.get("volumes", [])
        if target_of(volume)[0] == "/opt/airflow/mimic"
    }
    assert list(found) == ["airflow-scheduler"]
    (volume,) = found.values()
    assert target_of(volume)[1] == "ro"
    source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
    assert source == (folder or "mimic")
    assert "mimic" in yaml.safe_load(TEXT)["volumes"]


def test_the_pool_is_the_one_that_the_tasks_take(services: dict[str, Any]) -> None:
    factory = (ROOT / "plugins" / "screening_airflow" / "dag_factory.py").read_text(encoding="utf-8")
    pool = re.search(r'^POOL = "(\w+)"$', factory, re.M)
    assert pool is not None
    assert f"airflow pools set {pool[1]} 4 " in services["airflow-init"]["command"][-1]


def test_the_documented_command_fills_env_with_fit_secrets(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".env.example", tmp_path)
    command = DOCS.split("```bash\n")[1].split("docker compose build")[0]
    subprocess.run(["bash", "-euc", command], cwd=tmp_path, check=True, timeout=30)
    made = dict(re.findall(r"^(\w+)=([\w=-]+)$", (tmp_path / ".env").read_text(encoding="utf-8"), re.M))
    assert list(made) == SECRETS
    assert len(set(made.values())) == 5
    assert len(base64.urlsafe_b64decode(made["AIRFLOW__CORE__FERNET_KEY"])) == 32
    assert len(made["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64  # below that, SHA512 has a key shorter than it should be
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    if COMPOSE:
        assert config(tmp_path, made).returncode == 0


def test_env_is_ignored_by_git() -> None:
    assert "/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split("\n")
