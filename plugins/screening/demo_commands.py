"""The command `demo-patients`: what it prints, and its exit status."""

from argparse import Namespace
from collections import Counter
from contextlib import nullcontext

from screening import demo_patients
from screening.commands import named, say, zone_of
from screening.demo_patients import LEVELS, DemoPatient
from screening.fhir_client.exchange import Answer
from screening.model.registry import champion
from screening.schema import load_schema
from screening.server_option import client_of


def demo(chosen: Namespace) -> int:
    """Find, write and, if asked, upload patients of each level; 1 where a level has too few."""
    schema = load_schema(chosen.schema)
    model = champion(chosen.models, schema.model or schema.name)
    look = demo_patients.Look(schema, model, chosen.prediction_time, zone_of(chosen.zone))
    # Made first, so that a bad address is told before minutes of reading.
    with client_of(chosen) or nullcontext() as client:
        found = demo_patients.find([chosen.mimic_fhir], look, per_level=chosen.per_level, minimal=chosen.minimal)
        demo_patients.write(found, chosen.out)
        say(f"{named(model)}; files in {chosen.out}")
        for patient in found:
            say(_sentence(patient, demo_patients.upload(client, patient) if client else None))
    counts = Counter(patient.result.risk_level for patient in found)
    short = [level for level in LEVELS if counts[level] < chosen.per_level]
    for level in short:
        say(f"too few of level {level.value}: {counts[level]} of {chosen.per_level} wanted")
    return 1 if short else 0


def _sentence(patient: DemoPatient, answers: list[Answer] | None) -> str:
    one = patient.result
    entries = len(patient.content["transaction"]["entry"])
    told = f"{patient.name}: Patient/{one.patient_id} {one.probability:.4f} as of {one.prediction_time}, {entries} resources"
    if answers is None:
        return told
    created = sum(answer.status == 201 for answer in answers)
    return f"{told}; on the server {answers[0].location}, {created} created, {len(answers) - created} there already"
