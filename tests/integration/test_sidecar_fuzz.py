"""Whatever is sent to the sidecar: no failure of its own, no HTML, nothing of a stranger's in a card or a log, no hang.

And nothing that is wrong with a chart may look like "all clear": no card is only for whom the library, given the chart as
the batch is given it, scores low.
"""

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.charts import LOINC, SICK, bundle, patient
from tests.integration.fuzzed import SERVICE, Fuzzed
from tests.integration.hook_mutations import (
    ACTIONS,
    ATTACKS,
    BASES,
    EDITS,
    PLACES,
    RAW,
    SECRETS,
    VALUES,
    mutated,
    whole,
    written,
)
from tests.unit.cds_hooks.hook_requests import hook_request

from screening.outcome import Outcome

FUZZ = settings(
    derandomize=True, database=None, deadline=None, phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
"""The same requests in every run: CI is no place to be surprised in. What a longer random run finds is mended."""
Json = dict[str, Any]


def check_request(fuzzed: Fuzzed, name: str, edits: list[int]) -> None:
    """Send one mutated request."""
    body = written(mutated(name, edits))
    answer = fuzzed.call(body)
    if answer is None or answer["cards"]:
        return
    asked = orjson.loads(body)
    if asked["context"]["userId"].startswith("Practitioner"):
        fuzzed.seen["no card"] += 1
        found = fuzzed.library(asked)
        assert (found.outcome, found.risk_level) == (Outcome.SCORED, "low"), found.probability


@settings(FUZZ, max_examples=7000)
@given(st.sampled_from(sorted(BASES)), st.lists(st.integers(0, EDITS - 1), min_size=1, max_size=4))
def test_a_request_bent_at_any_place(fuzzed: Fuzzed, name: str, edits: list[int]) -> None:
    check_request(fuzzed, name, edits)


def test_the_bent_requests_reached_every_kind_of_answer(fuzzed: Fuzzed) -> None:
    """Requests that are all refused at the door would try nothing."""
    few = {kind: fuzzed.seen[kind] for kind in ("200", "400", "412", "critical", "warning", "info", "no card")}
    assert min(few.values()) > 100, few


PATHS = st.sampled_from(
    [
        "/", "/cds-services", "/cds-services/", SERVICE, f"{SERVICE}/", f"{SERVICE}/feedback", "/cds-services/nope",
        "/cds-services/nope/feedback", "//cds-services", "/cds-services/../metrics", "/cds-services/%2e%2e", "/health",
        "/health/live", "/health/ready", "/metrics", "/models/sepsis/1.0.0/model-card", "/models/sepsis/%2e%2e/model-card",
        "/models/..%2f..%2fetc/passwd/model-card", "/models/sepsis/1.0.0%00/model-card", f"{SERVICE}?q=<b>",
        f"{SERVICE}%0d%0aa:b",
    ]
)  # fmt: skip
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "Content-Type", "Accept", "Authorization", "Origin", "X-Request-ID", "Content-Encoding", "Cookie", "Range",
                "Access-Control-Request-Method", "X-HTTP-Method-Override", "Expect", "Host", "Content-Length", "If-Match",
            ]
        ),
        st.sampled_from(
            ["application/json", "application/json; charset=utf-16", "text/html", "*/*", "gzip", "Bearer a.b.c", "POST",
             "https://ehr.example.org", "https://evil.example.com", "null", "", "0", "-1", "99999999999", "bytes=0-1",
             f"Bearer {SECRETS[4]}"]
        ) | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20),
    ),
    max_size=4,
)  # fmt: skip
FEEDBACK = {
    "feedback": [
        {
            "card": "f6b95768-b1c8-40dc-8385-bf3504b82ffb", "outcome": "overridden",
            "outcomeTimestamp": "2026-03-10T12:00:00Z",
            "overrideReason": {"reason": {"code": "a", "system": "urn:x", "display": SECRETS[0]}, "userComment": SECRETS[1]},
        }
    ]
}  # fmt: skip
BODIES = (
    st.binary(max_size=60)
    | st.sampled_from([written(base) for base in (*BASES.values(), FEEDBACK, {"feedback": []}, *RAW)])
    | st.recursive(st.sampled_from(VALUES), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["hook", "hookInstance", "context", "prefetch", "feedback", "card", "outcome", "extension"]), inner,
        max_size=4), max_leaves=6).map(written)
)  # fmt: skip


@settings(FUZZ, max_examples=2000)
@given(
    st.sampled_from(["GET", "POST", "POST", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]),
    PATHS,
    BODIES,
    HEADERS.map(lambda some: [("Content-Type", "application/json"), *some]) | HEADERS,
)
def test_any_request_at_any_address(
    fuzzed: Fuzzed, method: str, path: str, body: bytes, headers: list[tuple[str, str]]
) -> None:
    response = fuzzed.send(method, path, body, headers)
    assert response.status_code not in (301, 302, 303, 307, 308)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    if response.status_code == 200 and method == "POST" and path.startswith(SERVICE):
        assert set(orjson.loads(response.data)) <= {"cards"}
    allowed = response.headers.get("Access-Control-Allow-Origin")
    assert allowed in (None, "https://ehr.example.org")


