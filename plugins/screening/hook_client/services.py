"""What a CDS service says of itself: its discovery (CDS Hooks 2.0, Discovery)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from screening.errors import HookServiceError

HOOK = "patient-view"
"""The one hook that this client triggers: somebody opens a chart."""
PATH = "/cds-services"


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a discovery answer.

    Attributes
    ----------
    id
        The last part of the endpoint's URL.
    prefetch
        Prefetch key → template: what the service would have sent along.
    """

    id: str
    hook: str
    title: str
    prefetch: Mapping[str, str]

    def url(self, base: str) -> str:
        """Return the endpoint, below a base URL without trailing slash."""
        return f"{base}{PATH}/{quote(self.id, safe='')}"

    def feedback_url(self, base: str) -> str:
        """Return the endpoint for feedback."""
        return f"{self.url(base)}/feedback"


def services(discovery: Any) -> list[Service]:
    """Read a discovery answer.

    Raises
    ------
    HookServiceError
        Where it is none, or a service lacks what the specification requires (id, hook, description).
    """
    listed = discovery.get("services") if isinstance(discovery, dict) else None
    if not isinstance(listed, list):
        raise HookServiceError("the answer of /cds-services is no discovery: it has no list `services`")
    return [_service(one) for one in listed]


def _service(one: Any) -> Service:
    fields = one if isinstance(one, dict) else {}
    known, hook, description = (fields.get(key) for key in ("id", "hook", "description"))
    if not (isinstance(known, str) and isinstance(hook, str) and isinstance(description, str) and known and hook):
        raise HookServiceError("discovery: a service lacks one of id, hook and description")
    templates = fields.get("prefetch", {})
    if not isinstance(templates, dict) or not all(isinstance(text, str) for text in templates.values()):
        raise HookServiceError(f"discovery: the prefetch of {known} is no object of templates")
    return Service(known, hook, str(fields.get("title") or known), templates)


def choose(listed: Iterable[Service], wanted: str | None) -> Service:
    """Return the service of this id that takes `patient-view`; without an id, the only one that does.

    Raises
    ------
    HookServiceError
        Where there is none, or there are several and none was named; it names those that there are.
    """
    ours = [one for one in listed if one.hook == HOOK]
    fit = [one for one in ours if wanted in (None, one.id)]
    if len(fit) == 1:
        return fit[0]
    names = ", ".join(one.id for one in ours) or "none"
    if wanted is not None:
        raise HookServiceError(f"no service {wanted} takes {HOOK}; of those that do there is: {names}")
    raise HookServiceError(f"name the service to call (--service): of those that take {HOOK} there is: {names}")
