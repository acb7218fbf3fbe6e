"""What Airflow shows of us under Providers, and the form of the `fhir` connection."""

from typing import Any


def _field(label: str, kind: str, description: str) -> dict[str, Any]:
    return {"label": label, "schema": {"type": [kind, "null"]}, "description": description}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata (entry point `apache_airflow_provider`)."""
    return {
        "package-name": "airflow-risk-screening",
        "name": "FHIR R4 risk screening",
        "description": "Hook and operators that screen a FHIR population with a risk model.",
        "connection-types": [
            {
                "hook-class-name": "screening_airflow.hook.FhirHook",
                "connection-type": "fhir",
                "hook-name": "FHIR R4",
                "conn-fields": {
                    "allow_http": _field(
                        "Allow http", "boolean", "Permit an unencrypted server that is not on this host"
                    ),
                    "verify": _field("Verify TLS", "string", "Path of a CA bundle; empty verifies with the system's"),
                    "zone": _field("Site's time zone", "string", "For times without a zone, such as America/New_York"),
                    "page_size": _field("Page size", "integer", "_count of a search"),
                    "batch_entries": _field("Entries a batch", "integer", "Requests in one batch Bundle"),
                    "concurrency": _field("Concurrency", "integer", "Requests at a time from one task"),
                    "attempts": _field("Attempts", "integer", "Tries of one request before the task gives up"),
                    "connect_timeout": _field("Connect timeout", "number", "Seconds"),
                    "read_timeout": _field("Read timeout", "number", "Seconds"),
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"host": "Base URL", "login": "User (Basic)", "password": "Bearer token or password"},
                    "placeholders": {"host": "https://fhir.example.org/r4"},
                },
            }
        ],
    }
