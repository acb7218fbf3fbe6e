"""The exchanges that docs/cds-hooks.md shows: what an EHR sends, and what the service answers, of invented patients.

The service answers for real; its clock stands, and ids count up, so that the same code gives the same bytes.
`PYTHONPATH=plugins python -m tests.docs.exchanges` writes docs/exchanges anew, and the page's parts that are taken from it.
"""

import json
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from tests.charts import CODES, UCUM, UNITS, result

from cds_hooks.app import create_app
from cds_hooks.settings import from_environment
from cds_hooks.sidecar import EXTENSION
from fhir_sandbox.server import SandboxServer
from screening.hook_client.key_files import make_keys
from screening.results.risk_assessment import build

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
FOLDER, PAGE = ROOT / "docs" / "exchanges", ROOT / "docs" / "cds-hooks.md"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
WIDTH = 118
"""Columns of the printed JSON; what fits into a line stands in one."""
_SHOWN = ("Content-Type", "Retry-After", "WWW-Authenticate", "X-Request-ID")
_SERVICE = "/cds-services/sepsis-risk"
_PART = re.compile(r"<!-- exchanges/(\w+)\.json: (request|answer|body|detail) -->\n.*?<!-- end -->", re.DOTALL)

_HIGH = {"heart_rate": 118, "temperature": 38.7, "respiratory_rate": 26, "wbc": 18.4, "lactate": 4.1, "creatinine": 1.9}
_MODERATE = {"heart_rate": 104, "temperature": 38.1, "respiratory_rate": 22, "wbc": 13.2, "creatinine": 1.4}
_LOW = {"heart_rate": 72, "temperature": 36.8, "respiratory_rate": 14, "wbc": 7, "lactate": 1, "creatinine": 0.8}


@dataclass(frozen=True)
class Asked:
    """One request, and the settings of the service that it is sent to, besides those of `serve`."""

    body: Any = None
    path: str = _SERVICE
    method: str = "POST"
    settings: dict[str, str] = field(default_factory=dict)


def observation(feature: str, value: float, hours: float, who: str) -> Json:
    """Make an Observation of so many hours ago, with no more than it needs."""
    (system, code), unit = CODES["loinc"][feature], UNITS["loinc"][feature]
    at = (NOW - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
    return {
        "resourceType": "Observation",
        "id": f"{who}-{feature}".replace("_", "-"),
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": f"Patient/{who}"},
        "effectiveDateTime": at,
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
    }


def prefetch(who: str, values: dict[str, float], hours: float = 1.0) -> Json:
    """Make a prefetch that has every key; one without a value is null, which says that the EHR has none."""
    bundles: Json = {"patient": {"resourceType": "Patient", "id": who, "gender": "female", "birthDate": "1951-06-02"}}
    for number, feature in enumerate(CODES["loinc"]):
        if feature not in values:
            bundles[feature] = None
            continue
        resource = observation(feature, values[feature], hours + number / 2, who)
        bundles[feature] = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource}]}
    return bundles


def call(who: str, sent: Json, **context: str) -> Json:
    """Make the body of a call."""
    return {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/example", "patientId": who, **context},
        "prefetch": sent,
    }


def asked(folder: Path, fhir: str) -> dict[str, Asked]:
    """Return the exchanges by the name of their file.

    Parameters
    ----------
    folder
        For what the settings name.
    fhir
        A FHIR server that holds the earlier screening.
    """
    missing = call("low", {"patient": prefetch("low", {})["patient"]})
    wrong = call("../low", {}) | {"hook": "order-sign"}
    connection = json.dumps({"conn_type": "fhir", "host": fhir})
    ehrs = folder / "ehrs.yaml"
    make_keys(folder)
    ehrs.write_text("ehrs: [{iss: https://ehr.example.org, jwks: jwks.json}]\n", encoding="utf-8")
    return {
        "discovery": Asked(path="/cds-services", method="GET"),
        "high": Asked(call("high", prefetch("high", _HIGH))),
        "moderate": Asked(call("moderate", prefetch("moderate", _MODERATE), encounterId="stay-1")),
        "low": Asked(call("low", prefetch("low", _LOW))),
        "not_computed": Asked(call("few", prefetch("few", {"heart_rate": 96}, hours=3))),
        "earlier": Asked(
            call("few", prefetch("few", {"heart_rate": 96}, hours=3)),
            settings={"CDS_EARLIER_SCREENING": "24h", "CDS_FHIR_CONN": connection},
        ),
        "system_action": Asked(call("low", prefetch("low", _LOW)), settings={"CDS_SYSTEM_ACTIONS": "true"}),
        "bad_request": Asked(wrong),
        "unauthorized": Asked(missing, settings={"CDS_AUTH": "required", "CDS_EHRS": str(ehrs)}),
        "missing_data": Asked(missing),
        "no_model": Asked(missing, settings={"CDS_MODELS": str(folder / "no-models")}),
        "feedback": Asked({"feedback": [
            {
                "card": str(uuid.UUID(int=1, version=4)),
                "outcome": "accepted",
                "acceptedSuggestions": [{"id": str(uuid.UUID(int=2, version=4))}],
                "outcomeTimestamp": "2026-03-10T12:03:20Z",
            },
            {
                "card": str(uuid.UUID(int=1, version=4)),
                "outcome": "overridden",
                "overrideReason": {"reason": {
                    "code": "action-completed",
                    "system": "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes",
                }},
                "outcomeTimestamp": "2026-03-10T12:04:00Z",
            },
        ]}, path=f"{_SERVICE}/feedback"),
    }  # fmt: skip


