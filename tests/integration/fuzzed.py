"""A sidecar under fire: each answer is held against what every answer must be, whatever was sent."""

import logging
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from tests.charts import ROOT, T
from tests.integration.hook_mutations import ATTACKS, SECRETS
from tests.unit.results.cards.charts_opened import Rendered
from werkzeug.test import TestResponse

from cds_hooks.app import create_app
from cds_hooks.prefetch_templates import keys
from cds_hooks.settings import from_environment
from screening.features import featurize
from screening.model.registry import champion
from screening.outcome import PatientResult
from screening.readers.fhir import read
from screening.results.cards.invariants import problems_of_response
from screening.schema import load_schema
from screening.scoring import score

SERVICE = "/cds-services/sepsis-risk"
SLOWEST = 1.0
"""Seconds of CPU that a small request may take on a busy machine; it takes some milliseconds."""
_ELEMENTS = {"p", "strong", "a", "table", "thead", "tbody", "tr", "th", "td", "br"}
Json = dict[str, Any]


class _Logged(logging.Handler):
    """What is logged, by whatever logger, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{record.getMessage()} {record.exc_info or ''}\n"


@contextmanager
def _logged() -> Iterator[_Logged]:
    root, handler = logging.getLogger(), _Logged()
    level, handlers = root.level, root.handlers
    root.setLevel(logging.INFO)
    root.handlers = [handler]  # alone: pytest would keep ten thousand lines for its report
    try:
        yield handler
    finally:
        root.handlers = handlers
        root.setLevel(level)


class Fuzzed:
    """A sidecar of the shipped schema and model at the time `T`; no server is there to be asked for more."""

    def __init__(self, state: Path) -> None:
        given = {"CDS_AUTH": "off", "CDS_STATE": str(state), "CDS_CORS_ORIGINS": "https://ehr.example.org"}
        self.client = create_app(from_environment(given), clock=lambda: T).test_client()
        self.schema = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")
        self.model = champion(ROOT / "include" / "models", "sepsis")
        self.seen: Counter[str] = Counter()
        self._shapes: set[str] = set()

    def send(self, method: str, path: str, body: bytes = b"", headers: Any = ()) -> TestResponse:
        """Send whatever it is; return what came, which is what any answer must be."""
        with _logged() as logged:
            began = time.process_time()
            response = self.client.open(path, method=method, data=body, headers=list(headers))
            took = time.process_time() - began
        self.seen[str(response.status_code)] += 1
        assert response.status_code < 500, response.text
        assert "html" not in (response.content_type or "") or (
            path.endswith("/model-card") and response.status_code == 200
        )
        assert took < SLOWEST + len(body) * 1e-6, took
        assert [one for one in (*SECRETS, *ATTACKS) if one in logged.text] == []
        if response.status_code >= 400 and method != "HEAD":
            assert orjson.loads(response.data)["resourceType"] == "OperationOutcome"
        return response

    def call(self, body: bytes) -> Json | None:
        """Call the service; return the answer of a 200, and None for a refusal."""
        response = self.send("POST", SERVICE, body, [("Content-Type", "application/json")])
        if response.status_code != 200:
            assert response.status_code in (400, 412, 413), response.text
            assert b"<" not in response.data
            return None
        answer: Json = orjson.loads(response.data)
        assert problems_of_response(answer) == []
        for card in answer["cards"]:
            self._check_card(card)
        return answer

    def _check_card(self, card: Json) -> None:
        self.seen[card["indicator"]] += 1
        for text in (card["summary"], *(one["label"] for one in card.get("suggestions", ()))):
            assert not re.search(r"[<>\n]", text)
        shape = re.sub(r"\d+", "0", card["detail"])
        if shape in self._shapes:
            return  # rendering is slow, and numbers change nothing of it
        self._shapes.add(shape)
        found = Rendered(card["detail"])
        assert set(found.elements) <= _ELEMENTS
        links = [value for name, value in found.attributes if name == "href"]
        assert all(str(link).startswith("http://127.0.0.1:8091/models/") for link in links)
        assert {name for name, _ in found.attributes} <= {"href", "style"}

    def library(self, body: Json) -> PatientResult:
        """Return what the batch's road makes of the prefetch keys that the screen asks for."""
        sent = body.get("prefetch")
        values = [_typed(sent[key], key) for key in keys(self.schema) if key in sent] if isinstance(sent, dict) else []
        who = body["context"]["patientId"]
        reading = read(values, self.schema, patient_ids=[who], base_url=body.get("fhirServer"))
        return score(featurize(reading, self.schema, T, patient_ids=[who]), self.schema, self.model)[0]


def _typed(value: Any, key: str) -> Any:
    """Give a Patient its type where a client left it out (CH-32)."""
    if key != "patient":
        return value
    if isinstance(value, list):
        return [_typed(one, key) for one in value]
    if isinstance(value, dict) and value.get("resourceType") is None and isinstance(value.get("id"), str):
        return {**value, "resourceType": "Patient"}
    return value
