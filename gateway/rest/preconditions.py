"""ETag and If-Match for things that count their changes (RFC 9110 §13)."""

import re
from typing import Annotated, Protocol, TypeVar

from fastapi import Depends, Header
from starlette.responses import Response

from shared.errors import PreconditionFailed

_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')


class InvalidIfMatch(PreconditionFailed):
    """`If-Match` is not an ETag that was given out."""


class Versioned(Protocol):
    """Something with a `version`."""

    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=Versioned)


def tagged(versioned: V, response: Response) -> V:
    """Name the version in the answer's `ETag`."""
    response.headers["ETag"] = f'"{versioned.version}"'
    return versioned


def _expected(
    if_match: Annotated[str | None, Header(description="The `ETag` of what you read; 412 when it has changed.")] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise InvalidIfMatch('If-Match takes the ETag as it was read, such as "3".')
    return int(found[1])


ExpectedVersion = Annotated[int | None, Depends(_expected)]
