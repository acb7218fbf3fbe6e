"""A write that is killed after the server has stored everything and before anybody was told is not written again."""

import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

from fhir_sandbox.server import SandboxServer
from screening import stages
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.model.registry import champion
from screening.results.risk_assessment import AssessmentContext
from screening.schema import load_schema
from screening.synthetic import Hospital, fhir_resources

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "include" / "schemas" / "sepsis.yaml"
NOW = datetime(2026, 3, 1, tzinfo=UTC)

KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from screening import stages
    from screening.fhir_client.client import FhirClient
    from screening.fhir_client.settings import ClientSettings
    from screening.results.risk_assessment import AssessmentContext
    from screening.schema import load_schema

    stored = FhirClient.create_each

    def create_each(self, *arguments):
        stored(self, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    FhirClient.create_each = create_each
    url, folder, schema, sha256 = sys.argv[1:]
    model = {"name": "sepsis", "version": "1.0.0", "sha256": sha256, "synthetic": True}
    with FhirClient(ClientSettings(base_url=url)) as client:
        stages.write(client, Path(folder), AssessmentContext.of(load_schema(schema), model))
""")


def test_killed_between_write_and_report(tmp_path: Path) -> None:
    schema, bundle = load_schema(SCHEMA), champion(ROOT / "include" / "models", "sepsis")
    model = {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256, "synthetic": True}
    people = Hospital(size=0, seed=1, now=NOW).named()
    with SandboxServer() as server, FhirClient(ClientSettings(base_url=server.base_url)) as client:
        server.load(resource for person in people for resource in fhir_resources(person, "loinc"))
        ids = [person.patient_id for person in people]
        stages.fetch(client, schema, ids, NOW, tmp_path, base_url=server.base_url)
        stages.featurize(tmp_path, schema, ids, NOW)
        stages.predict(tmp_path, schema, bundle)
        command = [sys.executable, "-c", KILLED, server.base_url, str(tmp_path), str(SCHEMA), bundle.sha256]
        done = subprocess.run(command, capture_output=True, timeout=120, env={"PYTHONPATH": str(ROOT / "plugins")})
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert server.store.counts()["RiskAssessment"] == 3
        versions = server.store.versions()
        lines, _ = stages.write(client, tmp_path, AssessmentContext.of(schema, model))
        assert [line.write for line in lines] == ["unchanged"] * 3
        assert all(line.resource.startswith("RiskAssessment/") for line in lines)
        assert server.store.versions() == versions
