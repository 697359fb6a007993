"""Logs: one JSON object per line on standard output, with the request's id and without secrets.

Everything that logs through the standard library (uvicorn, arq, asyncio) comes out the same way.
"""

import asyncio
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

MASK = "(masked)"
_SECRET_WORDS = frozenset(
    "authorization cookie password passwd secret secrets token tokens key signature credential credentials".split()
)
_WORDS = re.compile(r"[a-z0-9]+")
# Our own credentials (API and publishable keys, sessions, the installation's), bearer headers, JWTs, passwords in URLs.
_SECRET_TEXT = re.compile(
    r"(?P<ours>\bcd[a-z]_)[\w\-]{8,}|(?P<bearer>\b[Bb](?:earer|asic) +)[\w\-.~+/=]{8,}|\beyJ[\w\-]{8,}\.[\w\-.]+"
    r"|(?P<url>://[^:/\s@]+:)[^@\s/]+(?=@)"
)
_DEEPEST = 6


def mask_secrets(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Hide values whose name says that they are secret, and texts that look like one, at any depth."""
    return {name: _masked(name, value, 0) for name, value in event.items()}


def _masked(name: str, value: Any, depth: int) -> Any:
    if value is not None and _is_secret(name):
        return MASK
    match value:
        case str():
            return _SECRET_TEXT.sub(_hide, value) if _may_be_secret(value) else value
        case Mapping() if depth < _DEEPEST:
            return {str(key): _masked(str(key), item, depth + 1) for key, item in value.items()}
        case list() | tuple() if depth < _DEEPEST:
            return [_masked("", item, depth + 1) for item in value]
    return value


@lru_cache(4096)
def _is_secret(name: str) -> bool:
    return not _SECRET_WORDS.isdisjoint(_WORDS.findall(name.lower()))


def _may_be_secret(text: str) -> bool:
    """A few letters that all of these have: to look for them first makes a line half as dear."""
    return "cd" in text or "earer" in text or "asic" in text or "eyJ" in text or "://" in text


def _hide(found: re.Match[str]) -> str:
    return (found["ours"] or found["bearer"] or found["url"] or "") + MASK


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    structlog.processors.format_exc_info,
    mask_secrets,
]


def _as_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class _Lines:
    """Writes each line whole, to whatever standard output is at the moment."""

    def __init__(self, *_arguments: Any) -> None:
        pass

    def msg(self, line: str) -> None:
        sys.stdout.write(f"{line}\n" if not _gathered else f"{_taken()}{line}\n")
        sys.stdout.flush()

    debug = info = warning = error = critical = fatal = exception = log = msg


# Lines of this turn of the loop, which leave together at its end, or before any other line does.
_gathered: list[str] = []
_level = logging.INFO


def _taken() -> str:
    text = "".join(_gathered)
    _gathered.clear()
    return text


def _write_gathered() -> None:
    if _gathered:
        sys.stdout.write(_taken())
        sys.stdout.flush()


class KnownLine:
    """A line at info that is written over and over with little else in it: most of it is made once, secrets masked."""

    def __init__(self, event: str, **values: Any) -> None:
        masked = mask_secrets(None, "", {**values, "event": event, "level": "info"})
        self._beginning = orjson.dumps(masked, default=str).decode().removesuffix("}")

    def write(
        self, loop: asyncio.AbstractEventLoop, request_id: str, milliseconds: float, path: str | None = None
    ) -> None:
        """Write it at the end of this turn of the loop. `request_id` is such as needs no escaping."""
        if _level > logging.INFO:
            return
        if not _gathered:
            loop.call_soon(_write_gathered)
        at = datetime.now(UTC).replace(tzinfo=None).isoformat()
        where = "" if path is None else f',"path":{orjson.dumps(_masked("path", path, 0)).decode()}'
        _gathered.append(
            f'{self._beginning}{where},"milliseconds":{milliseconds:.2f},"request_id":"{request_id}","at":"{at}Z"}}\n'
        )


class _Stdout(logging.StreamHandler[Any]):
    """Writes to whatever standard output is at the moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stdout

    @stream.setter
    def stream(self, _stream: Any) -> None:
        raise NotImplementedError("standard output is not ours to replace")


def configure(level: str = "INFO") -> None:
    """Make this process log as JSON from `level` on. Safe to repeat."""
    global _level
    _level = number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[*_SHARED, _as_json],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    handler = _Stdout()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _as_json],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [*(each for each in root.handlers if not isinstance(each, _Stdout)), handler]
    # Libraries tell each step of each job at info; what they warn about is worth a line.
    root.setLevel(max(number, logging.WARNING))
