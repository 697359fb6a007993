"""Requests that came before, byte for byte, answered while they arrive: nothing is parsed, routed or waited for.

A client that stays connected sends the same bytes for the same question. What they mean is known once they were
answered from what is kept (`ready.py`); from then on it is only asked whether they mean that still: whether the
credential is believed, and the answer is what would be given now. Whatever is not sure of this is read as any other
request, and so is all that is counted against a budget.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from gateway.credentials import Presented
from gateway.identity import Identities, Remembered
from gateway.middleware import given_id, route_template
from gateway.ready import Kept, ReadyAnswers
from shared import metrics
from shared.identifiers import new_id
from shared.logging import KnownLine

# Where a server's state has the function that answers, and where a request's state has all of its bytes.
AT_ONCE, WHOLE_REQUEST = "answer_at_once", "whole_request"
_LONGEST = 1 << 13

Headers = Iterable[tuple[bytes, bytes]]


class _Meaning(msgspec.Struct, frozen=True):
    """What a request's bytes ask for, who asks, and what is answered as long as both hold."""

    kept: Kept
    presented: Presented
    known: Remembered
    status: int
    beginning: bytes
    headers: bytes
    body: bytes
    request_id: str | None
    method: str
    route: str
    line: KnownLine


class AtOnce:
    """The requests that are answered while they arrive."""

    def __init__(self, answers: ReadyAnswers, identities: Callable[[], Identities]) -> None:
        self._answers, self._identities = answers, identities

    def note(self, scope: Scope, kept: Kept, response: Response) -> None:
        """A request was just answered from what is kept: the next one of the same bytes is answered at once."""
        request = scope["state"].get(WHOLE_REQUEST)
        if request is None or len(request) > _LONGEST or not self._answers.takes_more(kept):
            return
        credential = self._identities().remembered_for(scope)
        if credential is None:
            return
        method, route, status = scope["method"], route_template(scope), HTTPStatus(response.status_code)
        caller = scope["state"]["asker"].caller
        line = KnownLine(
            "request",
            method=method,
            path=scope["path"],
            route=route,
            status=status.value,
            organization=str(caller.organization_id),
            caller=str(caller.id) if caller.id else None,
        )
        meaning = _Meaning(
            kept,
            *credential,
            status.value,
            f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode(),
            _written(response.raw_headers),
            bytes(response.body),
            given_id(scope),
            method,
            route,
            line,
        )
        self._answers.repeat(kept, request, meaning)

    def answer(self, request: bytes, default_headers: Headers, loop: asyncio.AbstractEventLoop) -> bytes | None:
        """All that is answered to a request which is here whole; None for one that must be read."""
        meaning: _Meaning | None = self._answers.repeated.get(request)
        if meaning is None:
            return None
        began = time.perf_counter()
        if not self._identities().is_believed(meaning.presented, meaning.known):
            return None
        if not self._answers.is_current(meaning.kept):
            return None
        request_id = meaning.request_id or new_id().hex
        named = b"x-request-id: %b\r\n\r\n" % request_id.encode()
        answer = b"".join((meaning.beginning, _written(default_headers), meaning.headers, named, meaning.body))
        seconds = time.perf_counter() - began
        metrics.count_ready(is_found=True)
        metrics.count_request(meaning.method, meaning.route, meaning.status, seconds)
        meaning.line.write(loop, request_id, seconds * 1000)
        return answer


def _written(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
