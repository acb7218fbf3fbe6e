"""The one Airflow plugin; everything else under plugins/ is a package that Airflow only imports (see .airflowignore)."""

from airflow.plugins_manager import AirflowPlugin


class ScreeningPlugin(AirflowPlugin):
    """Names the project in `airflow plugins` and in the UI."""

    name = "risk_screening"
