"""How the credentials of connections rest: sealed for this one purpose."""

from collections.abc import Mapping

import orjson

from shared.security import seal, unseal

_PURPOSE = "sync.credentials"


def sealed(credentials: Mapping[str, str]) -> str:
    return seal(orjson.dumps(dict(credentials)).decode(), _PURPOSE)


def unsealed(text: str) -> dict[str, str]:
    """Raises CannotUnseal."""
    credentials: dict[str, str] = orjson.loads(unseal(text, _PURPOSE))
    return credentials
