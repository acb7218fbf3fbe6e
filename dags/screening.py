"""Screen a population: one Airflow DAG for each schema in `include/schemas` that has a schedule."""

from screening_airflow.dag_factory import screening_dags

globals().update(screening_dags())
