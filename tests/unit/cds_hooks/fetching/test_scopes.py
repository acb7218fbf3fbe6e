"""CH-54: what a token's SMART scopes permit, in both versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.fetching.scopes import Grant, Interaction, Scopes, wanted

FULL, RESTRICTED, NONE = Grant.FULL, Grant.RESTRICTED, Grant.NONE


def grants(*scopes: str, kind: str = "Observation", of_patient: bool = True) -> tuple[Grant, Grant]:
    """Return what is granted: to read, and to search."""
    found = Scopes.of(scopes, of_patient=of_patient)
    return found.grant(kind, Interaction.READ), found.grant(kind, Interaction.SEARCH)


@pytest.mark.parametrize(
    ("scope", "read", "search"),
    [
        ("patient/Observation.read", FULL, FULL),
        ("user/Observation.read", FULL, FULL),
        ("system/Observation.read", FULL, FULL),
        ("user/*.read", FULL, FULL),
        ("patient/*.*", FULL, FULL),
        ("patient/Observation.*", FULL, FULL),
        ("patient/Observation.rs", FULL, FULL),
        ("patient/*.rs", FULL, FULL),
        ("patient/Observation.cruds", FULL, FULL),
        ("patient/Observation.r", FULL, NONE),
        ("patient/Observation.s", NONE, FULL),
        ("patient/Observation.rs?category=http://x|laboratory", RESTRICTED, RESTRICTED),
        ("patient/Observation.s?code=1&status=final", NONE, RESTRICTED),
        ("patient/Observation.write", NONE, NONE),
        ("patient/Observation.cud", NONE, NONE),
        ("patient/Observation.sr", NONE, NONE),
        ("patient/Observation.", NONE, NONE),
        ("patient/Observation.?a=b", NONE, NONE),
        ("patient/Observation.read?a=b", NONE, NONE),
        ("patient/Observation.rs?", NONE, NONE),
        ("patient/Patient.read", NONE, NONE),
        ("patient/ObservationX.read", NONE, NONE),
        ("patient/observation.read", NONE, NONE),
        ("Observation.read", NONE, NONE),
        ("patient/Observation", NONE, NONE),
        ("PATIENT/Observation.read", NONE, NONE),
        ("patient/Observation.read ", NONE, NONE),
        ("launch", NONE, NONE),
        ("openid", NONE, NONE),
        ("*", NONE, NONE),
        ("", NONE, NONE),
    ],
)
def test_ch54_a_scope_grants_what_it_says(scope: str, read: Grant, search: Grant) -> None:
    assert grants(scope) == (read, search)


def test_ch54_one_scope_without_a_query_is_enough() -> None:
    assert grants("patient/Observation.rs?category=x", "user/Observation.s") == (RESTRICTED, FULL)


def test_ch54_scopes_of_another_patient_grant_nothing() -> None:
    assert grants("patient/*.read", of_patient=False) == (NONE, NONE)
    assert grants("patient/*.read", "user/Observation.rs", of_patient=False) == (FULL, FULL)


def test_the_missing_scope_is_named_in_both_versions() -> None:
    assert wanted("Observation", Interaction.SEARCH) == "patient/Observation.s (or patient/Observation.read)"
    assert wanted("Patient", Interaction.READ) == "patient/Patient.r (or patient/Patient.read)"


@given(st.lists(st.text(max_size=30)))
def test_ch54_no_text_but_a_scope_grants_anything(scopes: list[str]) -> None:
    if not any("." in one and "/" in one for one in scopes):
        assert grants(*scopes) == (NONE, NONE)
