"""GraphQL over WebSocket, as the protocol `graphql-transport-ws` has it
(https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md).

Who connects says who they are by header, or in `connection_init`: `{"Authorization": "Bearer …"}`. While the connection
lasts the credential is looked at several times a second: once it is withdrawn or has expired, the connection ends, and
what is shown follows the rights of this moment. Queries and mutations are answered, too.

| code | why the connection ends |
|---|---|
| 4400 | a message that is not one of the protocol |
| 4401 | nobody has said who they are, or the credential does not hold, or not any more |
| 4403 | the credential may not be used from here |
| 4406 | another protocol than `graphql-transport-ws` |
| 4408 | `connection_init` did not come in time |
| 4409 | two operations of one id |
| 4429 | `connection_init` came twice, or too many operations or connections at once |
| 1013 | the reader is too slow, or must come back: events may have been missed |
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import structlog
from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gateway.browsers import spend
from gateway.graphql.context import Context
from gateway.graphql.encoding import plain_value
from gateway.graphql.execution import chosen, execute, is_subscription
from gateway.graphql.http import entry_of, worded
from gateway.graphql.persisted import Operations
from gateway.graphql.schema import Schema
from gateway.graphql.written import Written
from gateway.live import LiveEvents, LiveEventsInterrupted, LiveEventsUnavailable, TooSlow
from gateway.request import asker_for, identities
from shared.bus.envelope import Caller
from shared.errors import CrossdockError, Forbidden

log = structlog.get_logger("crossdock.websocket")

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
LOOK_AT_CREDENTIAL_SECONDS = 0.3
MOST_OPERATIONS = 20
MOST_CONNECTIONS_PER_CLIENT = 50
# Of messages that wait for a reader.
MOST_OUTGOING = 200
SEND_SECONDS = 10.0
_LONGEST_REASON = 120


class _Ended(Exception):
    """The connection ends, with a code and a reason for whoever reads them."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class GraphqlSocket:
    """`/graphql` over WebSocket as an ASGI application."""

    def __init__(self, schema: Schema, operations: Operations | None = None) -> None:
        self._schema, self._known = schema, operations or Operations(schema)
        self._connections: Counter[UUID] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        is_ours = PROTOCOL in socket.scope.get("subprotocols", ())
        await socket.accept(subprotocol=PROTOCOL if is_ours else None)
        if not is_ours:
            await socket.close(4406, f"The protocol here is {PROTOCOL}.")
            return
        await _Connection(socket, self._schema, self._known, self._connections).serve()


