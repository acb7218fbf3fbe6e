"""The switches that make the sandbox answer as one real server or another answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fhir_sandbox.switches import check_types, from_json, to_json


@dataclass(frozen=True)
class Behaviour:
    """How the sandbox behaves where real servers differ; the defaults are the friendliest of each.

    Attributes
    ----------
    total
        Whether `Bundle.total` is `always` there, or `absent` unless `_total=accurate` or `_summary=count` asks for it.
    default_count, max_count
        Entries a page without `_count`, and the most that `_count` gives; more is silently clamped.
    transactions
        `atomic`; `as_batch`: the answer is a transaction-response but each entry succeeds or fails alone, as with a
        Medplum project that lacks the feature; `unsupported`: 400.
    batch
        Whether batch Bundles are carried out; false: 400.
    batch_search
        Whether a batch may hold searches; false: 400 for that entry, as Google.
    max_bundle_entries
        More entries in one Bundle are 413; None is no limit.
    conditional_writes
        Whether If-None-Exist and PUT with a search are carried out; false: 400.
    risk_assessment
        Whether the type RiskAssessment exists; false: 404.
    client_ids
        `any`: PUT creates under the client's id; `refused`: 404, or 400 if the id is no UUID, as Medplum.
    unknown_params
        An unknown search parameter is an `error` (400), is passed over (`ignore`), or gives an `empty` searchset. In
        the condition of a write it is 400 always.
    outcome_entries
        Whether every searchset carries an OperationOutcome as an entry with `search.mode` outcome.
    next_link_style
        Whether links are `absolute`, or `relative` to the host.
    cursor_ttl_s
        Seconds after which a next link is answered with 410.
    rate_limit, rate_window_s
        Requests below the FHIR base in each window of so many seconds, the rest is 429; None is no limit.
    retry_after
        Whether a 429 has `Retry-After` beside its `RateLimit` header.
    bearer_token
        What `Authorization: Bearer` must carry, else 401; None lets everyone in. `metadata` is always open.
    max_body_bytes
        A larger request body is 413.
    """

    total: Literal["always", "absent"] = "always"
    default_count: int = 20
    max_count: int = 1000
    transactions: Literal["atomic", "as_batch", "unsupported"] = "atomic"
    batch: bool = True
    batch_search: bool = True
    max_bundle_entries: int | None = None
    conditional_writes: bool = True
    risk_assessment: bool = True
    client_ids: Literal["any", "refused"] = "any"
    unknown_params: Literal["error", "ignore", "empty"] = "error"
    outcome_entries: bool = False
    next_link_style: Literal["absolute", "relative"] = "absolute"
    cursor_ttl_s: float = 900.0
    rate_limit: int | None = None
    rate_window_s: float = 60.0
    retry_after: bool = False
    bearer_token: str | None = None
    max_body_bytes: int = 50_000_000

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("default_count", "max_count", "max_bundle_entries", "rate_limit", "max_body_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("cursor_ttl_s", "rate_window_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        if self.default_count > self.max_count:
            raise ValueError("default_count must not be above max_count")
        if self.bearer_token == "":
            raise ValueError("bearer_token must not be empty; null lets everyone in")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Behaviour":
        """Read the switches from a JSON object; a switch that is not named has its default.

        Raises
        ------
        ValueError
            If a key is unknown or a value is not one that the switch has.
        """
        return from_json(cls, data)

    def to_json(self) -> dict[str, Any]:
        """Give all switches as a JSON object."""
        return to_json(self)


# After the behaviour matrix of real servers: what was seen or documented of each, no more. Sizes and quotas that a
# test wants to meet early are left at their defaults.
LIKE: dict[str, Behaviour] = {
    "medplum": Behaviour(total="absent", transactions="as_batch", client_ids="refused"),
    "sekmet": Behaviour(unknown_params="ignore", outcome_entries=True),
    "google": Behaviour(batch_search=False),
    "azure": Behaviour(max_bundle_entries=500),
    "cerner": Behaviour(
        default_count=50,
        transactions="unsupported",
        conditional_writes=False,
        risk_assessment=False,
        client_ids="refused",
    ),
}
