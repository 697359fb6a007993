"""Workers that die while they run a job, at any moment at which it waits for something: a request's answer, a commit.

What the database and the platform have then is what a SIGKILL leaves: nothing that was open is committed, a request
that was sent may have taken effect. Somebody else finds the job by its lease, which ends at once instead of after half
a minute. (`tests/faults` kills real processes.)
"""

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

import services.sync.platforms.agent.client as agent
import services.sync.platforms.custom.client as custom
import services.sync.platforms.woocommerce.client as woocommerce
from services.sync.use_cases import executing
from shared.jobs import JobRunner, RunningJob
from shared.messaging import inbox


class Deaths:
    """Which of the jobs that are taken up from now on die, and when. `count`: how many have."""

    def __init__(self) -> None:
        self.count = 0
        self._moments: list[int] = []
        self._reviving: set[asyncio.Task[None]] = set()

    def strike(self, moments: int) -> None:
        """The next job that is taken up dies at its so many-th moment, unless it comes to its end before."""
        self._moments.append(moments)

    def spare(self) -> None:
        """Nobody dies any more."""
        self._moments.clear()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real: Callable[[JobRunner, Any], Coroutine[Any, Any, None]] = JobRunner._carry_out

        async def carry_out(runner: JobRunner, job: RunningJob) -> None:
            if not self._moments:
                await real(runner, job)
                return
            before = self.count
            try:
                await self._mortal(real(runner, job), self._moments.pop(0))
            finally:
                if self.count > before:
                    task = asyncio.create_task(_take_up(runner, job))
                    self._reviving.add(task)
                    task.add_done_callback(self._reviving.discard)

        monkeypatch.setattr(JobRunner, "_carry_out", carry_out)

    @types.coroutine
    def _mortal(self, work: Coroutine[Any, Any, None], moments: int) -> Generator[Any, Any, None]:
        """Do the work up to that moment. Its task is cancelled there, which nothing of it survives."""
        go_on: Callable[[Any], Any] = work.send
        given: Any = None
        while True:
            try:
                awaited = go_on(given)
            except StopIteration:
                return
            moments -= 1
            if moments == 0:
                self.count += 1
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                go_on, given = work.send, (yield awaited)
            except BaseException as error:
                go_on, given = work.throw, error


async def _take_up(runner: JobRunner, job: RunningJob) -> None:
    """Another worker finds the job of one that is dead."""
    while job.id in runner._running:
        await asyncio.sleep(0.01)
    uow = job.unit_of_work()
    await uow.execute(
        "UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1 AND state = 'running'", job.id
    )
    await uow.commit()
    runner.start(job.organization_id, job.id)


def deliver_twice(monkeypatch: pytest.MonkeyPatch, is_wanted: Callable[[], bool]) -> None:
    """Have batches of events reach their listeners a second time, where that is wanted."""
    real: Callable[..., Awaitable[Any]] = inbox.receive

    async def receive(*given: Any) -> Any:
        received = await real(*given)
        return await real(*given) if is_wanted() else received

    monkeypatch.setattr(inbox, "receive", receive)


def ask_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long is waited by itself for a platform that is away is proved elsewhere; here only that it goes on."""
    monkeypatch.setattr(executing, "_FIRST_RETRY_SECONDS", 0.2)
    for client in (agent, custom, woocommerce):
        monkeypatch.setattr(client, "_REST_SECONDS", 0.5)
