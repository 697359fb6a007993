"""HTTP that cannot be read is refused as everything else is: with a problem (RFC 9457).

What comes before a request's body, its head, has bounds of size and time: a head that never ends would be held in
memory, and read anew with each part that comes. The bounds of bodies and of whole requests are `middleware.py`'s.
"""

from asyncio import AbstractEventLoop, BaseTransport, TimerHandle
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.at_once import AT_ONCE, WHOLE_REQUEST
from gateway.errors import problem_response
from gateway.settings import gateway_settings
from shared.errors import CrossdockError, Invalid
from shared.identifiers import new_id


class MalformedRequest(Invalid):
    """What arrived is not HTTP/1.1 (RFC 9112)."""

    title = "This is not HTTP"


class HeadTooLarge(Invalid):
    """Request line and header fields together are larger than is read (RFC 6585 §5)."""

    status = 431
    title = "The head of the request is too large"


class HeadTooSlow(Invalid):
    """A request was begun, and its head did not arrive in time (RFC 9110 §15.5.9)."""

    status = 408
    title = "The head of the request did not arrive in time"


# What is written in one turn of the loop is not gathered beyond this.
_MOST_GATHERED_BYTES = 1 << 14


class Gathering:
    """A transport that sends in one piece what is written to it in one turn of the loop, as an answer's head and body.

    Sent one by one they are two packets and two system calls, which is a tenth of a short answer's cost.
    """

    def __init__(self, transport: Any, loop: AbstractEventLoop) -> None:
        self.inner = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _MOST_GATHERED_BYTES:
            self._send()

    def close(self) -> None:
        self._send()
        self.inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _send(self) -> None:
        if self._parts:
            data, self._parts, self._size = b"".join(self._parts), [], 0
            self.inner.write(data)


class ProblemProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds of a request's head, and its own answers put into our words."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        settings = gateway_settings()
        self._most_bytes, self._most_seconds = settings.head_limit, settings.head_timeout_seconds
        # Between two requests, or within the head of one, of which so many bytes have come.
        self._is_before_body, self._head_bytes = True, 0
        self._is_refused = False
        self._deadline: TimerHandle | None = None
        self._answer_at_once = self.app_state.get(AT_ONCE)
        # Not within a request, of which so many were begun.
        self._is_between, self._begun = True, 0
        self._answered_at = 0.0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type]
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        is_alone = self._is_between and not self._is_answering
        if is_alone and self._is_answered_at_once(data):
            return
        before = self._begun
        self._read(data)
        if is_alone and self._is_between and self._begun == before + 1:
            self._note_whole(data)

    def _is_answered_at_once(self, data: bytes) -> bool:
        """Whether this was a request that is known by all its bytes, which then has its answer."""
        if self._answer_at_once is None or self.flow.write_paused:
            return False
        answer = self._answer_at_once(data, self.server_state.default_headers, self.loop)
        if answer is None:
            return False
        self.transport.write(answer)
        self.server_state.total_requests += 1
        self._unset_deadline()
        # A timer that runs is left alone: to set another for each request is dearer than to look again.
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive(self.timeout_keep_alive)
        return True

    def _note_whole(self, data: bytes) -> None:
        """Let whoever answers know all bytes of the request, where the same bytes can have the same answer."""
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and cycle.keep_alive and not self.expect_100_continue:
            cycle.scope["state"][WHOLE_REQUEST] = data

    def _keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close what nobody asked anything on in a while."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._keep_alive(left)
        else:
            super().timeout_keep_alive_handler()

    def _read(self, data: bytes) -> None:
        if self._is_before_body:
            self._head_bytes += len(data)
            # While an answer is made nobody waits for the next request.
            if self._deadline is None and not self._is_answering:
                self._set_deadline()
        super().data_received(data)
        if self._is_before_body and self._head_bytes > self._most_bytes:
            self._refuse_head()

    def on_response_complete(self) -> None:
        if self._is_refused:
            self.transport.close()
        else:
            super().on_response_complete()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def handle_websocket_upgrade(self) -> None:
        if not self._is_refused:
            self.transport = self.transport.inner  # type: ignore[attr-defined]
            super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        self._is_between, self._begun = False, self._begun + 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._is_refused:
            return
        self._is_before_body, self._head_bytes = False, 0
        self._unset_deadline()
        # In one piece it may be complete before it is counted.
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self._most_bytes:
            self._refuse_head()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_refused:
            self._is_before_body = self._is_between = True
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, and close: nobody knows where the next request begins."""
        self._refuse(MalformedRequest("The request cannot be read as HTTP/1.1."))

    def _refuse_head(self) -> None:
        self._refuse(HeadTooLarge(f"Request line and header fields are larger than {self._most_bytes} bytes."))

    def _refuse(self, error: CrossdockError) -> None:
        """Say why, and close. Where an earlier request is being answered, that is finished and nothing more is read."""
        if self._is_refused:
            return
        self._is_refused = True
        self._unset_deadline()
        if self._is_answering:
            self.pipeline.clear()
            return
        request_id = new_id().hex
        response = problem_response(error, request_id)
        named = [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
        headers = [*self.server_state.default_headers, *response.raw_headers, *named]
        status = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()
        lines = [status, *(b"%b: %b" % header for header in headers), b"", bytes(response.body)]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()

    # --- time

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(self._most_seconds, self._come_to_deadline)

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _come_to_deadline(self) -> None:
        """Who began a request hears why it ends here; who said nothing was not asking."""
        self._deadline = None
        if self._head_bytes:
            self._refuse(HeadTooSlow(f"The head of the request did not arrive within {self._most_seconds:g} s."))
        else:
            self.transport.close()
