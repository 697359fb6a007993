"""The bus between processes: one Redis list of requests per service, one list of replies per asking process.

Requests of one turn of the event loop travel together, and so do replies; a service pops as many as it has room for.
At most once: a popped request whose process dies is lost, and its asker hears DeadlineExceeded.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import orjson
import structlog

from shared import background
from shared.bus.answering import Surroundings, UnknownMessage, answer, answer_bytes, parsed_answer, translated
from shared.bus.envelope import Envelope
from shared.bus.queue import RequestQueues
from shared.contracts.base import Message, ReadyJson
from shared.errors import CarriedError, CrossdockError, DeadlineExceeded, Unavailable, ValidationFailed
from shared.identifiers import new_id
from shared.redis_connection import REDIS_AWAY, RedisAddress
from shared.security import SEALED
from shared.service import Service

A = TypeVar("A")
log = structlog.get_logger("crossdock.bus")

_BATCH = 200
_BLOCK_SECONDS = 1
_REPLY_LIFETIME_SECONDS = 60
_RECONNECT_SECONDS = 0.2
# Longer than a Redis that is well ever takes; what it has not taken by then was not asked, or is answered to nobody.
_SEND_SECONDS = 5.0


class QueueUnavailable(Unavailable):
    """Redis did not take the request; nothing was asked."""

    title = "The queue between services does not answer"


class _Request(msgspec.Struct, frozen=True, array_like=True):
    id: int
    reply_to: str
    envelope: Envelope
    message: str
    payload: bytes


class _Reply(msgspec.Struct, frozen=True, array_like=True):
    """`problem` and `retry_after` are there when the service refused, `standing` with ready JSON that has one."""

    id: int
    payload: bytes = b""
    problem: bytes | None = None
    retry_after_seconds: int | None = None
    standing: tuple[str | int, ...] | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(_Request).decode
_decode_reply = msgspec.msgpack.Decoder(_Reply).decode


@dataclass(slots=True)
class _Leaving:
    """A request on its way to Redis."""

    frame: bytes
    envelope: Envelope
    reply: "asyncio.Future[_Reply]"


class RedisBus:
    """Asks services that answer in other processes."""

    def __init__(self, address: RedisAddress, *, bound: int = 1000) -> None:
        self._address = address
        self._bound = bound
        self._reply_to = address.name("reply", new_id().hex)
        # A request that was sent twice would be answered twice: at most once is the promise.
        self._client: Any = address.connect(once=True)
        self._blocking: Any = address.connect(blocking=True)
        self._queues = RequestQueues(self._client, address)
        self._leaving: defaultdict[str, list[_Leaving]] = defaultdict(list)
        self._waiting: dict[int, asyncio.Future[_Reply]] = {}
        self._count = 0
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._is_closed = False

    async def close(self) -> None:
        """Ask nothing more; whoever still waits for an answer is told that none comes here."""
        self._is_closed = True
        await background.end(*self._senders.values(), self._reader)
        _fail(
            self._waiting.values(),
            DeadlineExceeded("This process ends; ask again, for a change with the same Idempotency-Key."),
        )
        await self._client.aclose()
        await self._blocking.aclose()

    async def ask(self, message: Message[A], envelope: Envelope) -> A:
        """Queue the message and wait for its reply. Raises QueueUnavailable, Overloaded, DeadlineExceeded."""
        result: A = parsed_answer(type(message), await self.ask_ready(message, envelope))
        return result

    async def ask_ready(self, message: Message[Any], envelope: Envelope) -> bytes:
        """As `ask`, with the answer as it came."""
        if self._reader is None or self._reader.done():
            self._reader = background.begin(self._read_replies())
        remaining = envelope.remaining_seconds
        if remaining <= 0:
            raise DeadlineExceeded("The request had expired before it was asked; nothing was done.")
        self._count += 1
        number, future = self._count, asyncio.get_running_loop().create_future()
        payload = message.model_dump_json(context=SEALED).encode()
        frame = _encode(_Request(number, self._reply_to, envelope, message.wire_name, payload))
        self._waiting[number] = future
        self._leave(message.destination(), _Leaving(frame, envelope, future))
        try:
            async with asyncio.timeout(remaining):
                reply = await future
        except TimeoutError:
            raise DeadlineExceeded(
                "No answer arrived in time; ask again, for a change with the same Idempotency-Key.",
                retry_after_seconds=1,
            ) from None
        finally:
            self._waiting.pop(number, None)
        if reply.problem is not None:
            raise CarriedError(orjson.loads(reply.problem), reply.retry_after_seconds)
        return reply.payload if reply.standing is None else ReadyJson.of(reply.payload, reply.standing)

    def _leave(self, service: str, request: _Leaving) -> None:
        self._leaving[service].append(request)
        sender = self._senders.get(service)
        if sender is None or sender.done():
            self._senders[service] = background.begin(self._send_all(service))

    async def _send_all(self, service: str) -> None:
        """One sender for each service: however slow Redis is, one connection carries what gathers meanwhile."""
        while self._leaving[service]:
            leaving = [request for request in self._leaving.pop(service) if not request.reply.done()]
            for start in range(0, len(leaving), _BATCH):
                await self._send(service, leaving[start : start + _BATCH])

    async def _send(self, service: str, requests: Sequence[_Leaving]) -> None:
        frames = [(request.frame, request.envelope.remaining_seconds) for request in requests]
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                refused = await self._queues.push(service, frames, bound=self._bound)
        except REDIS_AWAY as error:
            away = QueueUnavailable(f"Redis does not take requests: {str(error) or 'no answer'}", retry_after_seconds=1)
            _fail([request.reply for request in requests], away)
            return
        for index, refusal in refused:
            _fail([requests[index].reply], refusal)

    async def _read_replies(self) -> None:
        while not self._is_closed:
            try:
                popped = await self._blocking.blpop([self._reply_to], timeout=_BLOCK_SECONDS)
                if popped is None:
                    continue
                more = await self._client.lpop(self._reply_to, _BATCH) or []
            except REDIS_AWAY as error:
                log.warning("replies_unreadable", error=str(error))
                await asyncio.sleep(_RECONNECT_SECONDS)
                continue
            for frame in (popped[1], *more):
                self._resolve(_decode_reply(frame))

    def _resolve(self, reply: _Reply) -> None:
        future = self._waiting.get(reply.id)
        if future is not None and not future.done():
            future.set_result(reply)


def _fail(replies: "Iterable[asyncio.Future[_Reply]]", error: CrossdockError) -> None:
    for reply in replies:
        if not reply.done():
            reply.set_exception(error)


@dataclass
class RedisAnswering:
    """Answers one service's messages from its Redis list, some at a time, until told to stop."""

    service: Service
    surroundings: Surroundings
    address: RedisAddress
    concurrency: int = 64
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _replies: defaultdict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _sender: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Take nothing more; what was taken is answered."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop()`, then finish what was taken."""
        self._client = self.address.connect()
        self._blocking = self.address.connect(blocking=True)
        self._queues = RequestQueues(self._client, self.address)
        try:
            while not self._stopping.is_set():
                await self._take()
            if self._running:
                await asyncio.wait(self._running, timeout=10)
            if self._sender is not None:
                await self._sender
        finally:
            await self._client.aclose()
            await self._blocking.aclose()

    async def _take(self) -> None:
        room = self.concurrency - len(self._running)
        if room <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return
        name = self.address.requests(self.service.name)
        try:
            frames = await self._queues.take(self.service.name, room)
            if not frames:
                popped = await self._blocking.blpop([name], timeout=_BLOCK_SECONDS)
                frames = [] if popped is None else [popped[1]]
        except REDIS_AWAY as error:
            log.warning("requests_unreadable", service=self.service.name, error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _RECONNECT_SECONDS)
            return
        for frame in frames:
            self._begin(frame)

    def _begin(self, frame: bytes) -> None:
        """Answer a request; one that cannot be read (two versions are running) must not end the answering of others."""
        try:
            request = _decode_request(frame)
        except msgspec.MsgspecError as error:
            log.error("request_unreadable", service=self.service.name, error=str(error))
            return
        task = asyncio.create_task(self._answer(request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, request: _Request) -> None:
        if request.envelope.remaining_seconds <= 0:
            log.info("expired_request_dropped", message=request.message, request_id=request.envelope.request_id)
            return
        try:
            reply = await self._reply(request)
        except Exception as error:
            # Also what is not an answer's own: one that cannot be written is a defect, told at once as everywhere.
            named = translated(error, request.message, request.envelope.request_id)
            reply = _Reply(request.id, b"", orjson.dumps(named.problem(), default=str), named.retry_after_seconds)
        self._replies[request.reply_to].append(_encode(reply))
        if self._sender is None or self._sender.done():
            self._sender = background.begin(self._send_all())

    async def _reply(self, request: _Request) -> _Reply:
        registered = self.service.answers.get(request.message)
        if registered is None:
            raise UnknownMessage(f"The service '{self.service.name}' does not answer '{request.message}'.")
        try:
            message = registered.message.model_validate_json(request.payload, context=SEALED)
        except ValueError as error:
            raise ValidationFailed(f"'{request.message}' is not what this version understands: {error}") from error
        result = await answer(self.service, self.surroundings, message, request.envelope)
        # msgspec writes no subclass of bytes.
        payload = bytes(answer_bytes(registered.message, result))
        return _Reply(request.id, payload, standing=getattr(result, "standing", None))

    async def _send_all(self) -> None:
        while self._replies:
            replies, self._replies = self._replies, defaultdict(list)
            await self._send_replies(replies)

    async def _send_replies(self, replies: Mapping[str, Sequence[bytes]]) -> None:
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for reply_to, frames in replies.items():
                    pipe.rpush(reply_to, *frames)
                    pipe.expire(reply_to, _REPLY_LIFETIME_SECONDS)
                await pipe.execute()
        except REDIS_AWAY as error:
            log.warning("replies_lost", count=sum(map(len, replies.values())), error=str(error))
