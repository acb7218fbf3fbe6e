"""Identifiers: the same name always gives the same id, and every id is a valid FHIR id."""

import hashlib
import uuid

SYNTHETIC_ID = "https://synthetic-hospital.example.org/id"
"""Identifier system that every resource carries when it is loaded onto a server that chooses ids itself."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, SYNTHETIC_ID).bytes


def stable_uuid(name: str) -> str:
    """Return uuid5 of a name in the synthetic hospital's namespace, as text.

    The same as `str(uuid.uuid5(...))` at a third of its cost: ids are a large part of a generated resource.
    """
    digest = hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
