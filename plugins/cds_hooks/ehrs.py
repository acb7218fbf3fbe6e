"""The YAML of the EHRs that may call: who they are, where their keys are, and where their patients' data may be fetched.

`include/ehrs.example.yaml` shows every key. An unknown key is an error with its path, and all errors are told at once.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from screening.errors import FhirFatalError, SchemaError
from screening.fhir_client.address import checked_base_url, is_loopback
from screening.strict_yaml import read_mapping, read_text, validated

Algorithm: TypeAlias = Literal["ES384", "RS384", "ES256", "RS256"]
"""What a JWT can be signed with (RFC 7518, section 3.1); never `none`, and nothing symmetric."""
RECOMMENDED: tuple[Algorithm, ...] = ("ES384", "RS384")
"""Those that CDS Hooks 2.0.1 recommends."""
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ehr:
    """One EHR.

    Attributes
    ----------
    iss
        What its JWTs say in `iss`; None: it cannot call with a JWT, and its entry serves `CDS_AUTH=off` alone.
    algorithms
        What its JWTs may be signed with.
    jwks
        The file of its JWK Set (RFC 7517, section 5); None where the keys are fetched from `jku`.
    jku
        The URL of its JWK Set, letter by letter what a JWT's header may name; None: a JWT may name none. Beside `jwks`
        it is never fetched.
    tenants
        The `tenant`s that may call; empty: any, and none.
    fhir_servers
        Base URLs without trailing slash from which data that were not sent may be fetched with the call's token.
    own_patients
        Whether its patients have the same ids on our own FHIR connection; None where the file does not say.
    """

    iss: str | None = None
    algorithms: tuple[Algorithm, ...] = RECOMMENDED
    jwks: Path | None = None
    jku: str | None = None
    tenants: tuple[str, ...] = ()
    fhir_servers: tuple[str, ...] = ()
    own_patients: bool | None = None


def _protected(text: str, info: ValidationInfo) -> str:
    """Check an absolute URL that keys or patient data come from."""
    try:
        checked_base_url(text, allow_http=True)
        loopback = is_loopback(urlsplit(text).hostname or "")
    except FhirFatalError:
        raise ValueError("must be https://HOST/PATH without credentials, fragment and '..'") from None
    if text.startswith("http:") and not loopback and not _context(info)["allow_http"]:
        raise ValueError(
            "must be https; plain http is for this machine alone (127.0.0.1, localhost), or with CDS_ALLOW_HTTP=true"
        )
    return text


def _context(info: ValidationInfo) -> Mapping[str, Any]:
    return info.context or {}


def _key_url(text: str, info: ValidationInfo) -> str:
    """Check a URL of keys; it may have a query, as some identity providers' have."""
    base, _, query = text.partition("?")
    if query and (not _PRINTABLE.fullmatch(query) or "#" in query):
        raise ValueError("must be https://HOST/PATH without credentials, fragment and '..'")
    _protected(base, info)
    return text


def _server_url(text: str, info: ValidationInfo) -> str:
    return _protected(text, info).rstrip("/")


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_Text = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!-~]+$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    iss: _Text | None = None
    algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(_tuple), Field(min_length=1)] = RECOMMENDED
    jwks: Annotated[str, StringConstraints(min_length=1)] | None = None
    jku: Annotated[str, AfterValidator(_key_url)] | None = None
    tenants: Annotated[tuple[_Text, ...], BeforeValidator(_tuple)] = ()
    fhir_servers: Annotated[tuple[Annotated[str, AfterValidator(_server_url)], ...], BeforeValidator(_tuple)] = ()
    own_patients: bool | None = None

    @field_validator("jwks")
    @classmethod
    def _there(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Give the path as it is from here; it is written as from the YAML's folder."""
        folder: Path = _context(info)["folder"]
        if value is not None and not (folder / value).is_file():
            raise ValueError(f"no such file: {folder / value}")
        return None if value is None else str(folder / value)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        idle = [
            name for name in ("jwks", "jku", "tenants", "algorithms", "own_patients") if name in self.model_fields_set
        ]
        if self.iss is not None and self.jwks is None and self.jku is None:
            raise ValueError("give jwks, the file of its keys, or jku, their URL")
        if self.iss is None and idle:
            raise ValueError(f"iss is missing: without it {', '.join(idle)} have no effect")
        if self.iss is None and not self.fhir_servers:
            raise ValueError("give iss with jwks or jku; with CDS_AUTH=off, fhir_servers alone will do")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    ehrs: Annotated[tuple[_Entry, ...], BeforeValidator(_tuple), Field(min_length=1)]

    @field_validator("ehrs")
    @classmethod
    def _once(cls, value: tuple[_Entry, ...]) -> tuple[_Entry, ...]:
        named = [entry.iss for entry in value if entry.iss is not None]
        if twice := sorted({iss for iss in named if named.count(iss) > 1}):
            raise ValueError(f"{', '.join(twice)} stands twice; an iss has one entry")
        return value


def load_ehrs(path: Path, *, allow_http: bool = False) -> tuple[Ehr, ...]:
    """Read the EHRs that may call.

    Parameters
    ----------
    allow_http
        Permits plain http to other machines than this one.

    Raises
    ------
    SchemaError
        With every problem found, each with the path of its key.
    """
    data = read_mapping(read_text(path), path.name, needs="ehrs: a list of who may call")
    entries = validated(_File, data, path.name, folder=path.parent, allow_http=allow_http).ehrs
    return tuple(
        Ehr(
            iss=entry.iss,
            algorithms=entry.algorithms,
            jwks=None if entry.jwks is None else Path(entry.jwks),
            jku=entry.jku,
            tenants=entry.tenants,
            fhir_servers=entry.fhir_servers,
            own_patients=entry.own_patients,
        )
        for entry in entries
    )


def by_iss(ehrs: Sequence[Ehr]) -> dict[str, Ehr]:
    """Return the EHRs by their `iss`, for where every call must name one.

    Raises
    ------
    SchemaError
        One has no `iss`, or there is none at all.
    """
    problems = [f"ehrs.{at}.iss: is missing; CDS_AUTH=required needs it" for at, ehr in enumerate(ehrs) if not ehr.iss]
    if not ehrs:
        problems = ["ehrs: names nobody who may call; CDS_AUTH=required needs one"]
    if problems:
        raise SchemaError("CDS_EHRS", problems)
    return {ehr.iss: ehr for ehr in ehrs if ehr.iss}


def strangers(ehrs: Sequence[Ehr], *, own_connection: bool) -> tuple[str, ...]:
    """Return who of the EHRs means others than our own FHIR connection by its patients' ids: it is not asked for them.

    Raises
    ------
    SchemaError
        Of several EHRs one does not say whether it does. Or one says so, and there is no own connection.
    """
    known = [(at, ehr) for at, ehr in enumerate(ehrs) if ehr.iss]
    if not own_connection:
        problems = [
            f"ehrs.{at}.own_patients: has no effect without CDS_FHIR_CONN"
            for at, ehr in known
            if ehr.own_patients is not None
        ]
    else:
        problems = [
            f"ehrs.{at}.own_patients: is missing: say true where its patients have the same ids on CDS_FHIR_CONN, and false "
            "where not; with several EHRs one id may be two people"
            for at, ehr in known
            if len(known) > 1 and ehr.own_patients is None
        ]
    if problems:
        raise SchemaError("CDS_EHRS", problems)
    return tuple(ehr.iss for _, ehr in known if ehr.iss and ehr.own_patients is False)
