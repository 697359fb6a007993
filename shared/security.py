"""Secrets: sealed wherever they rest, on a queue and in remembered answers too; plain only where they are used.

Sealing is AES-SIV (RFC 5297) under a key derived (HKDF, RFC 5869) from the installation's master key, so that the same
text seals to the same bytes (an idempotency hash holds) and tampering is noticed.
"""

import base64
import binascii
import hmac
import secrets
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from shared.errors import CrossdockError
from shared.settings import settings

# Serialize and read with this context wherever text leaves the process other than to the client it belongs to.
SEALED = {"sealed": True}


class CannotUnseal(CrossdockError):
    """The sealed text was changed, or sealed under another master key."""


def seal(text: str, purpose: str) -> str:
    """`text` for storage, as urlsafe base64; only the same `purpose` opens it again."""
    return base64.urlsafe_b64encode(_cipher(purpose).encrypt(text.encode(), None)).decode()


def unseal(sealed: str, purpose: str) -> str:
    """Raises CannotUnseal."""
    try:
        return _cipher(purpose).decrypt(base64.urlsafe_b64decode(sealed), None).decode()
    except (InvalidTag, ValueError, binascii.Error):
        raise CannotUnseal("A stored secret cannot be opened with this installation's key.") from None


def derived_key(purpose: str, length: int = 64) -> bytes:
    """A key for one purpose, from the master key."""
    master = base64.urlsafe_b64decode(settings().secret_key.get_secret_value())
    if len(master) < 32:
        raise CannotUnseal("CROSSDOCK_SECRET_KEY must be at least 32 bytes in urlsafe base64.")
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose.encode()).derive(master)


@cache
def _cipher(purpose: str) -> AESSIV:
    return AESSIV(derived_key(f"crossdock {purpose}"))


def digest(secret: str) -> bytes:
    """SHA-256 of a secret that was made at random: how it is looked up."""
    return sha256(secret.encode()).digest()


def is_same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def new_secret(prefix: str = "", size: int = 32) -> str:
    """`size` random bytes as urlsafe text behind `prefix`."""
    return prefix + secrets.token_urlsafe(size)


class SecretText:
    """A text that is sealed on queues and in storage, hidden in logs, and plain in the answer to its owner."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "SecretText(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and is_same(self._text, other._text)

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls._write, info_arg=True, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "password"}

    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> "SecretText":
        if isinstance(value, SecretText):
            return value
        if not isinstance(value, str):
            raise ValueError("a text is needed")
        return cls(unseal(value, "wire") if _is_sealed(info.context) else value)

    @staticmethod
    def _write(value: "SecretText", info: SerializationInfo) -> str:
        return seal(value._text, "wire") if _is_sealed(info.context) else value._text


def _is_sealed(context: Any) -> bool:
    return bool(context and context.get("sealed"))
