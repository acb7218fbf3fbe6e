"""Cross-origin answers for EHRs that call from a browser: allowed origins only, and on errors too.

Without the headers on an error a browser's client sees a network failure instead of what went wrong, and shows the same as
for "no guidance". (OWASP HTML5 Security Cheat Sheet; Fetch Standard, "CORS protocol".)
"""

from flask import Flask, Response, request

_METHODS = "GET, HEAD, POST, OPTIONS"
_HEADERS = "authorization, content-type, x-request-id"
_SECONDS = "600"


def allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Answer preflights, and add the headers to every answer to an allowed origin."""
    if not origins:
        return
    allowed = frozenset(origins)

    @app.before_request
    def preflight() -> Response | None:
        # Before anything asks for a token: a browser sends none with a preflight.
        asked = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asked:
            return None
        nothing = Response(status=204)
        del nothing.headers["Content-Type"]  # that of HTML, by Flask's default
        return nothing

    @app.after_request
    def add(response: Response) -> Response:
        response.headers.add("Vary", "Origin")  # a cache must not give one origin's answer to another
        origin = request.headers.get("Origin")
        if origin in allowed:
            response.headers["Access-Control-Allow-Origin"] = str(origin)
            response.headers["Access-Control-Expose-Headers"] = "X-Request-ID"
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = _METHODS
                response.headers["Access-Control-Allow-Headers"] = _HEADERS
                response.headers["Access-Control-Max-Age"] = _SECONDS
        return response
