"""One process of load: raw HTTP/1.1 requests over keep-alive connections, as fast as they are answered.

Run as a program: `python -m deploy.bench.generator PLAN`, where PLAN is a file that holds an encoded `Plan`. It prints
an encoded `Outcome`. Bounded in time and in connections; loopback addresses only.
"""

import asyncio
import ipaddress
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import cast

import msgspec


class Plan(msgspec.Struct):
    """Which requests to send where. `once`: each is sent a single time; otherwise they go round until time is up.

    With `per_second` they leave at that rate, whoever is still being answered; otherwise each as the last is answered.
    """

    host: str
    port: int
    requests: list[bytes]
    connections: int
    seconds: float
    once: bool = False
    per_second: float | None = None


class Outcome(msgspec.Struct):
    """What came back. Latencies are seconds, at most 20,000 of them; `cpu_seconds` is this generator's own.

    At a given rate a latency begins when its request was to leave: what waits for a connection has waited, too.
    """

    statuses: dict[int, int]
    seconds: float
    cpu_seconds: float
    latencies: list[float]
    sample: str


class _Connection(asyncio.Protocol):
    """One keep-alive connection: the next request leaves when the last is answered, and when its time has come."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop has a class of its own for it.
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.ended()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._received[:head_end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : (head + b"\r").find(b"\r", at)]) if at >= 0 else 0
        if len(self._received) < head_end + 4 + length:
            return
        self._load.answered(int(head[9:12]), time.perf_counter() - self._sent_at, self._received)
        self._received = b""
        self._next()

    def _next(self) -> None:
        assert self._transport is not None
        taken = self._load.next_request()
        if taken is None:
            self._transport.close()
            return
        request, self._sent_at = taken
        early = self._sent_at - time.perf_counter()
        if early > 0:
            asyncio.get_running_loop().call_later(early, self._transport.write, request)
        else:
            self._transport.write(request)


class _Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = deque(plan.requests)
        self._started, self._taken = time.perf_counter(), 0
        self._stop_at = self._started + plan.seconds
        self._open = plan.connections
        self._statuses: Counter[int] = Counter()
        self._latencies: list[float] = []
        self._failure = ""
        self._done = asyncio.Event()

    def next_request(self) -> tuple[bytes, float] | None:
        """A request and the instant when it leaves, by the performance counter; None once it is over."""
        leaves_at = time.perf_counter()
        if self._plan.per_second is not None:
            leaves_at = self._started + self._taken / self._plan.per_second
            self._taken += 1
        if leaves_at >= self._stop_at or not self._requests:
            return None
        if self._plan.once:
            return self._requests.popleft(), leaves_at
        self._requests.rotate(-1)
        return self._requests[0], leaves_at

    def answered(self, status: int, latency: float, response: bytes) -> None:
        self._statuses[status] += 1
        if len(self._latencies) < 20_000:
            self._latencies.append(latency)
        if status >= 400 and not self._failure:
            self._failure = response.decode(errors="replace")[-600:]

    def ended(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._done.set()

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        started, cpu = time.perf_counter(), time.process_time()
        for _ in range(self._plan.connections):
            await loop.create_connection(lambda: _Connection(self), self._plan.host, self._plan.port)
        async with asyncio.timeout(self._plan.seconds + 60):
            await self._done.wait()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        return Outcome(dict(self._statuses), seconds, cpu_seconds, self._latencies, self._failure)


def main(path: str) -> None:
    plan = msgspec.msgpack.decode(Path(path).read_bytes(), type=Plan)
    if not ipaddress.ip_address(plan.host).is_loopback:
        raise SystemExit("The load generator only talks to this machine.")
    import uvloop

    outcome = uvloop.run(_Load(plan).run())
    # Where Python does not buffer, one write may take a part of it.
    with open(sys.stdout.fileno(), "wb", closefd=False) as whole:
        whole.write(msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    main(sys.argv[1])
