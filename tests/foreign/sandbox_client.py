"""Send prefetch files as HealthChain's SandboxClient does; run by the python of `.venv/healthchain`, not by pytest.

    .venv/healthchain/bin/python tests/foreign/sandbox_client.py URL FOLDER PATTERN OUT

Into the folder OUT go the client's own saved requests and responses, and `exchange.json`: what it sent and what it gave
back, by the id of the prefetched Patient, for the files come in whatever order the folder has them.
"""

import json
import sys
from pathlib import Path

from healthchain.sandbox import SandboxClient


def main(url: str, folder: str, pattern: str, out: str) -> None:
    """Load, send, save."""
    client = SandboxClient(url=url, workflow="patient-view")
    client.load_from_path(folder, pattern=pattern)
    responses = client.send_requests()
    client.save_results(directory=out)
    exchanged = {
        request.prefetch["patient"]["id"]: {
            "request": request.model_dump(exclude_none=True, mode="json"),
            "response": given,
        }
        for request, given in zip(client.requests, responses, strict=True)
    }
    (Path(out) / "exchange.json").write_text(json.dumps(exchanged))


if __name__ == "__main__":
    main(*sys.argv[1:])