@pytest.mark.parametrize("attack", ATTACKS[:5])
def test_an_attack_at_every_place(fuzzed: Fuzzed, attack: str) -> None:
    """In turn, and then in every text at once that leaves the chart readable."""
    name = "high"
    cards = 0
    for number in range(len(PLACES[name])):
        answer = fuzzed.call(written(mutated(name, [number * ACTIONS + 2 + VALUES.index(attack)])))
        cards += bool(answer and answer["cards"])
    assert cards > 50
    chart = whole(SICK, note=[{"text": attack}], meta={"versionId": attack}, encounter={"reference": attack})
    for key in ("heart_rate", "lactate"):
        (entry,) = chart[key]["entry"]
        entry["resource"]["code"] |= {"text": attack}
        entry["resource"]["id"] = attack
        entry["fullUrl"] = attack
    chart["lactate"]["entry"][0]["resource"]["valueQuantity"]["unit"] = attack
    chart["wbc"] = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": attack, "code": attack, "diagnostics": attack}],
    }
    answer = fuzzed.call(written(hook_request(chart)))
    assert answer is not None
    assert len(answer["cards"]) == 1


def small(number: int, **more: Any) -> Json:
    """Make an Observation as short as may be, each at a time of its own."""
    code = {"coding": [{"system": LOINC, "code": "8867-4"}]}
    return {
        "resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": "Patient/p"},
        "effectiveDateTime": f"2026-03-10T11:{number // 60 % 60:02d}:{number % 60:02d}.{number:06d}Z",
        "valueQuantity": {"value": 80, "code": "/min"}, **more,
    }  # fmt: skip


def measured_in_part(number: int) -> Json:
    """Make a component."""
    return {"code": small(0)["code"], "valueQuantity": {"value": number % 200 + 1, "code": "/min"}}


def of_heart_rate(*resources: Json, **more: Any) -> Json:
    return {**whole(SICK), "heart_rate": {**bundle(*resources, mode=None), **more}}


MANY: dict[str, Callable[[int], Json]] = {
    "observations": lambda n: of_heart_rate(*(small(i, id=f"o{i}") for i in range(n))),
    "observations without an id": lambda n: of_heart_rate(*(small(i) for i in range(n))),
    "one observation, over and over": lambda n: of_heart_rate(*(small(0) for _ in range(n))),
    "contents of one id": lambda n: of_heart_rate(*(small(i, id="x") for i in range(n))),
    "versions of one id": lambda n: of_heart_rate(*(small(i, id="x", meta={"versionId": str(i)}) for i in range(n))),
    "Patients of one id": lambda n: {**whole(SICK), "patient": [patient(language=str(i)) for i in range(n)]},
    "Patients with a urn": lambda n: of_heart_rate(
        entry=[{"fullUrl": f"urn:uuid:{i}", "resource": {"resourceType": "Patient", "id": f"q{i}"}} for i in range(n)]
    ),
    "subjects unknown": lambda n: of_heart_rate(*(small(i, subject={"reference": f"urn:uuid:{i}"}) for i in range(n))),
    "drops": lambda n: of_heart_rate(*(small(i, status=f"s{i}") for i in range(n))),
    "codings": lambda n: of_heart_rate(small(0, code={"coding": small(0)["code"]["coding"] * n})),
    "components": lambda n: of_heart_rate(small(0, component=[measured_in_part(i) for i in range(n)])),
    "foci": lambda n: of_heart_rate(small(0, focus=[{"reference": "Patient/p"}] * n)),
    "outcomes": lambda n: of_heart_rate(
        *({"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": f"c{i}"}]} for i in range(n))
    ),
    "links": lambda n: of_heart_rate(small(0), link=[{"relation": "self", "url": "x"}] * n),
    "keys": lambda n: whole(SICK) | {f"k{i}": None for i in range(n)},
}
FEW, OFTEN = 400, 10
TEXTS = {
    "effectiveDateTime": lambda text: small(0, effectiveDateTime=text),
    "code": lambda text: small(0, code={"coding": [{"system": LOINC, "code": text}]}),
    "unit": lambda text: small(0, valueQuantity={"value": 1, "unit": text}),
    "reference": lambda text: small(0, subject={"reference": f"Patient/{text}"}),
    "versionId": lambda text: small(0, id="x", meta={"versionId": text}),
}


def cpu(fuzzed: Fuzzed, body: bytes) -> float:
    """Return the seconds of CPU that a request takes, at best of two."""
    took = []
    for _ in range(2):
        began = time.process_time()
        fuzzed.call(body)
        took.append(time.process_time() - began)
    return min(took)


@pytest.mark.parametrize("what", MANY)
def test_ten_times_as_much_takes_ten_times_as_long(fuzzed: Fuzzed, what: str) -> None:
    """Not a hundred times: 4 MB of versions of one id once took a minute and more."""
    few, many = (cpu(fuzzed, written(hook_request(MANY[what](n)))) for n in (FEW, FEW * OFTEN))
    assert many < max(few, 0.01) * OFTEN * 4


@pytest.mark.parametrize("what", TEXTS)
@pytest.mark.parametrize("text", ["1", " ", "-", "2026-03-10T", "a.", "é"])
def test_a_text_of_megabytes_is_read_once(fuzzed: Fuzzed, what: str, text: str) -> None:
    body = written(hook_request(of_heart_rate(TEXTS[what](text * (1_000_000 // len(text))), small(1, id="x"))))
    assert cpu(fuzzed, body) < 0.3


def test_a_body_up_to_the_limit_is_answered_and_one_byte_more_is_refused(fuzzed: Fuzzed) -> None:
    body = written(hook_request({**whole(SICK), "extra": "x"}))
    limit = 5 * 2**20
    filled = body.replace(b'"extra":"x"', b'"extra":"' + b"x" * (limit - len(body) + 1) + b'"')
    assert len(filled) == limit
    assert fuzzed.call(filled) is not None
    assert fuzzed.call(filled.replace(b'"xx', b'"xxx')) is None
    assert fuzzed.seen["413"] >= 1
