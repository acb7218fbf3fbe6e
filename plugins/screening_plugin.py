"""The one Airflow plugin; everything else under plugins/ is a package that Airflow only imports (see .airflowignore).

Every Airflow process loads it, so it imports nothing heavy: the mounted sidecar is made at its first call, which comes to
the API server alone.
"""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from screening_airflow.settings import settings


def _links() -> list[dict[str, Any]]:
    """Return the UI's link to the sidecar: a page that needs no token, and tells which model every service answers with."""
    url = settings().cds_url
    return [{"name": "CDS Hooks", "href": f"{url}/health", "destination": "nav"}] if url else []


def _apps() -> list[dict[str, Any]]:
    """Return what the API server serves beside its own."""
    if not settings().cds_mount:
        return []
    from cds_hooks.mounted import PREFIX, Mounted

    return [{"app": Mounted(), "url_prefix": PREFIX, "name": "CDS Hooks"}]


class ScreeningPlugin(AirflowPlugin):
    """Names the project in `airflow plugins` and in the UI, with the CDS Hooks sidecar where there is one."""

    name = "risk_screening"
    external_views = _links()
    fastapi_apps = _apps()
