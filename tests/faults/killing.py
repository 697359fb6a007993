"""Killing programs of a running system: whoever started them starts them again."""

import contextlib

import psutil

from deploy.bench.system import System


def processes(system: System) -> list[psutil.Process]:
    assert system.server.process is not None
    return system.server.process.children(recursive=True)


def role(process: psutil.Process) -> str | None:
    """What a process of the system is: `serve orders`, `work orders`, `redis`, `postgres`."""
    try:
        line = process.cmdline()
    except psutil.Error:
        return None
    text = " ".join(line)
    if "postgres" in text and " -D " in text:
        return "postgres"
    if "redis-server" in text or "valkey-server" in text:
        return "redis"
    for word in ("serve", "work"):
        if word in line:
            return f"{word} {line[line.index(word) + 1]}"
    return None


def roles(system: System) -> list[str]:
    """Every program of the system by its role."""
    return sorted({found for found in map(role, processes(system)) if found})


def kill(system: System, victim: str) -> str:
    """SIGKILL every process of that role."""
    for process in processes(system):
        if role(process) == victim:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    return victim
