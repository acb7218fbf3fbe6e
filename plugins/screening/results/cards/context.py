"""What the cards of one schema and one model have in common, put into words once and not with every chart opened."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from urllib.parse import quote, urlsplit

from screening.errors import FatalError
from screening.model.bundle import ModelBundle
from screening.results.cards.markdown import escaped, plain
from screening.results.cards.overrides import override_reasons
from screening.results.identity import SCHEMA_SYSTEM
from screening.results.wording import bound, number, provenance
from screening.schema import Feature, RiskLevels, Schema

TITLE_UNITS = 50
"""A longer title is cut, so that every summary stays below 140 characters."""
RESEARCH = "Output of a screening model, not a diagnosis: research software, not a medical device."


@dataclass(frozen=True, slots=True)
class FeatureWords:
    """A feature as cards name it; `order` is its coding in the schema as FHIR, None where nothing can be ordered.

    `ages` tells whether its values grow too old to count: a sex, a Condition and a stay do not.
    """

    display: str
    how: str
    order: Mapping[str, str] | None
    ages: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CardContext:
    """What every card of one schema and one model says.

    Attributes
    ----------
    title
        What is screened for, in plain text of at most `TITLE_UNITS`.
    model_name, model_version, model_sha256
        Of the model that answers; the sha256 is "" for one that was never a file.
    model_card_url, model_card_label
        The card's link: absolute; https, or http on loopback.
    source_label, source_url, topic
        The card's `source` (CH-47).
    threshold
        The training's operating point, 0 to 1; None where the model carries none.
    risk_levels
        The bounds in force.
    synthetic, tiny
        As in `ModelBundle`.
    override_reasons
        The codings of `card.overrideReasons`.
    features
        By name, in the schema's order.
    lookback
        The schema's window in words, "" where values of any age count.
    bounds_told, needs_told, facts_told
        Sentences in Markdown: the levels; what a score needs; the model, its card and its limits.
    """

    title: str
    model_name: str
    model_version: str
    model_sha256: str
    model_card_url: str
    model_card_label: str
    source_label: str
    source_url: str
    topic: Mapping[str, str]
    threshold: float | None
    risk_levels: RiskLevels
    synthetic: bool | None
    tiny: bool
    override_reasons: tuple[Mapping[str, str], ...]
    features: Mapping[str, FeatureWords]
    lookback: str
    bounds_told: str
    needs_told: str
    facts_told: str


def card_context(
    schema: Schema,
    bundle: ModelBundle,
    base_url: str,
    *,
    model_card_url: str | None = None,
    source_label: str | None = None,
    source_url: str | None = None,
) -> CardContext:
    """Put into words what the cards of a schema and a model have in common.

    Parameters
    ----------
    base_url
        The sidecar's public address.
    model_card_url
        Where the model card is served; None takes `model_card_path` below `base_url`.
    source_label, source_url
        Who says so, and where to read about it (CH-47); None takes the screen's title, and the model card.

    Raises
    ------
    FatalError
        Where an address is not absolute, or is plain http on another machine than this one (CH-4A).
    """
    card_url = public(model_card_url or f"{base_url.rstrip('/')}{model_card_path(bundle.name, bundle.version)}")
    title = plain(schema.heading, TITLE_UNITS) or schema.name[:TITLE_UNITS]
    return CardContext(
        title=title,
        model_name=bundle.name,
        model_version=bundle.version,
        model_sha256=bundle.sha256,
        model_card_url=card_url,
        model_card_label=f"Model card of {plain(bundle.name, 60)} {plain(bundle.version, 60)}",
        source_label=plain(source_label or f"{title} risk screening"),
        source_url=public(source_url) if source_url else card_url,
        topic={"system": SCHEMA_SYSTEM, "code": schema.name, "display": title},
        threshold=bundle.threshold,
        risk_levels=schema.risk_levels,
        synthetic=bundle.synthetic,
        tiny=bundle.tiny,
        override_reasons=tuple(override_reasons()),
        features=MappingProxyType({name: _words(feature) for name, feature in schema.features.items()}),
        lookback=duration(schema.lookback) if schema.lookback else "",
        bounds_told=_bounds(schema.risk_levels, bundle.threshold),
        needs_told=_needs(schema),
        facts_told=_facts(schema, bundle, card_url),
    )


def model_card_path(name: str, version: str) -> str:
    """Return the path below the public address at which a model's card is served."""
    return f"/models/{quote(name, safe='')}/{quote(version, safe='')}/model-card"


def public(url: str) -> str:
    """Return an address fit for a card's links.

    Raises
    ------
    FatalError
        Where it is not absolute, carries credentials, or is plain http on another machine than this one.
    """
    url = quote(url, safe=":/?#[]@!$&'*+,;=%-._~")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    if not host or not secure or "@" in parts.netloc:
        raise FatalError(
            f"{url}: a card links only to absolute https addresses (http on loopback): set the public address"
        )
    return url


def duration(span: timedelta) -> str:
    """Say a span in words: minutes up to two hours, hours up to two days, then days."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min" if minutes else "under 1 min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 7 else f"{days} d"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _words(feature: Feature) -> FeatureWords:
    order = None
    if feature.order:
        order = {"system": feature.order.system, "code": feature.order.code}
        if display := feature.order.display.strip():
            order["display"] = display
    ages = feature.fhir_resource not in ("Patient", "Condition", "Encounter")
    return FeatureWords(feature.display.strip() or feature.name, feature.how, order, ages)


def _bounds(levels: RiskLevels, threshold: float | None) -> str:
    told = f"Levels: MODERATE from {bound(levels.moderate)}%, HIGH from {bound(levels.high)}%."
    if threshold is None:
        return f"{told} The model carries no threshold of its own."
    return f"{told} The model's own threshold, from its training: {number(threshold * 100)}%."


def _needs(schema: Schema) -> str:
    told = f"A score needs at least {schema.min_observed} observed input{'s' if schema.min_observed > 1 else ''}"
    if schema.lookback:
        told += f" of the last {duration(schema.lookback)}"
    required = [escaped(_words(one).display) for one in schema.features.values() if one.required]
    if required and schema.missing == "insufficient":
        told += f"; never without: {', '.join(required)}"
    return f"{told}."


def _facts(schema: Schema, bundle: ModelBundle, card_url: str) -> str:
    predicted = schema.outcome and (schema.outcome.display or schema.outcome.code)
    told = [f"Predicted: {escaped(predicted)}."] if predicted else []
    told.append(f"Screen {escaped(schema.name)} {escaped(schema.version)},")
    told.append(f"{model_words(bundle.name, bundle.version, bundle.sha256)}: [model card]({card_url}).")
    return "\n\n".join([" ".join(told), " ".join([RESEARCH, *provenance(bundle.synthetic, bundle.tiny)])])


def model_words(name: str, version: str, sha256: str) -> str:
    """Name a model by name, version and the beginning of its sha256, in Markdown."""
    told = f"model {escaped(name)} {escaped(version)}"
    return f"{told}, sha256 {escaped(sha256[:12])}" if sha256 else told
