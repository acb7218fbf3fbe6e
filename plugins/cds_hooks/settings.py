"""The sidecar's settings: the only place that reads its environment. docs/cds-hooks.md tells every one of them.

Each is a variable `CDS_<NAME>`; one that there is none of is refused, for a misspelled switch must not be taken for off.
"""

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from cds_hooks import settings_text as as_text
from cds_hooks.settings_rules import contradictions
from screening.errors import FatalError

ROOT = Path(__file__).resolve().parents[2]


class SettingsError(FatalError):
    """A variable is missing, unknown or holds what it cannot mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the sidecar is told; checked when read.

    Attributes
    ----------
    auth
        `required`: every call needs a bearer JWT of one of `ehrs`. `off`: whoever reaches the port may ask.
    allow_public_without_auth
        Permits `auth` off on a port that other machines reach.
    bind
        HOST:PORT to listen on.
    workers
        Processes.
    base_url
        The public address, without a trailing slash: what a JWT's `aud` begins with, and the model card's link.
    ehrs
        YAML of the EHRs that may call, with their keys and FHIR servers; None knows none.
    schemas
        Folder of the schema YAMLs, or one file: a service for each.
    models
        The model registry.
    model_file, allow_unverified_model
        One model file for all schemas instead of the registry's champion, and whether one that no manifest vouches for is
        taken. A pickle runs code.
    state
        Folder for what the workers share: used tokens, metrics, feedback unless `feedback_url` says otherwise.
    prediction_time
        `now`, or `latest`: each patient's newest value, for demonstrations and records of the past.
    zone
        The site's time zone, for times without one; None drops such times.
    hooks
        The hooks that each service is listed for.
    require_patient_match
        Whether the prefetched Patient must be `context.patientId`.
    clinicians_only
        Whether a user who is a Patient or RelatedPerson gets no cards.
    strict_hook_instance
        Whether `hookInstance` must be a UUID.
    fetch_from
        Where prefetch keys that were not sent are fetched: the `ehr` that calls (its server must be in `ehrs`), our `own`
        FHIR connection, or `nowhere`.
    fhir_conn
        The own FHIR connection as JSON, in the form of Airflow's `AIRFLOW_CONN_…`; None has none.
    fetch_seconds
        What all fetching of one call may take.
    ca_bundle
        The certificate authorities that vouch for the EHRs' FHIR servers and key URLs, in PEM; None takes the public ones.
        The own connection has its own `verify`.
    allow_http
        Permits plain http to EHRs on other machines than this one: access tokens and patients' data then go unencrypted, so
        only where the network itself is trusted.
    earlier_screening
        How old a RiskAssessment of the last screening may be to be shown where the chart has too little data; None shows
        none.
    prefetch_today
        Whether prefetch templates bound the days by CDS Hooks 3.0's `{{today() - N days}}`, which a 2.0 client cannot fill.
    system_actions
        Whether a score also asks the EHR to create its RiskAssessment.
    cors_origins
        Origins of browser clients that may call.
    max_body_bytes
        A longer request is refused.
    feedback_url
        SQLAlchemy URL of the database that keeps feedback.
    """

    auth: Literal["required", "off"]
    allow_public_without_auth: bool = False
    bind: str = "127.0.0.1:8091"
    workers: int = 2
    base_url: str = ""
    ehrs: Path | None = None
    schemas: Path = ROOT / "include" / "schemas"
    models: Path = ROOT / "include" / "models"
    model_file: Path | None = None
    allow_unverified_model: bool = False
    state: Path = ROOT / "var" / "cds"
    prediction_time: Literal["now", "latest"] = "now"
    zone: ZoneInfo | None = None
    hooks: tuple[str, ...] = ("patient-view",)
    require_patient_match: bool = True
    clinicians_only: bool = True
    strict_hook_instance: bool = False
    fetch_from: Literal["ehr", "own", "nowhere"] = "ehr"
    fhir_conn: str | None = None
    fetch_seconds: float = 2.0
    ca_bundle: Path | None = None
    allow_http: bool = False
    earlier_screening: timedelta | None = None
    prefetch_today: bool = False
    system_actions: bool = False
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 5 * 2**20
    feedback_url: str = ""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, and settle what follows from another setting."""
        if not self.base_url:
            object.__setattr__(self, "base_url", f"http://{self.bind}")
        if not self.feedback_url:
            object.__setattr__(self, "feedback_url", f"sqlite:///{self.state / 'feedback.db'}")
        if problems := contradictions(self):
            raise SettingsError("; ".join(problems))

    @property
    def host(self) -> str:
        """The host of `bind`."""
        return self.bind.rpartition(":")[0].strip("[]")

    @property
    def verify(self) -> bool | str:
        """What an EHR's certificate is checked with, in the words of the HTTP client."""
        return str(self.ca_bundle) if self.ca_bundle else True

    @property
    def loopback(self) -> bool:
        """Whether no other machine reaches the port."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


_READ: dict[str, Callable[[str], Any]] = {
    "auth": as_text.choice("required", "off"),
    "allow_public_without_auth": as_text.yes_no,
    "bind": as_text.bind,
    "workers": as_text.number(1, 64, int),
    "base_url": as_text.url,
    "ehrs": as_text.existing,
    "schemas": as_text.existing,
    "models": Path,
    "model_file": Path,
    "allow_unverified_model": as_text.yes_no,
    "state": as_text.folder,
    "prediction_time": as_text.choice("now", "latest"),
    "zone": as_text.zone,
    "hooks": as_text.hooks,
    "require_patient_match": as_text.yes_no,
    "clinicians_only": as_text.yes_no,
    "strict_hook_instance": as_text.yes_no,
    "fetch_from": as_text.choice("ehr", "own", "nowhere"),
    "fhir_conn": str,
    "fetch_seconds": as_text.number(0.1, 30, float),
    "ca_bundle": as_text.authorities,
    "allow_http": as_text.yes_no,
    "earlier_screening": as_text.span,
    "prefetch_today": as_text.yes_no,
    "system_actions": as_text.yes_no,
    "cors_origins": as_text.origins,
    "max_body_bytes": as_text.number(1024, 2**30, int),
    "feedback_url": as_text.database,
}


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `CDS_…` variables; one that is set to nothing counts as not set.

    Raises
    ------
    SettingsError
        Every problem at once: an unknown variable, one that holds what it cannot mean, or CDS_AUTH missing. A value is
        not repeated: it may be a secret.
    """
    given = {
        key.removeprefix("CDS_").lower(): text for key, text in environment.items() if key.startswith("CDS_") and text
    }
    problems = [f"CDS_{name.upper()}: there is no such setting" for name in sorted(given.keys() - _READ.keys())]
    if "auth" not in given:
        problems.append(
            "CDS_AUTH: say `required` (a JWT with every call) or `off` (whoever reaches the port may ask: for trying out)"
        )
    found: dict[str, Any] = {}
    for name in _READ.keys() & given.keys():
        try:
            found[name] = _READ[name](given[name])
        except ValueError as error:
            problems.append(f"CDS_{name.upper()}: {error}")
    if problems:
        raise SettingsError("settings of the sidecar:\n" + "\n".join(f"  - {problem}" for problem in sorted(problems)))
    return Settings(**found)


def defaults() -> dict[str, Any]:
    """Return the default of each setting; those without one are left out."""
    return {field.name: field.default for field in fields(Settings) if field.default is not MISSING}
