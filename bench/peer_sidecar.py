"""Run HealthChain 0.15.0's sepsis service, as its tutorial assembles it, for `sidecar_latency.py` to measure beside ours.

    PEER_VENV/bin/python bench/peer_sidecar.py FOLDER PORT

FOLDER holds the tutorial's `sepsis_model.pkl` and `sepsis_vitals.yaml`. The work of a call is the tutorial's, out of the
installed package's own parts: flatten the prefetch, read a Dataset from it with the schema's file, fill what is missing,
predict, answer. It runs by the package's own `run`, with all that this does by default. The environment of PEER_VENV is the
peer's: this file imports nothing of ours.
"""

import sys
from pathlib import Path

import joblib
from healthchain.fhir import prefetch_to_bundle
from healthchain.gateway import CDSHooksService, HealthChainAPI
from healthchain.io import Dataset
from healthchain.models import CDSRequest, CDSResponse
from healthchain.models.responses.cdsresponse import Card
from healthchain.pipeline import Pipeline

LEVELS = ((0.7, "HIGH", "critical"), (0.4, "MODERATE", "warning"))


def prediction(model_file: Path) -> Pipeline:
    """Return the pipeline from a Dataset to the probabilities in its metadata."""
    stored = joblib.load(model_file)
    columns, classifier = stored["metadata"]["feature_names"], stored["model"]
    steps = Pipeline[Dataset]()

    def fill(dataset: Dataset) -> Dataset:
        dataset.data = dataset.data.fillna(dataset.data.median(numeric_only=True))
        return dataset

    def predict(dataset: Dataset) -> Dataset:
        dataset.metadata["probabilities"] = classifier.predict_proba(dataset.data[columns])[:, 1]
        return dataset

    steps.add_node(fill)
    steps.add_node(predict)
    return steps


def card(probability: float) -> Card | None:
    """Return the card of a probability; None below the levels."""
    for bound, level, indicator in LEVELS:
        if probability > bound:
            return Card(
                summary=f"Sepsis Risk: {level} ({probability:.0%})",
                indicator=indicator,
                detail=f"**AI Guidance:**\n- Predicted risk: **{level}** ({probability:.0%})\n- Recommend sepsis workup.",
                source={"label": "HealthChain Sepsis Predictor", "url": "https://www.sccm.org"},
            )
    return None


def application(folder: Path) -> HealthChainAPI:
    """Return the service."""
    steps, schema, hooks = prediction(folder / "sepsis_model.pkl"), folder / "sepsis_vitals.yaml", CDSHooksService()

    @hooks.hook("patient-view", id="sepsis-risk")
    def answer(request: CDSRequest) -> CDSResponse:
        dataset = Dataset.from_fhir_bundle(prefetch_to_bundle(request.prefetch or {}), schema=schema)
        shown = card(float(steps(dataset).metadata["probabilities"][0]))
        return CDSResponse(cards=[shown] if shown else [])

    app = HealthChainAPI(title="Sepsis CDS Hooks", service_type="cds-hooks")
    app.register_service(hooks, path="/cds")
    return app


if __name__ == "__main__":
    application(Path(sys.argv[1])).run(host="127.0.0.1", port=int(sys.argv[2]))