def exchanges() -> Iterator[tuple[str, Json]]:
    """Ask the service, and yield the name and the content of each file."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fhir = stack.enter_context(SandboxServer())
        for name, one in asked(folder, fhir.base_url).items():
            app = serve(folder / name, one.settings)
            parts = app.extensions[EXTENSION]
            if name == "earlier":
                loaded = parts.screens["sepsis-risk"].current()
                then = NOW - timedelta(hours=9, minutes=20)
                screened = result(list(_resources(prefetch("few", _HIGH, hours=10))), loaded.bundle, t=then)
                chart = prefetch("few", {"heart_rate": 96}, hours=3)
                fhir.load([chart["patient"], {"id": "screened-last-night", **build(screened, loaded.assessment)}])
            yield name, _exchange(app, one)
            parts.feedback.close()
            if parts.verifier:
                parts.verifier.close()


def _resources(sent: Json) -> Iterator[Json]:
    yield sent["patient"]
    for bundle in filter(None, sent.values()):
        yield from (entry["resource"] for entry in bundle.get("entry", ()))


def serve(state: Path, settings: dict[str, str]) -> Any:
    """Make a service whose clock stands and whose ids count up."""
    given = {"CDS_AUTH": "off", "CDS_BASE_URL": "https://cds.example.org", "CDS_STATE": str(state)} | settings
    app = create_app(from_environment(given), clock=lambda: NOW)
    parts = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = replace(parts, answers=replace(parts.answers, make_id=_ids()))
    return app


def _ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: str(uuid.UUID(int=next(numbers), version=4))


def _exchange(app: Any, one: Asked) -> Json:
    headers = {"X-Request-ID": "example"}
    if one.body is not None:
        headers = {"Content-Type": "application/json", **headers}
    answer = app.test_client().open(one.path, method=one.method, headers=headers, data=json.dumps(one.body))
    request: Json = {"method": one.method, "path": one.path, "headers": headers}
    if one.body is not None:
        request["body"] = one.body
    shown = {name: answer.headers[name] for name in _SHOWN if name in answer.headers}
    return {"request": request, "answer": {"status": answer.status_code, "headers": shown, "body": answer.json}}


def printed(node: Any, indent: int = 0, before: int = 0) -> str:
    """Write JSON so that people can read it: in one line what fits into one, after so many columns of indent and name."""
    line = json.dumps(node, ensure_ascii=False)
    if not isinstance(node, dict | list) or not node or indent + before + len(line) < WIDTH:
        return line
    if isinstance(node, list):
        ends, inner = "[]", [printed(one, indent + 2) for one in node]
    else:
        names = {key: f"{json.dumps(key)}: " for key in node}
        ends, inner = "{}", [name + printed(node[key], indent + 2, len(name)) for key, name in names.items()]
    pad = "\n" + " " * indent
    return f"{ends[0]}{pad}  " + f",{pad}  ".join(inner) + pad + ends[1]


def filled(page: str, found: dict[str, Json]) -> str:
    """Return the page with its parts out of the exchanges as they are now."""

    def part(match: re.Match[str]) -> str:
        name, what = match.groups()
        said = found[name]["request" if what == "request" else "answer"]["body"]
        if what == "detail":
            text = "\n".join(f"> {line}".rstrip() for line in said["cards"][0]["detail"].split("\n"))
        else:
            text = f"```json\n{printed(said)}\n```"
        return f"<!-- exchanges/{name}.json: {what} -->\n{text}\n<!-- end -->"

    return _PART.sub(part, page)


def main() -> None:
    """Write the files and the page."""
    found = dict(exchanges())
    FOLDER.mkdir(exist_ok=True)
    for name, content in found.items():
        (FOLDER / f"{name}.json").write_text(printed(content) + "\n", encoding="utf-8")
    if PAGE.exists():
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
