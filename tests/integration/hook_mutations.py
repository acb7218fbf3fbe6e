"""Requests of a CDS Hooks client, bent at every place: what a broken EHR sends, or whoever means harm."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import orjson
from tests.charts import LOINC, SICK, UCUM, WELL, at, bundle, observation, patient
from tests.unit.cds_hooks.hook_requests import granted, hook_request

Json = dict[str, Any]
Path = tuple[str | int, ...]

SECRETS = ("Zyxwvut-Family", "Qwertz-Given", "MRN-77712345", "1966-03-10", "some-opaque-access-token", "113.71")
"""What stands in every base request and must stand in no line of a log."""
ATTACKS = (
    "<img src=x onerror=alert(1)>", "</td></tr></table><script>alert(1)</script>", "[a](javascript:alert(1))",
    "![a](https://evil.example.com/x.png)", "| a | b |\n|---|---|\n# x", "`code` **bold** ~~gone~~ <b>b</b>",
    "https://evil.example.com www.evil.example.com a@evil.example.com",
    "\u202eHGIH\u2028\x00\x1b[31m", "{{context.patientId}}",
    "${jndi:ldap://evil.example.com/a}", "'; DROP TABLE patients; --", "../../etc/passwd", "%s%n{0}", "\r\nSet-Cookie: a=b",
)  # fmt: skip
RAW = {
    "@surrogate": b'"\\ud800 <b>\\udfff"', "@integer": b"9" * 400, "@nan": b"NaN", "@infinity": b"-Infinity",
    "@exponent": b"1e400", "@small": b"1e-400", "@zeros": b"0." + b"0" * 5000 + b"1", "@twice": b'{"id":"a","id":"b"}',
    "@deep": b"[" * 300 + b"]" * 300, "@deeper": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "@null": b'"\\u0000"', "@utf8": b'"\xff\xfe"',
}  # fmt: skip
"""Placeholder → what is put into the bytes in its place, for no writer of JSON would write it."""
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "security", "diagnostics": ATTACKS[0]}],
}
WARNING = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": ATTACKS[0]}]}
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7.25, 38.5, 1e29, -1e308, 2**63, 10**18, "", " ", "a", "0", "38,5", "x" * 5000, "é" * 300,
    [], {}, [None], [[]], [{}], {"": ""}, [1, "a", None], *ATTACKS, *RAW,
    "final", "entered-in-error", "preliminary", "registered", "FINAL", "unknown",
    "/min", "Cel", "[degF]", "K", "kPa", "mmol/L", "mg/dL", "°F", "bpm", "10*9/L", UCUM, LOINC,
    "8867-4", "2524-7", "8310-5", "220045", "85354-9",
    at(1), at(23.9), at(24), at(25), at(-1), "2026-03-10", "2026-03", "2026", "2026-03-10T11:00:00", "9999-12-31",
    "0001-01-01",
    "2026-02-30T00:00:00Z", "2026-03-10T11:00:00+14:00", "2026-03-10T25:00:00Z", "1966", "1866-01-01", "2030-01-01",
    "Patient/p", "Patient/other", "Patient/", "urn:uuid:p", "https://ehr.example.org/fhir/Patient/p", "#p", "Group/p",
    "Practitioner/1", "RelatedPerson/1", "Patient", "Observation", "Bundle", "OperationOutcome", "searchset", "history",
    "encounter-start", "order-sign", "https://ehr.example.org/fhir", "http://169.254.169.254/", "file:///etc/passwd",
    OUTCOME, WARNING, patient(), patient("other"), observation(), observation("lactate", 9.0, who="other"),
    observation(value=1.0, status="entered-in-error"), bundle(), bundle(observation("temperature", 41.0)),
    bundle(bundle(patient())), [patient()], [observation()], {"resourceType": "Binary", "data": "AAAA"},
    {"resourceType": 5}, {"reference": "Patient/other"}, {"coding": [{"system": LOINC, "code": "8867-4"}]},
    {"value": 200, "unit": "/min"}, {"start": at(2), "end": at(1)}, {"relation": "next", "url": "http://169.254.169.254/"},
    [{"relation": "next", "url": "https://ehr.example.org/fhir?page=2"}],
)  # fmt: skip


def deep(levels: int, kind: str) -> Any:
    """Return lists or objects within each other."""
    found: Any = 1
    for _ in range(levels):
        found = [found] if kind == "list" else {"entry": found}
    return found


def _wrapped(value: Any) -> Any:
    return [value]


CHANGES: tuple[Callable[[Any], Any], ...] = (
    _wrapped, lambda value: {"value": value}, lambda value: [value, value, value], str,
    lambda value: list(value.values()) if isinstance(value, dict) else [],
    lambda value: value[::-1] if isinstance(value, list | str) else value,
    lambda value: value + value if isinstance(value, list | str) else value,
    lambda value: -value if isinstance(value, int | float) else value,
    lambda value: value * 1e3 if isinstance(value, int | float) else value,
    lambda value: value / 10 if isinstance(value, int | float) else value,
    lambda value: {**value, "resourceType": "Observation"} if isinstance(value, dict) else value,
    lambda value: {**value, "modifierExtension": [{"url": "x"}]} if isinstance(value, dict) else value,
    lambda value: {key.upper(): one for key, one in value.items()} if isinstance(value, dict) else value,
    lambda value: f" {value}\n" if isinstance(value, str) else value,
    lambda value: f"{value}<img src=x>" if isinstance(value, str) else value,
    lambda _: deep(40, "list"), lambda _: deep(60, "object"),
)  # fmt: skip
DELETE, RENAME = -1, -2
ACTIONS = 2 + len(VALUES) + len(CHANGES)


def _person() -> Json:
    name = [{"family": SECRETS[0], "given": [SECRETS[1]]}]
    return patient(name=name, identifier=[{"system": "urn:mrn", "value": SECRETS[2]}], meta={"versionId": "3"})


def whole(values: dict[str, float], **more: Any) -> Json:
    """Return a prefetch with a key a feature."""
    found = {name: bundle(observation(name, value, **more)) for name, value in values.items()}
    return {"patient": _person(), **found}


SICKER = {**SICK, "heart_rate": float(SECRETS[5])}
OBSERVED_TWICE = {
    name: bundle(observation(name, value), observation(name, value, hours=9)) for name, value in SICKER.items()
}
BASES: dict[str, Json] = {
    "high": hook_request(whole(SICKER)),
    "high, in MIMIC's codes": hook_request(whole({**SICKER, "temperature": 101.5}, style="mimic")),
    "high, with a server": {**granted(), "prefetch": {"patient": _person(), **OBSERVED_TWICE}},
    "low": hook_request(whole({**WELL, "heart_rate": 72.0})),
    "too little": hook_request(
        {"patient": _person(), "heart_rate": whole(SICKER)["heart_rate"], "lactate": None, "wbc": OUTCOME}
    ),
}  # fmt: skip
_BYTES = {name: orjson.dumps(base) for name, base in BASES.items()}


def places(node: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in a JSON value but of itself."""
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


