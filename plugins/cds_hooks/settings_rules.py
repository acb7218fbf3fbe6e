"""Which settings contradict each other: what would have no effect, or would fail only once somebody waits for an answer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from screening.fhir_client.address import is_loopback

if TYPE_CHECKING:
    from cds_hooks.settings import Settings


def contradictions(settings: "Settings") -> list[str]:
    """Return what is wrong, a sentence each that names the variables and what to do."""
    rules = (*_who_may_ask(settings), *_who_is_asked(settings), *_the_rest(settings))
    return [problem for problem, holds in rules if holds]


def _who_may_ask(settings: "Settings") -> Iterator[tuple[str, object]]:
    off = settings.auth == "off"
    yield (
        (
            "CDS_AUTH=off on a port that other machines reach: bind to 127.0.0.1, set CDS_AUTH=required, or say "
            "CDS_ALLOW_PUBLIC_WITHOUT_AUTH=true where the network itself keeps strangers out"
        ),
        off and not (settings.loopback or settings.allow_public_without_auth),
    )
    yield (
        "CDS_ALLOW_PUBLIC_WITHOUT_AUTH has no effect with CDS_AUTH=required",
        not off and settings.allow_public_without_auth,
    )
    yield "CDS_AUTH=required needs CDS_EHRS: the file that names who may call", not off and not settings.ehrs


def _who_is_asked(settings: "Settings") -> Iterator[tuple[str, object]]:
    own = settings.fhir_conn
    yield "CDS_FETCH_FROM=own needs CDS_FHIR_CONN", settings.fetch_from == "own" and not own
    yield (
        "CDS_CA_BUNDLE has no effect without CDS_EHRS: CDS_FHIR_CONN has an extra `verify` of its own",
        settings.ca_bundle and not settings.ehrs,
    )
    yield (
        (
            "CDS_EARLIER_SCREENING has nobody to ask for RiskAssessments: set CDS_FHIR_CONN, the server that screening "
            "writes to, or CDS_FETCH_FROM=ehr with fhir_servers in CDS_EHRS"
        ),
        settings.earlier_screening and not own and (settings.fetch_from == "nowhere" or not settings.ehrs),
    )


def _the_rest(settings: "Settings") -> Iterator[tuple[str, object]]:
    parts = urlsplit(settings.base_url)
    # A card may link to nothing else, and every card links to its model's card (CH-4A).
    yield (
        (
            "CDS_BASE_URL must be https: cards link below it, and a JWT names it; plain http is for this machine alone. Set "
            "it to the address that EHRs call, where a proxy with a certificate stands"
        ),
        parts.scheme == "http" and not is_loopback(parts.hostname or ""),
    )
    yield (
        "CDS_PREFETCH_TODAY has no effect with CDS_PREDICTION_TIME=latest: days counted from today leave out the past",
        settings.prefetch_today and settings.prediction_time == "latest",
    )
    yield (
        "CDS_ALLOW_UNVERIFIED_MODEL has no effect without CDS_MODEL_FILE",
        settings.allow_unverified_model and not settings.model_file,
    )
