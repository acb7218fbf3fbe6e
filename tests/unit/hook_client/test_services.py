"""Discovery: what is one, and which service is called."""

from typing import Any

import pytest
from tests.unit.hook_client.stub import SERVICE, TEMPLATES

from screening.errors import HookServiceError
from screening.hook_client.services import choose, services


def test_ch01_ch02_a_discovery_is_read() -> None:
    (one,) = services({"services": [SERVICE]})
    assert (one.id, one.hook, one.title, one.prefetch) == ("sepsis-risk", "patient-view", "Sepsis Risk", TEMPLATES)
    assert one.url("https://cds.example.org") == "https://cds.example.org/cds-services/sepsis-risk"
    assert one.feedback_url("https://cds.example.org") == "https://cds.example.org/cds-services/sepsis-risk/feedback"


def test_an_id_stays_within_its_part_of_the_url() -> None:
    (one,) = services({"services": [SERVICE | {"id": "../x?y"}]})
    assert one.url("https://cds.example.org") == "https://cds.example.org/cds-services/..%2Fx%3Fy"


@pytest.mark.parametrize(("discovery", "words"), [
    (None, "no list `services`"),
    ([], "no list `services`"),
    ({"services": {}}, "no list `services`"),
    ({"services": ["sepsis-risk"]}, "lacks one of id, hook and description"),
    *(({"services": [SERVICE | {key: ""}]}, "lacks one of") for key in ("id", "hook")),
    *(
        ({"services": [{name: part for name, part in SERVICE.items() if name != key}]}, "lacks one of")
        for key in ("id", "hook", "description")
    ),
    ({"services": [SERVICE | {"prefetch": ["patient"]}]}, "no object of templates"),
    ({"services": [SERVICE | {"prefetch": {"patient": None}}]}, "no object of templates"),
])  # fmt: skip
def test_ch02_what_is_no_discovery_is_refused(discovery: Any, words: str) -> None:
    with pytest.raises(HookServiceError, match=words):
        services(discovery)


def test_ch04_the_service_is_chosen_by_its_hook_and_id() -> None:
    other = SERVICE | {"id": "stroke-risk"}
    later = SERVICE | {"hook": "encounter-start"}
    assert choose(services({"services": [later, SERVICE]}), None).hook == "patient-view"
    assert choose(services({"services": [SERVICE, other]}), "stroke-risk").id == "stroke-risk"
    with pytest.raises(HookServiceError, match=r"--service.*sepsis-risk, stroke-risk"):
        choose(services({"services": [SERVICE, other]}), None)
    with pytest.raises(HookServiceError, match=r"no service stroke-risk.*there is: sepsis-risk"):
        choose(services({"services": [SERVICE]}), "stroke-risk")
    with pytest.raises(HookServiceError, match="there is: none"):
        choose(services({"services": [later]}), None)
