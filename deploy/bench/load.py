"""Runs generators against a server and says what it took: requests, latency, and CPU on both sides."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from deploy.bench.generator import Outcome, Plan

# Above this share of its cores the generator, not the server, decides how fast it goes.
BUSY_GENERATOR = 0.9


class GeneratorEnded(RuntimeError):
    """A process that makes load ended without an outcome; what it said is on the standard error."""


@dataclass(frozen=True)
class Server:
    """Where to send requests, and the process whose descendants do the work."""

    host: str
    port: int
    process: psutil.Process | None


@dataclass(frozen=True)
class Measured:
    """One path under load. Times in seconds; `server_cpu` is Python and Redis, without PostgreSQL."""

    requests: int
    failures: int
    per_second: float
    p50: float
    p99: float
    server_cpu_per_request: float | None
    postgres_cpu_per_request: float | None
    generator_share: float
    sample: str

    @property
    def is_bound_by_generator(self) -> bool:
        return self.generator_share > BUSY_GENERATOR


def measure(
    server: Server,
    requests: Sequence[bytes],
    *,
    seconds: float = 3.0,
    connections: int = 32,
    processes: int = 2,
    once: bool = False,
    per_second: float | None = None,
) -> Measured:
    """Send `requests` from several processes; with `once` each of them goes out a single time.

    They leave as fast as they are answered, or `per_second` of them, whether or not the last ones are answered.
    """
    before = cpu_seconds(server.process)
    share = None if per_second is None else per_second / processes
    outcomes = _generate(server, requests, seconds, connections, processes, once, share)
    after = cpu_seconds(server.process)
    answered = sum(sum(outcome.statuses.values()) for outcome in outcomes)
    good = sum(count for outcome in outcomes for status, count in outcome.statuses.items() if status < 400)
    elapsed = max(outcome.seconds for outcome in outcomes)
    latencies = sorted(latency for outcome in outcomes for latency in outcome.latencies) or [0.0]
    return Measured(
        requests=answered,
        failures=answered - good,
        per_second=good / elapsed,
        p50=latencies[len(latencies) // 2],
        p99=latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))],
        server_cpu_per_request=_per(after[0] - before[0], answered, server.process),
        postgres_cpu_per_request=_per(after[1] - before[1], answered, server.process),
        generator_share=max(outcome.cpu_seconds / outcome.seconds for outcome in outcomes),
        sample=next((outcome.sample for outcome in outcomes if outcome.sample), ""),
    )


def _generate(
    server: Server,
    requests: Sequence[bytes],
    seconds: float,
    connections: int,
    processes: int,
    once: bool,
    per_second: float | None,
) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        running = []
        for number in range(processes):
            share = list(requests[number::processes]) or list(requests)
            plan = Plan(server.host, server.port, share, max(1, connections // processes), seconds, once, per_second)
            path = Path(folder) / f"plan-{number}"
            path.write_bytes(msgspec.msgpack.encode(plan))
            command = [sys.executable, "-m", "deploy.bench.generator", str(path)]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        outputs = [process.communicate(timeout=seconds + 90)[0] for process in running]
    if ended := [process.returncode for process in running if process.returncode]:
        raise GeneratorEnded(f"A load generator ended with code {ended[0]}.")
    return [msgspec.msgpack.decode(output, type=Outcome) for output in outputs]


def cpu_seconds(process: psutil.Process | None) -> tuple[float, float]:
    """CPU seconds so far of a process and its descendants: those that are not PostgreSQL, and those that are."""
    ours = postgres = 0.0
    for each in [] if process is None else [process, *process.children(recursive=True)]:
        try:
            times, name = each.cpu_times(), each.name()
        except psutil.NoSuchProcess:
            continue
        if name.startswith("postgres"):
            postgres += times.user + times.system
        else:
            ours += times.user + times.system
    return ours, postgres


def _per(cpu_seconds: float, requests: int, process: psutil.Process | None) -> float | None:
    return None if process is None or requests == 0 else cpu_seconds / requests


def http(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A raw HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
