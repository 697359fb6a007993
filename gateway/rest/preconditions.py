"""ETag and If-Match for things that count their changes (RFC 9110 §13)."""

import re
from typing import Annotated, Protocol, TypeVar

from fastapi import Depends, Header
from starlette.responses import Response

from shared.errors import Invalid, PreconditionFailed

_VERSION = re.compile(r'(?:W/)?"(\d{1,9})"')
# RFC 9110 §8.8.3.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class InvalidIfMatch(Invalid):
    """`If-Match` is no ETag, or several."""


class UnknownVersion(PreconditionFailed):
    """`If-Match` is an ETag that was never given out for such a thing: it has another version, whatever it has."""


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
    given = if_match.strip()
    if (found := _VERSION.fullmatch(given)) is not None:
        return int(found[1])
    if _ETAG.fullmatch(given) is not None:
        raise UnknownVersion(f"No version has the ETag {given}; read it again.")
    raise InvalidIfMatch('If-Match takes one ETag as it was read, such as "3".')


ExpectedVersion = Annotated[int | None, Depends(_expected)]
