"""The environment of a local Airflow: SQLite, LocalExecutor, loopback ports, secrets made for this folder alone."""

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRELOAD = (
    "airflow,airflow.executors.local_executor,pandas,pyarrow.parquet,xgboost,screening.stages,screening.model.registry"
)
"""Imported once by the forkserver instead of by every task: pandas and xgboost cost seconds of CPU a task otherwise."""
CHOSEN = ("SCREENING_SCHEMAS", "SCREENING_PLANS", "SCREENING_MODELS", "AIRFLOW_CONN_")
"""What the caller's environment may say: what is screened and trained with, and further connections. No other setting of
Airflow or the project passes, so that a stack is the same wherever it is started."""


@dataclass(frozen=True)
class Ports:
    """Loopback ports; 0 takes a free one."""

    fhir: int = 0
    airflow: int = 0
    scheduler_health: int = 0
    cds: int = 0

    def settled(self) -> "Ports":
        """Return the same with every 0 replaced by a free port.

        Raises
        ------
        RuntimeError
            Where a port is taken. Whoever listens there would be taken for ours, and a hospital loaded into it.
        """
        wanted = asdict(self)
        taken = [f"{port} ({name})" for name, port in wanted.items() if port and not is_free(port)]
        if taken:
            raise RuntimeError(f"port {', '.join(taken)} is taken: stop what listens there and start again")
        return Ports(**{name: port or free_port() for name, port in wanted.items()})


DOCUMENTED = Ports(fhir=8090, airflow=8080, scheduler_health=8974, cds=8091)
"""The ports of `make up`."""


def is_free(port: int) -> bool:
    """Return whether a server could listen on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has just ended is no hindrance
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def airflow_environment(home: Path, ports: Ports, fhir_base_url: str, *, scheduled: bool) -> dict[str, str]:
    """Return the whole environment of the Airflow processes.

    Parameters
    ----------
    home
        The Airflow home; made where it is missing. Secrets are made once and kept there, readable by the owner only.
    ports
        Settled ports.
    fhir_base_url
        What the connection `fhir_default` points to.
    scheduled
        Whether the screening DAGs run on their schedule.
    """
    home.mkdir(parents=True, exist_ok=True)
    base = f"http://127.0.0.1:{ports.airflow}"
    kept = {
        key: value
        for key, value in os.environ.items()
        if key.startswith(CHOSEN) or not key.startswith(("AIRFLOW", "SCREENING_"))
    }
    return kept | {
        "PATH": f"{ROOT / '.venv' / 'bin'}:{kept.get('PATH', '')}",
        "PYTHONPATH": str(ROOT / "plugins"),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__MP_START_METHOD": "forkserver",
        "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": PRELOAD,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__FERNET_KEY": secret(home, "fernet_key"),
        "AIRFLOW__API_AUTH__JWT_SECRET": secret(home, "jwt_secret"),
        "AIRFLOW__API__SECRET_KEY": secret(home, "secret_key"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(ports.scheduler_health),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_FHIR_DEFAULT": json.dumps({"conn_type": "fhir", "host": fhir_base_url}),
        "SCREENING_SCHEDULED": "true" if scheduled else "false",
        "SCREENING_STAGING": (home.parent / "staging").as_uri(),
        "SCREENING_REPORTS": str(home.parent / "reports"),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


def sidecar_environment(state: Path, port: int, fhir_base_url: str | None) -> dict[str, str]:
    """Return the environment of a CDS Hooks sidecar to try out: no login, each patient as of the newest value.

    Parameters
    ----------
    state
        Its folder.
    port
        A loopback port.
    fhir_base_url
        Where it fetches what was not sent; None: as the caller's environment says.

    What the caller says by `CDS_…` variables wins, but for the address. The registry and the schemas are those that
    `SCREENING_…` names for Airflow.
    """
    made = {"CDS_AUTH": "off", "CDS_PREDICTION_TIME": "latest", "CDS_STATE": str(state)}
    for ours, theirs in (("CDS_SCHEMAS", "SCREENING_SCHEMAS"), ("CDS_MODELS", "SCREENING_MODELS")):
        if os.environ.get(theirs):
            made[ours] = os.environ[theirs]
    if fhir_base_url:
        made |= {"CDS_FETCH_FROM": "own", "CDS_FHIR_CONN": json.dumps({"conn_type": "fhir", "host": fhir_base_url})}
    said = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "SCREENING_"))}
    address = {"CDS_BIND": f"127.0.0.1:{port}", "PYTHONPATH": str(ROOT / "plugins"), "PYTHONUNBUFFERED": "1"}
    return made | said | address


def secret(home: Path, name: str) -> str:
    """Return a secret of this home, made at the first call: 32 random bytes in the form that Fernet keys have."""
    path = home / f".{name}"
    if not path.exists():
        import base64

        text = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
    return path.read_text()