PLACES = {name: tuple(places(base)) for name, base in BASES.items()}


EDITS = ACTIONS * max(map(len, PLACES.values()))
"""How many edits there are of the request with the most places."""


def mutated(name: str, edits: list[int]) -> Json:
    """Return a base request with edits, each the number of a place and of an action."""
    body: Json = orjson.loads(_BYTES[name])
    for number in edits:
        place, action = divmod(number, ACTIONS)
        edit(body, PLACES[name][place % len(PLACES[name])], action - 2)
    return body


def edit(body: Json, path: Path, action: int) -> None:
    """Change one place; where an earlier edit has taken it away, nothing."""
    node: Any = body
    for part in path[:-1]:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return
    key = path[-1]
    if not (isinstance(node, dict) and key in node) and not (
        isinstance(node, list) and isinstance(key, int) and key < len(node)
    ):
        return
    if action == DELETE:
        del node[key]
    elif action == RENAME:
        if isinstance(node, dict):
            node[f"{key}x"] = node.pop(key)
    elif action < len(VALUES):
        node[key] = deepcopy(VALUES[action])  # a later edit may reach into it
    else:
        node[key] = CHANGES[action - len(VALUES)](node[key])


def written(body: Any) -> bytes:
    """Write a body as JSON, and what no writer writes in place of its names."""
    text = orjson.dumps(body)
    for name, raw in RAW.items():
        text = text.replace(f'"{name}"'.encode(), raw)
    return text
