"""The commands `cds-client` and `cds-keys`: their arguments, what they print, and their exit status."""

import argparse
import json
import sys
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from screening.commands import say
from screening.errors import DataFileError, FatalError
from screening.hook_client import charts, request_bodies, telling
from screening.hook_client.charts import Chart
from screening.hook_client.exchange import Answer, HookClient
from screening.hook_client.key_files import make_keys
from screening.hook_client.request_bodies import FhirAccess
from screening.hook_client.saving import save
from screening.hook_client.services import Service, choose
from screening.hook_client.tokens import Tokens, signing_key
from screening.schema import load_schema

Json = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """One chart that was opened: what was asked, what came back, and what became of the feedback."""

    chart: Chart
    request: Json
    answer: Answer
    feedback: list[str] = field(default_factory=list)
    refused: bool = False

    @property
    def fine(self) -> bool:
        """Whether a clinician could rely on the answer, and the feedback was taken if any was sent."""
        return not telling.problems(self.answer) and not self.refused


def add_to(verbs: Any, schema: Path) -> None:
    """Add both commands to the command line; `schema` says which features the invented patients' charts have."""
    text = "Open charts as an EHR does: ask a CDS Hooks service about each patient, and print its cards."
    made: argparse.ArgumentParser = verbs.add_parser("cds-client", help=text, description=text)
    made.set_defaults(run=client, schema=schema)
    made.add_argument("--url", required=True, help="the service's base URL: /cds-services stands below it")
    made.add_argument("--service", metavar="ID", help="such as sepsis-risk; may be left out where there is one only")
    made.add_argument(
        "--data", type=Path, metavar="DIR",
        help="a folder of prefetch files, or one; without it, three invented patients of today",
    )  # fmt: skip
    made.add_argument(
        "--pattern", action="append", help=f"the files' names in DIR (default: {' and '.join(charts.PATTERNS)})"
    )
    made.add_argument("--user", default=request_bodies.USER, help="who opens the chart (default: %(default)s)")
    made.add_argument("--fhir-server", metavar="URL", help="where the service may fetch what was not sent")
    made.add_argument(
        "--fhir-token-file", type=Path, metavar="FILE", help="holds the access token for that; - for stdin"
    )
    made.add_argument("--fhir-scope", default=request_bodies.SCOPE, help="the token's scopes (default: %(default)s)")
    made.add_argument("--jwt-key", type=Path, metavar="FILE", help="private key, PEM or JWK: signs each call")
    made.add_argument("--iss", help="who the EHR is to the service, with --jwt-key")
    made.add_argument("--kid", help="the key's id (default: the JWK's own, or the RFC 7638 thumbprint)")
    made.add_argument("--tenant", help="the organization, for an EHR that serves several")
    made.add_argument(
        "--audience", metavar="URL", help="the base URL that the service knows itself by, unless it is --url"
    )
    made.add_argument("--feedback", choices=("accepted", "overridden"), help="send this feedback on every card")
    made.add_argument(
        "--save", type=Path, metavar="DIR", help="write each request and response there, without any token"
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--allow-http", action="store_true", help="permit http to another host than this one")

    text = "Make an ES384 key pair for --jwt-key, and the JWK set of its public part for the service."
    made = verbs.add_parser("cds-keys", help=text, description=text)
    made.set_defaults(run=keys)
    made.add_argument("folder", type=Path, metavar="DIR")


def client(chosen: Namespace) -> int:
    """Open every chart; 1 where an answer, or what became of feedback, is an error."""
    opened = _charts(chosen)
    fhir, tokens = _fhir(chosen), _tokens(chosen)
    with HookClient(chosen.url, tokens=tokens, audience=chosen.audience, allow_http=chosen.allow_http) as ehr:
        service = choose(ehr.discover(), chosen.service)
        found = []
        for chart in opened:
            body = request_bodies.request(chart, service, user=chosen.user, fhir=fhir)
            one = _with_feedback(ehr, service, Told(chart, body, ehr.call(service, body)), chosen.feedback)
            if chosen.save is not None:
                save(chosen.save, chart.name, body, one.answer)
            if not chosen.json:
                _tell(one, chosen.user)
            found.append(one)
    if chosen.json:
        say(json.dumps([_as_json(one) for one in found], indent=1))
    return 0 if all(one.fine for one in found) else 1


def keys(chosen: Namespace) -> int:
    """Make a key pair and say where it is."""
    made = make_keys(chosen.folder)
    say(f"{made.private}: the private key, for --jwt-key; it stays with the EHR")
    say(f"{made.public}: the JWK set with the public key, for the service")
    say(f"kid {made.kid}")
    return 0


def _charts(chosen: Namespace) -> list[Chart]:
    if chosen.data is not None:
        return charts.from_files(chosen.data, chosen.pattern or charts.PATTERNS)
    if chosen.pattern:
        raise FatalError("--pattern has no effect without --data")
    # The edge of the library: here alone a chart is as of now.
    return charts.invented(load_schema(chosen.schema), datetime.now(UTC))


def _fhir(chosen: Namespace) -> FhirAccess | None:
    if chosen.fhir_server is None:
        if chosen.fhir_token_file is not None:
            raise FatalError("--fhir-token-file has no effect without --fhir-server")
        return None
    token = None if chosen.fhir_token_file is None else _token(chosen.fhir_token_file)
    return FhirAccess(chosen.fhir_server.rstrip("/"), token, chosen.fhir_scope)


def _token(path: Path) -> str:
    try:
        token = (sys.stdin.read() if str(path) == "-" else path.read_text(encoding="ascii")).strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token:
        raise DataFileError(f"{path}: holds no access token: write it there, and nothing else")
    return token


def _tokens(chosen: Namespace) -> Tokens | None:
    if chosen.jwt_key is None:
        named = [f"--{name}" for name in ("iss", "kid", "tenant", "audience") if getattr(chosen, name) is not None]
        if named:
            raise FatalError(f"{', '.join(named)}: no effect without --jwt-key")
        return None
    if not chosen.iss:
        raise FatalError("--jwt-key needs --iss: who the EHR is to the service")
    return Tokens(signing_key(chosen.jwt_key, chosen.kid), chosen.iss, chosen.tenant)


def _with_feedback(ehr: HookClient, service: Service, one: Told, outcome: Any) -> Told:
    shown = telling.cards(one.answer)
    if outcome is None or not shown:
        return one
    body = request_bodies.feedback(shown, outcome, datetime.now(UTC))
    if body is None:
        return Told(one.chart, one.request, one.answer, [f"feedback: none: no card that could be {outcome}"])
    answer = ehr.feedback(service, body)
    if answer.status == 200:
        return Told(one.chart, one.request, one.answer, [f"feedback: {outcome}, taken"])
    words = [f"feedback: ERROR: {problem}" for problem in telling.problems(answer)]
    return Told(one.chart, one.request, one.answer, words, refused=True)


def _tell(one: Told, user: str) -> None:
    for line in telling.headlines(one.answer, user):
        say(f"{telling.clean(one.chart.name)}: {line}")
    for card in telling.cards(one.answer):
        for line in _indented(card.get("detail")):
            say(line)
    for line in one.feedback:
        say(f"{telling.clean(one.chart.name)}: {telling.clean(line)}")


def _indented(text: Any) -> Iterable[str]:
    lines = text.split("\n") if isinstance(text, str) else []
    return (f"    {telling.clean(line)}".rstrip() for line in lines)


def _as_json(one: Told) -> Json:
    return {
        "chart": one.chart.name,
        "patientId": one.chart.patient_id,
        "hookInstance": one.request["hookInstance"],
        "sent": list(one.request["prefetch"]),
        "status": one.answer.status,
        "milliseconds": round(one.answer.milliseconds, 1),
        "problems": telling.problems(one.answer),
        "body": one.answer.body,
        "feedback": one.feedback,
    }
