"""The synthetic hospital as MIMIC-IV CSV files, with MIMIC-IV's own headers.

An export is made when all stays are over: it has the discharge times and diagnoses of stays that are still open at the
hospital's now, though nothing charted after now. Times are local and naive; `clock` tells how they name one instant.
Every patient's `anchor_year_group` says `INVENTED`, so that whoever trains on these tables, out of a folder or a
database, is told so.
"""

import csv
import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from screening.errors import DataFileError
from screening.readers.mimic_tables import INVENTED
from screening.synthetic.clock import ZONE, naive_text
from screening.synthetic.dirt import DirtKind
from screening.synthetic.hospital import Hospital
from screening.synthetic.mimic_reading import mimic_reading
from screening.synthetic.people import Bystander, Event, Stay, SyntheticPatient
from screening.synthetic.terms import DIASTOLIC, SATURATION, SYSTOLIC

Row = tuple[object, ...]

HEADERS: dict[str, str] = {
    "hosp/patients": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
    "hosp/admissions": "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
    "admission_location,discharge_location,insurance,language,marital_status,race,edregtime,edouttime,"
    "hospital_expire_flag",
    "hosp/diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "hosp/transfers": "subject_id,hadm_id,transfer_id,eventtype,careunit,intime,outtime",
    "hosp/labevents": "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,"
    "valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,comments",
    "icu/icustays": "subject_id,hadm_id,stay_id,first_careunit,last_careunit,intime,outtime,los",
    "icu/chartevents": "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valuenum,valueuom,"
    "warning",
}
"""Table → header, as in MIMIC-IV 2.2 and 3.1."""

_REFERENCE = {"wbc": (4, 11), "lactate": (0.5, 2), "creatinine": (0.4, 1.2)}
_GENDER = {"male": "M", "female": "F"}
_CAREGIVER = 10_000
_DAY = timedelta(days=1)


def write_mimic_csv(hospital: Hospital, folder: Path, *, gz: bool = False) -> None:
    """Write the hospital into `folder`/hosp and `folder`/icu; files of the same names are replaced.

    Patients are written one after the other, so that memory does not grow with the hospital. The same hospital gives
    the same bytes, compressed (`.csv.gz`) or not.

    Raises
    ------
    DataFileError
        When the files cannot be written.
    """
    try:
        with ExitStack() as stack:
            sheets = {name: _open(stack, folder, name, gz=gz) for name in HEADERS}
            writers = {name: csv.writer(sheet, lineterminator="\n") for name, sheet in sheets.items()}
            for name, header in HEADERS.items():
                writers[name].writerow(header.split(","))
            for patient in hospital.patients():
                for name, row in _rows(patient):
                    writers[name].writerow(row)
    except OSError as problem:
        raise DataFileError(f"cannot write MIMIC files into {folder}: {problem.strerror or problem}") from problem


def _open(stack: ExitStack, folder: Path, name: str, *, gz: bool) -> TextIO:
    path = folder / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not gz:
        return stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    raw = stack.enter_context(path.with_name(f"{path.name}.gz").open("wb"))
    # No file name and no time in the header: two writes of one hospital are equal byte for byte.
    packed = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6))
    return stack.enter_context(TextIOWrapper(packed, encoding="utf-8", newline="", write_through=False))


def _rows(patient: SyntheticPatient) -> Iterator[tuple[str, Row]]:
    gender = _GENDER.get(patient.sex, "")
    died = patient.deceased.astimezone(ZONE).date().isoformat() if patient.deceased else ""
    yield "hosp/patients", (patient.subject_id, gender, patient.anchor_age, patient.anchor_year, INVENTED, died)
    for stay in patient.stays:
        yield from _stay_rows(patient.subject_id, stay)
    for event in patient.events:
        if event.in_mimic:
            stay = patient.stays[event.stay]
            if event.is_lab:
                yield "hosp/labevents", _lab_row(patient, stay, event)
            else:
                yield "icu/chartevents", _chart_row(patient, stay, event)
    for reading in patient.bystanders:
        for row in _bystander_rows(patient, patient.stays[reading.stay], reading):
            yield "icu/chartevents", row


def _stay_rows(subject_id: int, stay: Stay) -> Iterator[tuple[str, Row]]:
    key = (subject_id, stay.hadm_id)
    registered, admitted, icu_in, icu_out, discharged = (
        naive_text(moment) for moment in (stay.registered, stay.admitted, stay.icu_in, stay.icu_out, stay.discharged)
    )
    death = (discharged, "DIED", 1) if stay.died else ("", "HOME", 0)
    yield (
        "hosp/admissions",
        (
            *key, admitted, discharged, death[0], "EW EMER.", "P00AAA", "EMERGENCY ROOM", death[1], "Other", "ENGLISH",
            "", "UNKNOWN", registered, admitted, death[2],
        ),
    )  # fmt: skip
    for number, (code, version) in enumerate(stay.diagnoses, start=1):
        yield "hosp/diagnoses_icd", (*key, number, code, version)
    moves: list[Row] = [
        (stay.hadm_id * 10, "ED", "Emergency Department", registered, admitted),
        (stay.hadm_id * 10 + 1, "admit", "Medicine", admitted, icu_in),
        (stay.stay_id, "transfer", stay.careunit, icu_in, icu_out),
        (stay.hadm_id * 10 + 2, "transfer", "Medicine", icu_out, discharged),
        (stay.hadm_id * 10 + 3, "discharge", "", discharged, ""),
    ]
    yield from (("hosp/transfers", (*key, *move)) for move in moves if move[3] != move[4])
    los = (stay.icu_out - stay.icu_in) / _DAY
    yield "icu/icustays", (*key, stay.stay_id, stay.careunit, stay.careunit, icu_in, icu_out, repr(los))


def _lab_row(patient: SyntheticPatient, stay: Stay, event: Event) -> Row:
    reading = mimic_reading(event)
    lower, upper = _REFERENCE[event.feature]
    abnormal = reading.is_numeric and not lower <= reading.number <= upper
    return (
        patient.labevent_id(event),
        patient.subject_id,
        "" if DirtKind.NO_ENCOUNTER in event.dirt else stay.hadm_id,
        patient.labevent_id(event),
        reading.itemid,
        "",
        naive_text(event.time, unleapt=DirtKind.UNLEAPT_CLOCK in event.dirt),
        naive_text(event.issued),
        reading.value,
        reading.value if reading.is_numeric else "",
        reading.uom,
        lower,
        upper,
        "abnormal" if abnormal else "",
        "STAT",
        reading.comments,
    )


def _chart_row(patient: SyntheticPatient, stay: Stay, event: Event) -> Row:
    reading = mimic_reading(event)
    charted = naive_text(event.time, unleapt=DirtKind.UNLEAPT_CLOCK in event.dirt)
    key = (patient.subject_id, stay.hadm_id, stay.stay_id, _CAREGIVER, charted, naive_text(event.issued))
    return (*key, reading.itemid, reading.value, reading.value, reading.uom, 0)


def _bystander_rows(patient: SyntheticPatient, stay: Stay, reading: Bystander) -> Iterator[Row]:
    times = (naive_text(reading.time), naive_text(reading.issued))
    key = (patient.subject_id, stay.hadm_id, stay.stay_id, _CAREGIVER, *times)
    for item, value in (
        (SYSTOLIC, reading.systolic),
        (DIASTOLIC, reading.diastolic),
        (SATURATION, reading.saturation),
    ):
        yield (*key, item.itemid, value, value, item.uom, 0)
