import gzip
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import pytest
from tests.unit.synthetic.oracle import instant, rows

from screening.errors import DataFileError
from screening.synthetic import Dirt, Hospital, fhir_resources, write_mimic_csv

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HEADERS = {
    "hosp/patients": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
    "hosp/admissions": (
        "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,admission_location,"
        "discharge_location,insurance,language,marital_status,race,edregtime,edouttime,hospital_expire_flag"
    ),
    "hosp/diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "hosp/transfers": "subject_id,hadm_id,transfer_id,eventtype,careunit,intime,outtime",
    "hosp/labevents": (
        "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,valuenum,valueuom,"
        "ref_range_lower,ref_range_upper,flag,priority,comments"
    ),
    "icu/icustays": "subject_id,hadm_id,stay_id,first_careunit,last_careunit,intime,outtime,los",
    "icu/chartevents": (
        "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valuenum,valueuom,warning"
    ),
}
HOSPITAL = Hospital(
    80, 3, NOW, Dirt(anchor_shift=0.3, deceased=0.1, unknown_gender=0.2, comparator=0.1, string_value=0.1)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mimic")
    write_mimic_csv(HOSPITAL, path)
    return path


def test_the_headers_are_mimics(folder: Path) -> None:
    files = {str(path.relative_to(folder).with_suffix("")): path for path in folder.rglob("*.csv")}
    assert {name: path.read_text(encoding="utf-8").split("\n", 1)[0] for name, path in files.items()} == HEADERS


def test_every_row_has_as_many_fields_as_its_header(folder: Path) -> None:
    for name in HEADERS:
        found = list(rows(folder, name))
        assert found
        assert all(None not in row and None not in row.values() for row in found)


def test_compressed_files_hold_the_same_bytes_and_are_reproducible(folder: Path, tmp_path: Path) -> None:
    write_mimic_csv(HOSPITAL, tmp_path / "a", gz=True)
    write_mimic_csv(HOSPITAL, tmp_path / "b", gz=True)
    for name in HEADERS:
        packed = (tmp_path / "a" / f"{name}.csv.gz").read_bytes()
        assert packed == (tmp_path / "b" / f"{name}.csv.gz").read_bytes()
        assert packed[4:8] == bytes(4)  # RFC 1952 MTIME
        assert gzip.decompress(packed) == (folder / f"{name}.csv").read_bytes()
    assert not list((tmp_path / "a").rglob("*.csv"))


def test_keys_resolve(folder: Path) -> None:
    subjects = {row["subject_id"] for row in rows(folder, "hosp/patients")}
    admissions = {(row["subject_id"], row["hadm_id"]) for row in rows(folder, "hosp/admissions")}
    stays = {(row["subject_id"], row["hadm_id"], row["stay_id"]) for row in rows(folder, "icu/icustays")}
    assert len(subjects) == 80
    assert {subject for subject, _ in admissions} == subjects
    assert {key[:2] for key in stays} == admissions
    assert len({key[2] for key in stays}) == len(stays) == len(admissions)
    for name in ("hosp/diagnoses_icd", "hosp/transfers"):
        assert {(row["subject_id"], row["hadm_id"]) for row in rows(folder, name)} == admissions
    assert {(r["subject_id"], r["hadm_id"], r["stay_id"]) for r in rows(folder, "icu/chartevents")} <= stays
    labs = list(rows(folder, "hosp/labevents"))
    assert {(row["subject_id"], row["hadm_id"]) for row in labs if row["hadm_id"]} <= admissions
    assert len({row["labevent_id"] for row in labs}) == len(labs)
    transfers = [row["transfer_id"] for row in rows(folder, "hosp/transfers")]
    assert len(set(transfers)) == len(transfers)


def test_a_fifth_of_the_labs_has_no_admission(folder: Path) -> None:
    assert 0.15 < mean(row["hadm_id"] == "" for row in rows(folder, "hosp/labevents")) < 0.25


def test_labs_without_a_number_have_no_valuenum(folder: Path) -> None:
    texts = {row["value"] for row in rows(folder, "hosp/labevents") if row["valuenum"] == ""}
    assert {"<0.1", "<0.5", "<0.2"} <= texts
    assert all(text in {"<0.1", "<0.5", "<0.2"} or text.endswith(" (H)") for text in texts)
    assert any(text.endswith(" (H)") for text in texts)


def test_stays_are_over_and_lie_within_their_admissions(folder: Path) -> None:
    admissions = {row["hadm_id"]: row for row in rows(folder, "hosp/admissions")}
    for row in rows(folder, "icu/icustays"):
        admission = admissions[row["hadm_id"]]
        times = [admission["edregtime"], admission["admittime"], row["intime"], row["outtime"], admission["dischtime"]]
        assert times == sorted(times)
        length = (instant(row["outtime"]) - instant(row["intime"])).total_seconds() / 86400
        assert float(row["los"]) == pytest.approx(length, abs=0.05)


def test_vitals_are_charted_within_the_icu_stay(folder: Path) -> None:
    stays = {row["stay_id"]: (row["intime"], row["outtime"]) for row in rows(folder, "icu/icustays")}
    for row in rows(folder, "icu/chartevents"):
        assert stays[row["stay_id"]][0] <= row["charttime"] <= stays[row["stay_id"]][1]


def test_the_dead_are_told_in_both_tables(folder: Path) -> None:
    dead = {row["subject_id"]: row["dod"] for row in rows(folder, "hosp/patients") if row["dod"]}
    told = {r["subject_id"]: r["deathtime"][:10] for r in rows(folder, "hosp/admissions") if r["deathtime"]}
    assert dead == told
    assert dead
    flags = {row["hospital_expire_flag"] for row in rows(folder, "hosp/admissions") if row["deathtime"]}
    assert flags == {"1"}


def test_unknown_gender_is_null(folder: Path) -> None:
    genders = {row["subject_id"]: row["gender"] for row in rows(folder, "hosp/patients")}
    expected = {"male": "M", "female": "F", "unknown": "", "other": ""}
    assert genders == {str(patient.subject_id): expected[patient.sex] for patient in HOSPITAL.patients()}
    assert "" in genders.values()


def test_anchor_years_may_lie_before_the_first_transfer(folder: Path) -> None:
    first: dict[str, str] = {}
    for row in rows(folder, "hosp/transfers"):
        first[row["subject_id"]] = min(first.get(row["subject_id"], row["intime"]), row["intime"])
    lags = [int(first[row["subject_id"]][:4]) - int(row["anchor_year"]) for row in rows(folder, "hosp/patients")]
    assert set(lags) == {0, 1}
    birth_dates = {
        str(patient.subject_id): fhir_resources(patient, "mimic")[0]["birthDate"] for patient in HOSPITAL.patients()
    }
    for row in rows(folder, "hosp/patients"):
        start = first[row["subject_id"]]
        assert birth_dates[row["subject_id"]] == f"{int(start[:4]) - int(row['anchor_age'])}{start[4:10]}"
        assert 17 <= int(row["anchor_age"]) <= 91
        assert int(row["anchor_age"]) != 90


def test_lab_ids_are_those_of_the_fhir_identifiers(folder: Path) -> None:
    told = {
        item["identifier"][0]["value"]
        for patient in HOSPITAL.patients()
        for item in fhir_resources(patient, "mimic")
        if item["resourceType"] == "Observation" and "identifier" in item
    }
    assert told == {row["labevent_id"] for row in rows(folder, "hosp/labevents")}


def test_diagnoses_are_numbered_and_dotless(folder: Path) -> None:
    for row in rows(folder, "hosp/diagnoses_icd"):
        assert row["icd_code"].isalnum()
        assert row["icd_version"] in ("9", "10")
    assert {row["seq_num"] for row in rows(folder, "hosp/diagnoses_icd")} >= {"1", "2", "3"}


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataFileError, match="cannot write MIMIC files"):
        write_mimic_csv(HOSPITAL, tmp_path / "file")
