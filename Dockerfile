# Python 3.11 as in requirements.lock: a model is read by the versions it was tested with. The image runs as `airflow`
# (uid 50000), not as root.
FROM apache/airflow:3.3.2-python3.11

# Airflow's documented way to extend its image: its own pin is repeated, so that pip cannot move it.
COPY --chown=airflow:root requirements.txt /opt/airflow/requirements.txt
RUN pip install --no-cache-dir "apache-airflow==3.3.2" -r /opt/airflow/requirements.txt

# A named volume takes owner and mode of the folder that it covers.
RUN mkdir -m 0770 -p /opt/airflow/staging /opt/airflow/reports /opt/airflow/auth

COPY --chown=airflow:root dags /opt/airflow/dags
COPY --chown=airflow:root plugins /opt/airflow/plugins
COPY --chown=airflow:root include /opt/airflow/include

# Registers the provider, by which the UI has a form for connections of type `fhir`; the code stays in plugins/.
COPY --chown=airflow:root pyproject.toml /opt/airflow/pyproject.toml
RUN pip install --no-cache-dir --no-deps --editable /opt/airflow

ENV PYTHONPATH=/opt/airflow/plugins
USER airflow
