"""CH-65: the YAML of the EHRs that may call: every key has an effect or is refused, all problems at once."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_hooks.ehrs import Ehr, by_iss, load_ehrs, strangers
from screening.errors import SchemaError

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "include" / "ehrs.example.yaml"
JKU = "https://ehr.example.org/jwks.json"


def write(folder: Path, data: object) -> Path:
    path = folder / "ehrs.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
    return path


def problems(folder: Path, *entries: Any, **more: Any) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        load_ehrs(write(folder, {"ehrs": list(entries), **more}))
    return caught.value.problems


def test_the_example_is_read() -> None:
    assert load_ehrs(EXAMPLE) == (
        Ehr(
            iss="https://ehr.example.org", jku=JKU, tenants=("north", "south"),
            fhir_servers=("https://ehr.example.org/fhir",),
        ),
    )  # fmt: skip


def test_the_example_s_other_way_is_read(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("    jku:", "    # jku:").replace("    # jwks:", "    jwks:")
    (tmp_path / "ehr.jwks.json").write_text("{}", encoding="utf-8")
    (ehr,) = load_ehrs(write(tmp_path, text))
    assert (ehr.jwks, ehr.jku, ehr.algorithms) == (tmp_path / "ehr.jwks.json", None, ("ES384", "RS384"))


def test_the_example_has_every_key() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert [name for name in Ehr.__dataclass_fields__ if f" {name}:" not in text] == []


def test_an_entry_for_fetching_alone_needs_no_iss(tmp_path: Path) -> None:
    (ehr,) = load_ehrs(write(tmp_path, {"ehrs": [{"fhir_servers": ["https://ehr.example.org/fhir/"]}]}))
    assert ehr == Ehr(fhir_servers=("https://ehr.example.org/fhir",))
    with pytest.raises(SchemaError, match=r"ehrs\.0\.iss: is missing; CDS_AUTH=required needs it"):
        by_iss((ehr,))


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        {"iss": "a", "jku": JKU, "jwk": "x"},
        {"iss": "b"},
        {"iss": 5, "jku": "ftp://x"},
        {"jku": JKU, "algorithms": ["ES256"]},
        {"iss": "c", "jwks": "gone.json"},
        {},
        allow="all",
    )
    assert sorted(told) == [
        "allow: unknown key; remove it or mend its spelling",
        "ehrs.0.jwk: unknown key; remove it or mend its spelling",
        "ehrs.1: give jwks, the file of its keys, or jku, their URL",
        "ehrs.2.iss: must be text, not 5: quote it",
        "ehrs.2.jku: must be https://HOST/PATH without credentials, fragment and '..'",
        "ehrs.3: iss is missing: without it jku, algorithms have no effect",
        f"ehrs.4.jwks: no such file: {tmp_path / 'gone.json'}",
        "ehrs.5: give iss with jwks or jku; with CDS_AUTH=off, fhir_servers alone will do",
    ]


def test_ch65_a_file_of_keys_may_stand_beside_the_url_that_a_jwt_names(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text("{}", encoding="utf-8")
    (ehr,) = load_ehrs(write(tmp_path, {"ehrs": [{"iss": "a", "jku": JKU, "jwks": "k.json"}]}))
    assert (ehr.jwks, ehr.jku) == (tmp_path / "k.json", JKU)


def test_ch62_an_ehr_s_algorithms_are_those_recommended_or_those_named(tmp_path: Path) -> None:
    named = [{"iss": "a", "jku": JKU}, {"iss": "b", "jku": JKU, "algorithms": ["ES256"]}]
    first, second = load_ehrs(write(tmp_path, {"ehrs": named}))
    assert (first.algorithms, second.algorithms) == (("ES384", "RS384"), ("ES256",))


@pytest.mark.parametrize("algorithms", [
    ["none"], ["HS256"], ["HS384"], ["HS512"], ["ES384", "None"], ["es384"], ["PS384"], ["ES512"], ["EdDSA"], [], [None],
    "ES384", None,
])  # fmt: skip
def test_ch62_no_other_algorithm_can_be_named(tmp_path: Path, algorithms: object) -> None:
    (problem,) = problems(tmp_path, {"iss": "a", "jku": JKU, "algorithms": algorithms})
    assert problem.startswith("ehrs.0.algorithms")


@pytest.mark.parametrize("key", ["jku", "fhir_servers"])
@pytest.mark.parametrize("url", [
    "http://ehr.example.org/x", "http://10.0.0.1/x", "http://127.0.0.1.evil.example/x", "http://localhost.evil.example/x",
    "https://user:secret@ehr.example.org/x", "https://ehr.example.org/x#y", "https://ehr.example.org/a/../x",
    "ehr.example.org", "file:///etc/passwd", "https:///x", "https://ehr.example.org/a b",
    "https://ehr.example.org:port/", "",
    "//ehr.example.org", "https://[::1/x", "https://ehr.example.org\\@evil.example/x", "https://ehr.example.org/%2e%2e/x",
])  # fmt: skip
def test_ch82_a_url_is_https_and_nothing_else(tmp_path: Path, key: str, url: str) -> None:
    entry = {"iss": "a", "jku": JKU, key: url if key == "jku" else [url]}
    (problem,) = problems(tmp_path, entry)
    assert problem.startswith(f"ehrs.0.{key}")
    assert "must be https" in problem
    assert "secret" not in problem


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:8080/jwks", "http://localhost/jwks", "http://[::1]:8080/jwks", "https://login.example.org/keys?p=b2c",
    JKU + "/",
])  # fmt: skip
def test_http_is_for_this_machine_and_a_jku_stays_as_it_is_written(tmp_path: Path, url: str) -> None:
    (ehr,) = load_ehrs(write(tmp_path, {"ehrs": [{"iss": "a", "jku": url}]}))
    assert ehr.jku == url


def test_ch26_http_to_other_machines_is_for_a_site_that_says_so(tmp_path: Path) -> None:
    entry = {"iss": "a", "jku": "http://ehr.internal/keys", "fhir_servers": ["http://ehr.internal:8080/fhir/"]}
    path = write(tmp_path, {"ehrs": [entry]})
    with pytest.raises(SchemaError, match="CDS_ALLOW_HTTP=true"):
        load_ehrs(path)
    (ehr,) = load_ehrs(path, allow_http=True)
    assert (ehr.jku, ehr.fhir_servers) == ("http://ehr.internal/keys", ("http://ehr.internal:8080/fhir",))
    with pytest.raises(SchemaError, match="must be https://HOST/PATH"):
        load_ehrs(write(tmp_path, {"ehrs": [entry | {"jku": "ftp://ehr.internal/keys"}]}), allow_http=True)


@pytest.mark.parametrize("query", ["a b", "a#b", "ü", "a\x7f"])
def test_the_query_of_a_jku_is_printable(tmp_path: Path, query: str) -> None:
    (problem,) = problems(tmp_path, {"iss": "a", "jku": f"{JKU}?{query}"})
    assert "must be https" in problem


@pytest.mark.parametrize("iss", ["", " a", "a b", "a\n", "ü", "a" * 257])
def test_an_iss_is_short_text_without_spaces(tmp_path: Path, iss: str) -> None:
    (problem,) = problems(tmp_path, {"iss": iss, "jku": JKU})
    assert problem.startswith("ehrs.0.iss: ")


def test_an_iss_stands_once(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"iss": "a", "jku": JKU}, {"iss": "b", "jku": JKU}, {"iss": "a", "jku": JKU})
    assert problem == "ehrs: a stands twice; an iss has one entry"


@pytest.mark.parametrize(("text", "words"), [
    ("", "it needs ehrs: a list of who may call"), ("ehrs: []", "ehrs: "), ("ehrs:", "ehrs: "), ("ehrs: 5", "ehrs: "),
    ("other: 1", "ehrs: is missing"), ("ehrs: [a]", "ehrs.0: "), ("ehrs: [{iss: a, iss: b}]", "stands twice"),
    ("ehrs: [{iss: a, jku: 5}]", "ehrs.0.jku: must be text"), ("{", "not readable as YAML"),
    ("ehrs: [{iss: a, tenants: north}]", "ehrs.0.tenants: "),
    ("ehrs: [{iss: a, tenants: [5]}]", "ehrs.0.tenants.0: must be text"),
])  # fmt: skip
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SchemaError) as caught:
        load_ehrs(write(tmp_path, text))
    assert words in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no such file"):
        load_ehrs(tmp_path / "gone.yaml")


def test_nobody_is_no_list_of_callers() -> None:
    with pytest.raises(SchemaError, match="names nobody"):
        by_iss(())


def ehrs(*said: bool | None) -> list[Ehr]:
    return [Ehr(iss=f"https://ehr-{at}.example.org", jku=JKU, own_patients=one) for at, one in enumerate(said)]


def test_one_ehr_shares_our_own_connection_s_ids_unless_it_says_otherwise() -> None:
    assert strangers(ehrs(None), own_connection=True) == ()
    assert strangers(ehrs(True), own_connection=True) == ()
    assert strangers(ehrs(False), own_connection=True) == ("https://ehr-0.example.org",)
    assert strangers([Ehr(fhir_servers=("https://ehr.example.org/fhir",))] * 2, own_connection=True) == ()
    assert strangers(ehrs(None, None), own_connection=False) == ()


def test_of_several_ehrs_each_must_say_whether_it_does() -> None:
    assert strangers(ehrs(True, False, True), own_connection=True) == ("https://ehr-1.example.org",)
    with pytest.raises(SchemaError) as caught:
        strangers(ehrs(True, None, None), own_connection=True)
    assert [one.partition(": is missing")[0] for one in caught.value.problems] == [
        "ehrs.1.own_patients", "ehrs.2.own_patients",
    ]  # fmt: skip


def test_without_an_own_connection_it_says_nothing() -> None:
    with pytest.raises(SchemaError, match=r"ehrs\.1\.own_patients: has no effect without CDS_FHIR_CONN"):
        strangers(ehrs(None, True), own_connection=False)
