"""The few calls of Airflow's REST API that the demo and the stack tests make."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests


class AirflowApi:
    """A client of a local Airflow whose simple auth manager lets everybody in."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, method: str, path: str, *, json: Any = None, **params: Any) -> Any:
        """Call `/api/v2/<path>`; raise with Airflow's own words where it refuses."""
        answer = self.session.request(method, f"{self.base_url}/api/v2/{path}", json=json, params=params, timeout=60)
        if not answer.ok:
            raise RuntimeError(f"Airflow refused {method} {path}: HTTP {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def wait_until_healthy(self, check: Callable[[], None], patience: float = 120.0) -> None:
        """Wait for the API server, and take a token; `check` raises where a process has died."""
        end = time.monotonic() + patience
        while True:
            check()
            try:
                if self.session.get(f"{self.base_url}/api/v2/monitor/health", timeout=5).ok:
                    break
            except requests.RequestException:
                pass
            if time.monotonic() > end:
                raise RuntimeError(f"Airflow's API server did not answer within {patience:.0f} s")
            time.sleep(0.3)
        token = self.session.get(f"{self.base_url}/auth/token", timeout=30)
        token.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def wait_for_dag(self, dag_id: str, check: Callable[[], None], patience: float = 120.0) -> None:
        """Wait until the DAG processor has found a DAG."""
        end = time.monotonic() + patience
        while True:
            check()
            found = self.call("GET", "dags", limit=100)["dags"]
            if any(dag["dag_id"] == dag_id for dag in found):
                return
            if time.monotonic() > end:
                errors = self.call("GET", "importErrors")["import_errors"]
                raise RuntimeError(f"DAG {dag_id} was not found within {patience:.0f} s; import errors: {errors}")
            time.sleep(0.3)

    def ensure_pool(self, name: str, slots: int) -> None:
        """Make a pool where it is missing: tasks of a pool that does not exist are never run."""
        pools = self.call("GET", "pools", limit=100)["pools"]
        if all(pool["name"] != name for pool in pools):
            body = {"name": name, "slots": slots, "description": "Guards the FHIR server"}
            self.call("POST", "pools", json=body)

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run as the UI does, without a logical date; return its id."""
        return str(self.call("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})["dag_run_id"])

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        check: Callable[[], None],
        progress: Callable[[str], None],
        patience: float = 900.0,
    ) -> str:
        """Wait for a run to end and tell its progress; return its state."""
        end = time.monotonic() + patience
        while True:
            check()
            state = str(self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])
            tasks = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)["task_instances"]
            progress(_progress(tasks))
            if state in ("success", "failed"):
                return state
            if time.monotonic() > end:
                raise RuntimeError(f"run {run_id} of {dag_id} did not end within {patience:.0f} s")
            time.sleep(1.0)


def _progress(tasks: list[dict[str, Any]]) -> str:
    """Return `cohort 1/1, batch.fetch 2/3, …` in the order of the data's way."""
    order = ("cohort", "batch.fetch", "batch.featurize", "batch.predict", "batch.write", "summarize")
    all_of, done = Counter[str](), Counter[str]()
    for task in tasks:
        all_of[task["task_id"]] += 1
        done[task["task_id"]] += task["state"] == "success"
    return ", ".join(f"{name.removeprefix('batch.')} {done[name]}/{all_of[name]}" for name in order if all_of[name])
