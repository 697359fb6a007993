"""What an agent brings: an answer in the words of the custom protocol, or a failure with its reason. Pure functions."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from services.sync.errors import (
    AnswerLost,
    AnswerNotUnderstood,
    CredentialsRefused,
    PlatformAway,
    PlatformRefused,
)
from services.sync.platforms.custom.mapping import NO_JSON, shown
from shared.errors import CrossdockError


class _Failure(msgspec.Struct):
    code: Literal["not_now", "unclear", "no_access", "refused"]
    message: str
    retry_after_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] | None = None


class Result(msgspec.Struct):
    """What came of a piece of work; `now` is the time that the system has."""

    answer: msgspec.Raw = msgspec.Raw(b"null")
    failure: _Failure | None = None
    now: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


_result = msgspec.json.Decoder(Result)


def result(body: bytes) -> Result:
    """Raises AnswerNotUnderstood."""
    try:
        found = _result.decode(body)
    except NO_JSON as error:
        raise AnswerNotUnderstood(f"{error}: {shown(body)}") from error
    if (bytes(found.answer) == b"null") == (found.failure is None):
        raise AnswerNotUnderstood(f"Neither an answer nor a failure, or both: {shown(body)}")
    return found


def failure(found: Result) -> CrossdockError | None:
    """What went wrong, as every platform's troubles are called; None: nothing."""
    if found.failure is None:
        return None
    message = shown(found.failure.message) or "The agent does not say why."
    match found.failure.code:
        case "not_now":
            seconds = found.failure.retry_after_seconds
            return PlatformAway(message, retry_after_seconds=None if seconds is None else max(1, round(seconds)))
        case "unclear":
            return AnswerLost(message)
        case "no_access":
            return CredentialsRefused(message)
        case _:
            return PlatformRefused(message)


def as_results(answer: bytes) -> bytes:
    """The result of one write, as the custom protocol answers some."""
    return b'{"results":[' + answer + b"]}"
