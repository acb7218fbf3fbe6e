"""Train a model: one Airflow DAG for each training YAML in `include/training`."""

from screening_airflow.training_factory import training_dags

globals().update(training_dags())
