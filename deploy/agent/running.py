"""The agent itself: it comes out, takes one piece of work, lets the system do it, and brings what came of it. For ever.

It keeps nothing between two pieces of work: what it reads next is said each time, and what it has written the system
remembers by its key.
"""

import asyncio
import contextlib
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import orjson

from deploy.agent.source import Failure, Refused, Source, Unclear

T = TypeVar("T")
WAIT_SECONDS = 25
_TIMEOUT = httpx.Timeout(30.0, read=WAIT_SECONDS + 20.0)
_FIRST_REST_SECONDS = 0.5
_LONGEST_REST_SECONDS = 60.0
# So long a piece of work in hand is still finished when the agent is asked to end.
_LAST_WORK_SECONDS = 30.0
Item = dict[str, Any]


class TokenRefused(Exception):
    """Crossdock does not know the token, or not any more."""


class AnswerTooLarge(Exception):
    """Crossdock does not take an answer of this size."""


def say(words: str) -> None:
    """A line of the log."""
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {words}\n")
    sys.stderr.flush()


@dataclass
class Agent:
    """One agent: `http` goes to Crossdock with the token, `source` is the system. `stopping`: it is asked to end.

    Crossdock keeps it waiting for work so many seconds at a time.
    """

    http: httpx.AsyncClient
    source: Source
    stopping: asyncio.Event
    say: Callable[[str], None] = say
    wait_seconds: int = WAIT_SECONDS

    async def run(self) -> None:
        """Until it is asked to end. Raises TokenRefused."""
        self.say("The agent is here and asks for work.")
        while not self.stopping.is_set():
            offered = await self._unless_stopping(self._patiently(self._take))
            if offered is None:
                break
            if offered.get("work") is not None:
                await self._do(offered["work"])
        self.say("The agent ends.")

    async def _take(self) -> Item:
        return await self._post("/v1/agent/work", params={"wait_seconds": self.wait_seconds})

    async def _do(self, work: Item) -> None:
        """Work, keep the lease meanwhile, and bring the answer. Whoever wants the agent to end waits a while for it."""
        doing = asyncio.create_task(self._worked(work))
        await self._until_stopping(doing)
        if not doing.done():
            await asyncio.wait((doing,), timeout=_LAST_WORK_SECONDS)
            doing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await doing

    async def _worked(self, work: Item) -> None:
        keeping = asyncio.create_task(self._keep(work))
        try:
            asked = dict(work["asked"])
            while True:
                result = await self._answered(work["kind"], asked)
                if await self._brought(work["id"], result):
                    return
                if not asked.get("limit", 0) > 1:
                    too_large = Refused("The answer is larger than Crossdock takes it.")
                    await self._brought(work["id"], self._failed(too_large))
                    return
                asked["limit"] //= 2
        finally:
            keeping.cancel()

    async def _keep(self, work: Item) -> None:
        """Say that it is still worked at, as long as it is."""
        while True:
            await asyncio.sleep(max(work["lease_seconds"] / 3, 0.1))
            with contextlib.suppress(httpx.HTTPError):
                await self.http.post(f"/v1/agent/work/{work['id']}/lease")

    async def _answered(self, kind: str, asked: Mapping[str, Any]) -> Item:
        try:
            answer = await self._asked(kind, asked)
            self.say(_told(kind, asked, answer))
        except Failure as failure:
            self.say(f"{_named(kind, asked)}: {failure.message}")
            return self._failed(failure)
        except Exception as error:
            # Whatever the system's own software throws: the next piece of work is another chance.
            self.say(f"{_named(kind, asked)}: {type(error).__name__}: {error}")
            return self._failed(Unclear(f"{type(error).__name__}: {error}"))
        return {"now": self.source.now().isoformat(), "answer": answer}

    def _failed(self, failure: Failure) -> Item:
        told = {"code": failure.code, "message": failure.message, "retry_after_seconds": failure.retry_after_seconds}
        return {"now": self.source.now().isoformat(), "failure": told}

    async def _asked(self, kind: str, asked: Mapping[str, Any]) -> Item:
        match kind:
            case "hello":
                return await self.source.hello()
            case "page":
                return await self.source.page(asked)
            case "read":
                return await self.source.read(asked)
            case "write":
                return await self.source.write(asked["list"], asked["item"])
        raise Refused(f"The agent does not know '{kind}': it is older than Crossdock.")

    async def _brought(self, work_id: str, result: Item) -> bool:
        """Whether the answer was small enough; it is brought however often the way is broken."""
        content = orjson.dumps(result)
        try:
            await self._patiently(lambda: self._bring(work_id, content))
        except AnswerTooLarge:
            return False
        return True

    async def _bring(self, work_id: str, content: bytes) -> Item:
        try:
            return await self._post(f"/v1/agent/work/{work_id}/result", content=content)
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (404, 422):
                raise
            # What was asked long ago is forgotten: whoever asked has asked again.
            self.say(f"Crossdock no longer wants this: {_detail(error.response)}")
            return {}

    async def _patiently(self, ask: Callable[[], Awaitable[Item]]) -> Item:
        """Ask until there is an answer, ever more slowly. Raises TokenRefused, AnswerTooLarge."""
        rest = _FIRST_REST_SECONDS
        while True:
            try:
                return await ask()
            except (httpx.HTTPError, ValueError) as error:
                self.say(f"Crossdock does not answer ({_words(error)}); again in {rest:.0f} seconds at most.")
            await asyncio.sleep(rest * random.uniform(0.5, 1))  # noqa: S311
            rest = min(rest * 2, _LONGEST_REST_SECONDS)

    async def _post(self, path: str, **request: Any) -> Item:
        """Raises TokenRefused, AnswerTooLarge, and httpx.HTTPError for what may pass."""
        response = await self.http.post(path, timeout=_TIMEOUT, **request)
        if response.status_code == 401:
            raise TokenRefused(_detail(response))
        if response.status_code == 413:
            raise AnswerTooLarge
        response.raise_for_status()
        return dict(orjson.loads(response.content))

    async def _unless_stopping(self, waiting: Awaitable[T]) -> T | None:
        """What it comes to; None: the agent was asked to end before."""
        task = asyncio.ensure_future(waiting)
        await self._until_stopping(task)
        if task.done():
            return task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return None

    async def _until_stopping(self, task: asyncio.Future[Any]) -> None:
        """Until it is done, or the agent is asked to end."""
        stopped = asyncio.create_task(self.stopping.wait())
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()


def _named(kind: str, asked: Mapping[str, Any]) -> str:
    return f"{kind} {asked.get('list', '')}".strip()


def _told(kind: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    if kind == "write":
        key = str(asked["item"].get("operation_key", ""))[:12]
        return f"{_named(kind, asked)} {key}: {answer.get('outcome')} {answer.get('message') or ''}".strip()
    if kind == "hello":
        return f"hello: {answer.get('name')}"
    more = "more follow" if answer.get("next") else "no more"
    return f"{_named(kind, asked)}: {len(answer.get('items', ()))} records, {more}"


def _words(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return str(error.response.status_code)
    return str(error) or type(error).__name__


def _detail(response: httpx.Response) -> str:
    try:
        return str(orjson.loads(response.content)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code}"
