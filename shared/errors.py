"""Errors that reach a client, and nothing else.

    CrossdockError              what went wrong, with an HTTP status and a stable code
    ├── Invalid                 400  the request itself is wrong
    │   └── ValidationFailed    422  the request is well-formed and its content is not
    ├── Unauthenticated         401  nobody we know
    ├── Forbidden               403  known, and not allowed
    ├── NotFound                404  not there, or another tenant's
    ├── Conflict                409  right once, not now
    ├── Gone                    410  was there, is no longer
    ├── TooLarge                413  beyond a limit
    ├── TooManyRequests         429  slower, please
    └── Unavailable             503  later, please
        ├── Overloaded               the queue is longer than it can answer in time
        └── DeadlineExceeded    504  nobody waits for the answer any more

A service subclasses these by situation (`InsufficientStock(Conflict)`); the bus carries them across a queue unchanged,
and the gateway renders each as `application/problem+json` (RFC 9457).
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class CrossdockError(Exception):
    """A named situation. `code` is stable for clients; `detail` is a sentence a person can act on."""

    status: int = 500
    code: str = "internal_error"
    title: str = "Something went wrong on our side"
    _abstract: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "code" not in cls.__dict__:
            cls.code = _WORD.sub("_", cls.__name__).lower()
        if "title" not in cls.__dict__:
            cls.title = _WORD.sub(" ", cls.__name__).capitalize()

    def __init__(
        self, detail: str = "", errors: Sequence[dict[str, Any]] = (), *, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = list(errors)
        self.retry_after_seconds = retry_after_seconds

    def problem(self) -> dict[str, Any]:
        """The members of RFC 9457's problem object, `errors` only where it helps."""
        body: dict[str, Any] = {
            "type": f"urn:crossdock:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            body["errors"] = self.errors
        return body


class Invalid(CrossdockError):
    status = 400


class ValidationFailed(Invalid):
    status = 422


class Unauthenticated(CrossdockError):
    status = 401


class Forbidden(CrossdockError):
    status = 403


class MissingScope(Forbidden):
    title = "The credential does not carry the scope this needs"


class NotFound(CrossdockError):
    status = 404


class Conflict(CrossdockError):
    status = 409


class PreconditionFailed(Conflict):
    """The thing changed since the version the client named (If-Match)."""

    status = 412


class IdempotencyKeyReused(Conflict):
    """The same key came with another body."""

    status = 422
    title = "This Idempotency-Key was used for a different request"


class Gone(CrossdockError):
    status = 410


class TooLarge(CrossdockError):
    status = 413


class TooManyRequests(CrossdockError):
    status = 429


class Unavailable(CrossdockError):
    status = 503


class Overloaded(Unavailable):
    title = "More is waiting than can be answered in time"


class DeadlineExceeded(Unavailable):
    status = 504
    title = "No answer arrived before the deadline"


class InternalError(CrossdockError):
    """What a client hears of a defect: that it happened, and the request id to name it by."""

    title = "Something went wrong on our side"


class CarriedError(CrossdockError):
    """An error that was raised in another process, with its own status and code."""

    def __init__(self, problem: dict[str, Any], retry_after_seconds: int | None = None) -> None:
        super().__init__(problem["detail"], problem.get("errors", ()), retry_after_seconds=retry_after_seconds)
        self.status = problem["status"]
        self.code = problem["code"]
        self.title = problem["title"]
