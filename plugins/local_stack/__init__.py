"""Everything on one machine, for the demo, for a look and for the tests: FHIR sandbox, CDS Hooks sidecar, real Airflow.

Loopback only, inside the project's folder `var/`, stopped by pid. Production is docker-compose.yaml or your own Airflow.
"""
