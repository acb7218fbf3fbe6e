"""Fetch the prefetch keys that a call did not bring: one request a key, and its search's further pages (CH-28, CH-55)."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cds_hooks.fetching import reasons
from cds_hooks.fetching.scopes import Interaction
from cds_hooks.fetching.sources import MAX_BYTES, MAX_PAGES, Call, Source, Sources
from cds_hooks.settings import Settings
from screening.fhir_client.budget import Budget
from screening.fhir_client.questions import check_id
from screening.queries import PATIENT_KEY, query_of_key
from screening.schema import Schema

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched, and what was not.

    Attributes
    ----------
    contents
        For `FhirReader.add`; in no repr.
    problems
        Key → words: sent in part by the EHR, and the rest could not be fetched. What was sent may be used if that is said.
    unobtained
        Key → words: neither sent nor fetched. Nothing is known of it, which is not the same as no data.
    base_url
        What absolute references in `contents` begin with; None where nobody was asked.
    failed
        Keys that were asked for in vain: the server could not be reached, refused, or answered with an error.
    """

    contents: tuple[Any, ...] = field(default=(), repr=False)
    problems: Mapping[str, str] = field(default_factory=dict)
    unobtained: Mapping[str, str] = field(default_factory=dict)
    base_url: str | None = None
    failed: frozenset[str] = frozenset()


class Fetcher:
    """Fetches for calls; made once, shared by threads, and closed at the end.

    Parameters
    ----------
    settings
        `fetch_from`, `fhir_conn` and `fetch_seconds` count.
    servers
        The allow-list: pairs of an EHR's JWT issuer (None where it has none) and the base URL of a FHIR server of it.
    strangers
        The issuers of those EHRs whose patients have other ids on the own connection than on theirs.
    allow_http
        Permits plain http to another machine than this one; the own connection has its own `allow_http`.
    verify
        As in `ClientSettings`, for the EHRs' servers.

    Raises
    ------
    FatalError
        A server or the own connection that cannot be meant.

    Attributes
    ----------
    sources
        Whom to ask.
    """

    def __init__(
        self,
        settings: Settings,
        servers: Iterable[tuple[str | None, str]],
        *,
        strangers: Collection[str] = (),
        allow_http: bool = False,
        verify: bool | str = True,
    ) -> None:
        self.sources = Sources(settings, servers, strangers=strangers, allow_http=allow_http, verify=verify)
        self._seconds = settings.fetch_seconds

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone that the own connection names; None where it names none, or there is none."""
        return self.sources.zone

    def close(self) -> None:
        """Close all connections."""
        self.sources.close()

    def budget(self) -> Budget:
        """Return what one call may use; its time begins now."""
        return Budget(self._seconds, MAX_BYTES, MAX_PAGES)

    def fetch(
        self,
        call: Call,
        schema: Schema,
        keys: Collection[str],
        patient_id: str,
        prediction_time: datetime | None,
        *,
        iss: str | None = None,
        partial: Mapping[str, str | None] | None = None,
        patient: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> Fetched:
        """Fetch prefetch keys; whatever a server does, this returns in time and raises nothing for it.

        Parameters
        ----------
        call
            Names the EHR's FHIR server and brings the token for it.
        keys
            Not sent at all. Keys that were sent as null or empty are not to be among them: their data is that there is none.
        patient_id
            Whose data is asked for.
        prediction_time
            None asks for all times (mode `latest`).
        iss
            Whose JWT came with the call; None where none is asked for.
        partial
            Keys of which a page was sent. They are asked for anew, as a whole: the link that came with the page is text
            of a stranger, and of a search that we did not make.
        patient
            The Patient that was sent, None where none was. What our own server has under the id counts only if it is of the
            same person.
        budget
            Shared with what else is asked for this call; a new one unless given.
        """
        partial = partial or {}
        wanted = tuple(dict.fromkeys((*keys, *partial)))
        if not wanted:
            return Fetched()
        source = self.sources.of_data(call, patient_id, iss) if check_id(patient_id) else reasons.NO_ID
        if isinstance(source, str):
            return _sorted((), dict.fromkeys(wanted, source), partial, None)
        failed = {key: words for key in wanted if (words := source.lacks(*_kind(schema, key)))}
        asked = [key for key in wanted if key not in failed]
        urls = [query_of_key(schema, key, patient_id, prediction_time) for key in asked]
        answers = source.get_each(urls, budget or self.budget(), patient=patient)
        if isinstance(answers, str):
            return replace(_sorted((), dict.fromkeys(wanted, answers), partial, None), failed=frozenset(wanted))
        contents, said, in_vain = [], [], set()
        for key, answer in zip(asked, answers, strict=True):
            words = source.why_not(answer, *_kind(schema, key))
            if words is None:
                contents.append(answer.resources)
            else:
                failed[key] = words
                said.append(f"{key} ({answer.error or words})")
                if answer.error is not None:
                    in_vain.add(key)
        if said:
            log.warning("prefetch keys that were not fetched from %s: %s", source.base_url, ", ".join(said))
        found = _sorted(tuple(contents), {key: failed[key] for key in wanted if key in failed}, partial, source)
        return replace(found, failed=frozenset(in_vain))


def _kind(schema: Schema, key: str) -> tuple[str, Interaction]:
    if key == PATIENT_KEY:
        return "Patient", Interaction.READ
    return schema.features[key].fhir_resource, Interaction.SEARCH


def _sorted(
    contents: tuple[Any, ...], failed: Mapping[str, str], partial: Collection[str], source: Source | None
) -> Fetched:
    return Fetched(
        contents,
        problems={key: reasons.incomplete(words) for key, words in failed.items() if key in partial},
        unobtained={key: reasons.not_sent(words) for key, words in failed.items() if key not in partial},
        base_url=source.base_url if source else None,
    )
