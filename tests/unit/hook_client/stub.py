"""A CDS Hooks service that is strict with its caller: it checks each request, and the caller's JWT if it knows keys."""

import re
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import jwt
from flask import Flask, Response, jsonify, make_response, request
from werkzeug.serving import make_server

Json = dict[str, Any]

TEMPLATES = {
    "patient": "Patient/{{context.patientId}}",
    "heart_rate": "Observation?patient={{context.patientId}}&code=http://loinc.org|8867-4&_sort=-date&_count=1",
    "lactate": "Observation?patient={{context.patientId}}&code=http://loinc.org|2524-7&_sort=-date&_count=1",
}
SERVICE = {
    "id": "sepsis-risk", "hook": "patient-view", "title": "Sepsis Risk", "description": "Tells the risk of sepsis.",
    "prefetch": TEMPLATES,
}  # fmt: skip
CARD = {
    "uuid": "0f1d4d9c-7d5e-4a0e-9b57-51b3f4f6a0aa", "summary": "Sepsis Risk: HIGH (85%)", "indicator": "critical",
    "source": {"label": "Stub"}, "detail": "| input | value |\n|---|---|\n| Heart rate | 113 /min |",
    "selectionBehavior": "any",
    "suggestions": [{"label": "Order lactate", "uuid": "6a3e8a54-8d0f-4e0e-b3f1-0d9a3a4a9d01"}],
    "overrideReasons": [
        {"system": "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes", "code": "need-more-info",
         "display": "Need more information"},
        {"system": "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes", "code": "patient-ineligible",
         "display": "Patient ineligible"},
    ],
}  # fmt: skip


def outcome(text: str, diagnostics: str | None = None) -> Json:
    """Return an OperationOutcome."""
    issue = {"severity": "error", "code": "invalid", "details": {"text": text}}
    if diagnostics:
        issue["diagnostics"] = diagnostics
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def fault_of_request(body: Any) -> str | None:
    """Say what of a request is not as CDS Hooks 2.0 has it."""
    context = body.get("context", {})
    authorization = body.get("fhirAuthorization")
    try:
        instance = str(UUID(body["hookInstance"])) == body["hookInstance"]
    except (KeyError, ValueError):
        instance = False
    wrong = {
        "hook": body.get("hook") != "patient-view",
        "hookInstance": not instance,
        "userId": not re.fullmatch(
            r"(Practitioner|PractitionerRole|Patient|RelatedPerson)/[A-Za-z0-9\-.]{1,64}", context.get("userId", "")
        ),
        "patientId": not re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", context.get("patientId", "")),
        "prefetch": not set(body.get("prefetch", {})) <= set(TEMPLATES),
        "another patient": body.get("prefetch", {}).get("patient", {}).get("id") != context.get("patientId"),
        "fhirAuthorization without fhirServer": authorization is not None and "fhirServer" not in body,
        "fhirAuthorization": authorization is not None
        and not (
            {"access_token", "token_type", "expires_in", "scope", "subject", "patient"} == set(authorization)
            and authorization["token_type"] == "Bearer"
            and type(authorization["expires_in"]) is int
            and authorization["patient"] == context.get("patientId")
        ),
        "a member that there is not": not set(body)
        <= {"hook", "hookInstance", "context", "prefetch", "fhirServer", "fhirAuthorization"},
    }
    return next((name for name, is_wrong in wrong.items() if is_wrong), None)


class StubService:
    """The service, on a free port of this machine.

    Attributes
    ----------
    keys
        `kid` → public JWK of those who may call; None asks for no token.
    strict
        Whether a request that is not as it should be is refused; it is noted all the same.
    answers
        Patient id → status and body; everybody else is answered by `default`.
    bodies, feedback, tokens
        What was received.
    """

    def __init__(
        self, *, iss: str = "https://ehr.example.org", keys: Mapping[str, Json] | None = None, strict: bool = True
    ) -> None:
        self.iss, self.keys, self.strict, self.services = iss, keys, strict, [SERVICE]
        self.default: tuple[int, Any] = (200, {"cards": []})
        self.answers: dict[str, tuple[int, Any]] = {}
        self.bodies: list[Json] = []
        self.feedback: list[Json] = []
        self.tokens: list[Json] = []
        self.feedback_status = 200
        app = Flask(__name__)
        app.json.sort_keys = False  # type: ignore[attr-defined]
        app.before_request(self._authenticated)
        for method, path, view in (
            ("GET", "/cds-services", self._discovered),
            ("POST", "/cds-services/sepsis-risk", self._called),
            ("POST", "/cds-services/sepsis-risk/feedback", self._told),
            ("GET", "/moved/cds-services", self._moved),
        ):
            app.add_url_rule(path, view_func=view, methods=[method])
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _authenticated(self) -> Response | None:
        if self.keys is None:
            return None if "Authorization" not in request.headers else self._no("a token where none was asked for")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            header = jwt.get_unverified_header(token)
            jwk = self.keys[header["kid"]]
            claims = jwt.decode(
                token, jwt.PyJWK(jwk).key, algorithms=[jwk["alg"]], issuer=self.iss, audience=self.url + request.path,
                options={"require": ["iss", "aud", "exp", "iat", "jti"]},
            )  # fmt: skip
        except (jwt.PyJWTError, KeyError) as error:
            return self._no(f"{type(error).__name__}")
        seen = {one["claims"]["jti"] for one in self.tokens}
        self.tokens.append({"header": header, "claims": claims})
        fine = scheme == "Bearer" and header["typ"] == "JWT" and claims["jti"] not in seen
        return None if fine and 0 < claims["exp"] - claims["iat"] <= 3600 else self._no("scheme, typ, jti or exp")

    def _no(self, why: str) -> Response:
        self.refused_because = why
        return make_response(jsonify(outcome("not authenticated")), 401)

    def _discovered(self) -> Response:
        return jsonify(services=self.services)

    def _moved(self) -> Response:
        return make_response("", 302, {"Location": f"{self.url}/cds-services"})

    def _called(self) -> Response:
        body = request.get_json()
        self.bodies.append(body)
        if (fault := fault_of_request(body)) and self.strict:
            return make_response(jsonify(outcome("the request is wrong", fault)), 400)
        status, answer = self.answers.get(body["context"]["patientId"], self.default)
        if isinstance(answer, str):
            return make_response(answer, status)
        return make_response(jsonify(answer), status)

    def _told(self) -> Response:
        self.feedback.append(request.get_json())
        return make_response("" if self.feedback_status == 200 else jsonify(outcome("no")), self.feedback_status)
