"""A key pair for an EHR that has none: a P-384 key for ES384, and the JWK set that the service is given."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from screening.errors import DataFileError
from screening.hook_client.tokens import SigningKey, thumbprint

PRIVATE, PUBLIC = "private.pem", "jwks.json"


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where a key pair was written, and its id."""

    private: Path
    public: Path
    kid: str


def make_keys(folder: Path) -> KeyFiles:
    """Make a key pair: the private key as PKCS #8 PEM that only its owner may read, the public one as a JWK set.

    Raises
    ------
    DataFileError
        Where there is a key already, which is never written over, or the folder cannot be written.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    made = KeyFiles(folder / PRIVATE, folder / PUBLIC, thumbprint(key))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    known = json.dumps({"keys": [SigningKey(key, made.kid).public_jwk()]}, indent=2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for taken in (made.private, made.public):
            if taken.exists():
                raise DataFileError(f"{taken}: is there already and is not written over: name another folder")
        # Made with its mode, and not changed to it: there is no moment at which others could read it.
        with os.fdopen(os.open(made.private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        made.public.write_text(known + "\n", encoding="utf-8")
    except OSError as error:
        raise DataFileError(f"{folder}: the keys cannot be written: {error.strerror}") from None
    return made