class _Connection:
    """One connection, from `connection_init` to its end."""

    def __init__(self, socket: WebSocket, schema: Schema, known: Operations, connections: Counter[UUID]) -> None:
        self._socket = socket
        # The same connection, with the credential that was sent in `connection_init`.
        self._speaker: HTTPConnection = socket
        self._schema, self._known = schema, known
        self._connections = connections
        self._context: Context | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MOST_OUTGOING)
        self._ending: asyncio.Future[_Ended] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        """Until either side ends it."""
        parts = [asyncio.create_task(part) for part in (self._read(), self._write())]
        self._ending.add_done_callback(lambda _: [part.cancel() for part in parts])
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The end is told before the operations are: they may take their time to let go.
            await self._stop(parts)
            await self._close()
            await self._stop(list(self._operations.values()))
            if self._context is not None and self._context.caller.id is not None:
                self._connections -= Counter((self._context.caller.id,))

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        done, left = await asyncio.wait(tasks, timeout=SEND_SECONDS)
        for task in left:
            log.error("task_does_not_end", task=repr(task))
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("defect", exc_info=error)

    async def _close(self) -> None:
        ended = self._ending.result() if self._ending.done() and not self._ending.cancelled() else None
        if ended is None or self._socket.application_state is WebSocketState.DISCONNECTED:
            return
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError, TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.close(ended.code, ended.reason[:_LONGEST_REASON])

    def _end(self, code: int, reason: str) -> None:
        if not self._ending.done():
            self._ending.set_result(_Ended(code, reason))

    # --- reading and writing

    async def _read(self) -> None:
        try:
            try:
                async with asyncio.timeout(INIT_SECONDS):
                    await self._begin(await self._message())
            except TimeoutError:
                raise _Ended(4408, "connection_init did not come in time.") from None
            watching = asyncio.create_task(self._watch())
            try:
                while True:
                    self._take(await self._message())
            finally:
                watching.cancel()
        except _Ended as ended:
            self._end(ended.code, ended.reason)
        except WebSocketDisconnect:
            return

    async def _message(self) -> dict[str, Any]:
        try:
            text = await self._socket.receive_text()
            message = orjson.loads(text)
        except (orjson.JSONDecodeError, KeyError):
            raise _Ended(4400, "A message is a JSON object, sent as text.") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise _Ended(4400, "A message is an object with a 'type'.")
        return message

    async def _write(self) -> None:
        try:
            while True:
                message = await self._outgoing.get()
                async with asyncio.timeout(SEND_SECONDS):
                    await self._socket.send_text(orjson.dumps(message, default=plain_value).decode())
        except TimeoutError:
            self._end(1013, "Too slow.")
        except (WebSocketDisconnect, RuntimeError):
            return

    def _send(self, message: dict[str, Any]) -> None:
        """Queue a message. A reader who lets so many wait is cut off, so that one does not hold up this process."""
        try:
            self._outgoing.put_nowait(message)
        except asyncio.QueueFull:
            self._end(1013, "Too slow: more happened than was read.")

    # --- who it is

    async def _begin(self, message: dict[str, Any]) -> None:
        while message["type"] == "ping":
            self._send({"type": "pong"})
            message = await self._message()
        if message["type"] != "connection_init":
            raise _Ended(4401, "Say who you are first: connection_init.")
        self._present(message.get("payload"))
        caller = await self._caller()
        if caller.kind == "anonymous" or caller.organization_id is None or caller.id is None:
            raise _Ended(4401, "Send a credential: as a header, or as 'Authorization' in connection_init.")
        if self._connections[caller.id] >= MOST_CONNECTIONS_PER_CLIENT:
            raise _Ended(4429, "This client has too many connections.")
        self._connections[caller.id] += 1
        live: LiveEvents = self._socket.app.state.live
        self._context = Context(asker_for(self._speaker, caller), live)
        self._send({"type": "connection_ack"})

    def _present(self, payload: Any) -> None:
        """Take the credential of `connection_init` for the header that a browser cannot send."""
        if payload is None:
            return
        if not isinstance(payload, dict):
            raise _Ended(4400, "The payload of connection_init is an object.")
        given = [value for name, value in payload.items() if name.lower() == "authorization"]
        if not given:
            return
        if len(given) > 1 or not isinstance(given[0], str) or not given[0].isascii():
            raise _Ended(4401, "'Authorization' is one text, like in the header.")
        headers = [(name, value) for name, value in self._socket.scope["headers"] if name != b"authorization"]
        scope = {**self._socket.scope, "headers": [*headers, (b"authorization", given[0].encode())]}
        self._speaker = HTTPConnection(scope)

    async def _caller(self) -> Caller:
        try:
            return await identities(self._speaker).caller(self._speaker)
        except CrossdockError as error:
            code = 4403 if isinstance(error, Forbidden) else 1013 if error.status == 503 else 4401
            raise _Ended(code, error.detail) from None

    async def _watch(self) -> None:
        """End with the credential; until then, what is shown follows its rights."""
        assert self._context is not None
        known = self._context.caller
        try:
            while True:
                await asyncio.sleep(LOOK_AT_CREDENTIAL_SECONDS)
                caller = await self._caller()
                if (caller.organization_id, caller.id) != (known.organization_id, known.id):
                    raise _Ended(4401, "The credential no longer holds.")
                self._context.speak_as(asker_for(self._speaker, caller))
        except _Ended as ended:
            self._end(ended.code, ended.reason)

    # --- operations

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "ping":
                self._send({"type": "pong"})
            case "pong":
                return
            case "connection_init":
                raise _Ended(4429, "connection_init comes once.")
            case "subscribe":
                self._subscribe(message)
            case "complete":
                operation = self._operations.pop(_id_of(message), None)
                if operation is not None:
                    operation.cancel()
            case _:
                raise _Ended(4400, f"There is no message '{message['type'][:50]}'.")

    def _subscribe(self, message: dict[str, Any]) -> None:
        operation_id, payload = _id_of(message), message.get("payload")
        if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
            raise _Ended(4400, "The payload of subscribe is an object with a 'query'.")
        variables, name = payload.get("variables"), payload.get("operationName")
        if not (variables is None or isinstance(variables, dict)) or not (name is None or isinstance(name, str)):
            raise _Ended(4400, "'variables' is an object, 'operationName' a text.")
        if operation_id in self._operations:
            raise _Ended(4409, f"Subscriber for {operation_id} already exists")
        if len(self._operations) >= MOST_OPERATIONS:
            raise _Ended(4429, f"At most {MOST_OPERATIONS} operations run at once.")
        running = asyncio.create_task(self._run(operation_id, payload["query"], variables, name))
        self._operations[operation_id] = running
        running.add_done_callback(lambda done: self._forget(operation_id, done))

    def _forget(self, operation_id: str, done: asyncio.Task[None]) -> None:
        if self._operations.get(operation_id) is done:
            del self._operations[operation_id]
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("defect", exc_info=error)
            self._end(1011, "Something went wrong on our side.")

    async def _run(self, operation_id: str, query: str, variables: dict[str, Any] | None, name: str | None) -> None:
        """Send all results of one operation, and that it is over."""
        assert self._context is not None
        context = self._context
        try:
            # A publishable key has its budget here, too.
            await spend(self._speaker.state, self._speaker.app.state.budgets)
        except CrossdockError as error:
            self._operations.pop(operation_id, None)
            self._send({"id": operation_id, "type": "error", "payload": [entry_of(error, context)]})
            return
        async for result in self._results(query, variables, name):
            errors = [worded(error, context) for error in result.errors or ()]
            interrupted = next((e for error in result.errors or () if (e := _interruption(error))), None)
            if interrupted is not None:
                self._end(1013, interrupted.detail)
                return
            if result.data is None and errors and not any("path" in error for error in errors):
                self._operations.pop(operation_id, None)
                self._send({"id": operation_id, "type": "error", "payload": errors})
                return
            body: dict[str, Any] = {"data": result.data} | ({"errors": errors} if errors else {})
            if result.extensions:
                body["extensions"] = result.extensions
            self._send({"id": operation_id, "type": "next", "payload": body})
        # Its id is free before whoever reads this can use it again.
        self._operations.pop(operation_id, None)
        self._send({"id": operation_id, "type": "complete"})

    async def _results(self, query: str, variables: dict[str, Any] | None, name: str | None) -> AsyncIterator[Any]:
        assert self._context is not None
        try:
            self._known.allow(query)
            document = self._schema.documents.of(query)
            meant = chosen(document, name)
        except GraphQLError as error:
            yield Written(None, [error])
            return
        if not is_subscription(meant):
            yield await execute(self._schema, document, name, variables, self._context)
            return
        results = await self._schema.subscribe(
            query, variable_values=variables, operation_name=name, context_value=self._context
        )
        if not hasattr(results, "__aiter__"):
            yield results
            return
        async with contextlib.aclosing(results):
            async for result in results:
                yield result


def _id_of(message: dict[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= 100:
        raise _Ended(4400, "'id' is a text of up to 100 characters.")
    return operation_id


def _interruption(error: Any) -> CrossdockError | None:
    """What ends the whole connection, where an operation failed for it."""
    cause = getattr(error, "original_error", None)
    return cause if isinstance(cause, LiveEventsInterrupted | LiveEventsUnavailable | TooSlow) else None
