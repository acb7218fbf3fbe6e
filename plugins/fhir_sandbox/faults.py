"""Answers broken on purpose: by rate from a seed, and by an exact list of rules."""

import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fhir_sandbox.switches import check_types, from_json, to_json

Action = Literal["status", "drop", "truncate", "html"]


@dataclass(frozen=True)
class Match:
    """Which requests a rule is for.

    Attributes
    ----------
    method
        None for any.
    path_regex
        Searched for in the address below the base with its query, `/Observation?code=x`; None for any.
    entry
        True: the rule is for entries within Bundles instead of for requests.
    """

    method: str | None = None
    path_regex: str | None = None
    entry: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        if self.path_regex is not None:
            try:
                re.compile(self.path_regex)
            except re.error as error:
                raise ValueError(f"path_regex: {error}") from error


@dataclass(frozen=True)
class Rule:
    """One fault and when it strikes.

    Attributes
    ----------
    action
        `status`: answered with `status`, `headers` and an OperationOutcome; `drop`: the connection is closed without
        an answer; `truncate`: half of the body is sent and the connection closed; `html`: 200 with an HTML page;
        `delay`: `delay_ms` later, and then whatever else strikes.
    times
        How often; None for always.
    commit
        True: the request is carried out, then its answer is lost. False: a write is not carried out.
    """

    match: Match = field(default_factory=Match)
    action: Literal["status", "drop", "truncate", "html", "delay"] = "status"
    times: int | None = None
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_ms: float = 0.0
    commit: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        if not all(isinstance(text, str) for pair in self.headers.items() for text in pair):
            raise ValueError("headers: names and values must be strings")
        if not 400 <= self.status <= 599:
            raise ValueError("status must be from 400 to 599")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1")
        if self.delay_ms < 0:
            raise ValueError("delay_ms must not be negative")
        if self.match.entry and self.action not in ("status", "delay"):
            raise ValueError("an entry of a Bundle knows only the actions status and delay")

    @classmethod
    def from_json(cls, data: Any) -> "Rule":
        """Read a rule from a JSON object.

        Raises
        ------
        ValueError
            If a key is unknown or a value is not one that it can have.
        """
        if isinstance(data, Mapping) and "match" in data:
            data = {**data, "match": from_json(Match, data["match"])}
        return from_json(cls, data)


@dataclass(frozen=True)
class Faults:
    """Which answers are broken; by default none.

    Attributes
    ----------
    latency_ms
        Every request is answered so much later.
    error_rate, drop_rate, truncate_rate, html_rate
        Share of the requests, from 0 to 1, that is answered with `error_status`, not at all, by half, or with an HTML
        page; together at most 1.
    commit
        Whether a request that a rate strikes is carried out before its answer is lost.
    seed
        The requests that a rate strikes are a function of the seed and of their order since the switch was set.
    rules
        The first rule that matches strikes, before any rate.
    """

    latency_ms: float = 0.0
    error_rate: float = 0.0
    error_status: int = 503
    drop_rate: float = 0.0
    truncate_rate: float = 0.0
    html_rate: float = 0.0
    commit: bool = False
    seed: int = 0
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        rates = (self.error_rate, self.drop_rate, self.truncate_rate, self.html_rate)
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError("the rates must not be negative and together not above 1")
        if self.latency_ms < 0:
            raise ValueError("latency_ms must not be negative")
        if not 400 <= self.error_status <= 599:
            raise ValueError("error_status must be from 400 to 599")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Faults":
        """Read the faults from a JSON object; one that is not named has its default.

        Raises
        ------
        ValueError
            If a key is unknown or a value is not one that it can have.
        """
        if isinstance(data, Mapping) and isinstance(data.get("rules"), list):
            data = {**data, "rules": tuple(Rule.from_json(rule) for rule in data["rules"])}
        return from_json(cls, data)

    def to_json(self) -> dict[str, Any]:
        """Give the faults as a JSON object."""
        return {**to_json(self), "rules": [to_json(rule) for rule in self.rules]}


@dataclass(frozen=True, slots=True)
class Strike:
    """What strikes one request; `action` None is nothing but the delay."""

    action: Action | None = None
    delay_ms: float = 0.0
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    commit: bool = False


class FaultPlan:
    """The faults in use: how often each rule has struck, and the dice."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._lock = threading.Lock()
        self._left = [rule.times for rule in faults.rules]
        self._dice = random.Random(faults.seed)  # noqa: S311 - a repeatable choice is wanted

    def strike(self, method: str, address: str) -> Strike:
        """Decide what strikes a request."""
        with self._lock:
            rule, delay_ms = self._rule(method, address, entry=False)
            die = self._dice.random()
        delay_ms += self.faults.latency_ms
        if rule is not None:
            return _strike(rule, delay_ms)
        return Strike(self._by_rate(die), delay_ms, self.faults.error_status, commit=self.faults.commit)

    def strike_entry(self, method: str, address: str) -> Strike:
        """Decide what strikes an entry of a Bundle; rates and latency do not."""
        with self._lock:
            rule, delay_ms = self._rule(method, address, entry=True)
        return Strike(delay_ms=delay_ms) if rule is None else _strike(rule, delay_ms)

    def _rule(self, method: str, address: str, *, entry: bool) -> tuple[Rule | None, float]:
        delay_ms = 0.0
        for position, rule in enumerate(self.faults.rules):
            left = self._left[position]
            if left == 0 or not _matches(rule.match, method, address, entry):
                continue
            if left is not None:
                self._left[position] = left - 1
            if rule.action != "delay":
                return rule, delay_ms
            delay_ms += rule.delay_ms
        return None, delay_ms

    def _by_rate(self, die: float) -> Action | None:
        faults = self.faults
        rates: tuple[tuple[Action, float], ...] = (
            ("drop", faults.drop_rate),
            ("truncate", faults.truncate_rate),
            ("html", faults.html_rate),
            ("status", faults.error_rate),
        )
        for action, rate in rates:
            if die < rate:
                return action
            die -= rate
        return None


def _strike(rule: Rule, delay_ms: float) -> Strike:
    action = None if rule.action == "delay" else rule.action
    return Strike(action, delay_ms, rule.status, rule.headers, rule.commit)


def _matches(match: Match, method: str, address: str, entry: bool) -> bool:
    return (
        match.entry == entry
        and match.method in (None, method)
        and (match.path_regex is None or re.search(match.path_regex, address) is not None)
    )
