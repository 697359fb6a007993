"""How a service is assembled: its answers, listeners, tasks, schedules and jobs, found by their decorators.

Decorators only mark functions; `Service` collects the marks from the modules it is given. Importing registers nothing.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType
from typing import Any, Final, Generic, TypeVar

from shared.bus.envelope import Caller, Envelope
from shared.contracts.base import Event, Message
from shared.metrics import Measure
from shared.unit_of_work import UnitOfWork

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
M = TypeVar("M", bound=Message[Any])


class _Alone(Enum):
    ALONE = "alone"


# What a group's function returns for a message that needs a transaction of its own: it is asked again, by itself.
ALONE: Final = _Alone.ALONE


@dataclass(frozen=True, slots=True)
class Asked(Generic[M]):
    """One message of a group, with who asks it."""

    message: M
    envelope: Envelope

    @property
    def caller(self) -> Caller:
        return self.envelope.caller


@dataclass(frozen=True)
class Answer:
    """A function that answers one message. Exactly one of `scopes`, `public`, `internal` says who may ask.

    One that answers a group is given a list of `Asked`, of `most_together` at most; `groups_at_once` of one
    organization are in hand at the same time; while many ask, each gathers for `gathers_seconds`. One that `knows_keys`
    finds out itself whose idempotency key was used.
    """

    message: type[Message[Any]]
    function: Callable[[Any, UnitOfWork], Awaitable[Any]]
    scopes: tuple[str, ...] = ()
    public: bool = False
    internal: bool = False
    across_tenants: bool = False
    most_together: int = 1
    groups_at_once: int = 1
    gathers_seconds: float = 0.0
    knows_keys: bool = False


@dataclass(frozen=True)
class Listener:
    """One that listens `together` is given a list of events, the others one event."""

    event: type[Event]
    function: Callable[[Any, UnitOfWork], Awaitable[None]]
    alone: bool = False
    together: bool = False

    async def hear(self, events: Sequence[Event], uow: UnitOfWork) -> None:
        """Let events of this kind take effect."""
        if self.together:
            await self.function(events, uow)
            return
        for event in events:
            await self.function(event, uow)


@dataclass(frozen=True)
class TaskHandler:
    """`every_seconds` makes it a schedule: a task of its own kind is left each time the clock says so.

    One that works `together` is given a list of payloads, the others one payload.
    """

    kind: str
    function: Callable[[Any, UnitOfWork], Awaitable[None]]
    every_seconds: float | None = None
    together: bool = False


@dataclass(frozen=True)
class JobHandler:
    kind: str
    function: Callable[[Any], Awaitable[None]]


@dataclass(frozen=True)
class Measurement:
    """A function that reads numbers of this moment across tenants, for the metrics. Asked every few seconds."""

    function: Callable[[UnitOfWork], Awaitable[Sequence[Measure]]]


@dataclass(frozen=True)
class _Marks:
    marks: list[Any] = field(default_factory=list)


def _mark(function: F, mark: object) -> F:
    marks: _Marks = getattr(function, "__crossdock__", None) or _Marks()
    marks.marks.append(mark)
    function.__crossdock__ = marks  # type: ignore[attr-defined]
    return function


def answers(
    message: type[Message[Any]],
    *,
    scope: str | tuple[str, ...] = (),
    public: bool = False,
    internal: bool = False,
    across_tenants: bool = False,
) -> Callable[[F], F]:
    """Mark the function that answers `message`.

    Who may ask: holders of (any of) `scope`; with `public` everybody; with `internal` services alone, whose answers the
    gateway can never ask for. `across_tenants` opens the unit of work with the service's second role: rare and obvious.
    """
    scopes = _scopes(message, scope, public=public, internal=internal)
    return lambda function: _mark(function, Answer(message, function, scopes, public, internal, across_tenants))


def answers_group(
    message: type[Message[Any]],
    *,
    scope: str | tuple[str, ...] = (),
    internal: bool = False,
    most: int = 100,
    at_once: int = 1,
    knows_keys: bool = False,
    gathers_seconds: float = 0.0,
) -> Callable[[F], F]:
    """Mark the function that answers all of `message` that waits for one organization, in one unit of work.

    It is given a list of `Asked`, whose callers and idempotency keys differ, and returns as many results in the same
    order: each an answer, a CrossdockError that refuses this one alone (for which it then must have written nothing),
    or `ALONE`. When it raises, nothing has happened, and each is asked alone: a list of one, in the name of its caller.
    While many ask, a group gathers for `gathers_seconds` after the one before it: who was just answered may ask again.
    With `knows_keys` it is given repeats as well, of which the key was used before, and answers them with `ALONE`.
    """
    if most < 2 or at_once < 1:
        raise ValueError(f"{message.__name__}: a group is of two or more")
    scopes = _scopes(message, scope, public=False, internal=internal)
    return lambda function: _mark(
        function,
        Answer(
            message,
            function,
            scopes,
            internal=internal,
            most_together=most,
            groups_at_once=at_once,
            knows_keys=knows_keys,
            gathers_seconds=gathers_seconds,
        ),
    )


def _scopes(
    message: type[Message[Any]], scope: str | tuple[str, ...], *, public: bool, internal: bool
) -> tuple[str, ...]:
    scopes = (scope,) if isinstance(scope, str) else scope
    if sum((bool(scopes), public, internal)) != 1:
        raise ValueError(f"{message.__name__}: say who may ask: scope, public or internal")
    return scopes


def listens(event: type[Event], *, alone: bool = False, together: bool = False) -> Callable[[F], F]:
    """Mark this service's one listener for `event`. It runs in the inbox's transaction, exactly once in effect.

    Events that arrive together share a transaction. With `alone` each has its own, and the listener may ask other
    services before it first touches the database. With `together` it is given a list: all events of its kind that
    arrived at the same time and took no effect before; when it raises, each is tried by itself, as a list of one.
    """
    if alone and together:
        raise ValueError(f"{event.__name__}: heard alone or together, not both")
    return lambda function: _mark(function, Listener(event, function, alone, together))


def performs(kind: str, *, together: bool = False) -> Callable[[F], F]:
    """Mark the function that does tasks of `kind`, given the payload; the row goes with its transaction.

    With `together` it is given a list: the payloads of all such tasks that a worker has in hand for one organization,
    in one unit of work. When it raises, nothing has happened, and each is tried alone: a list of one.
    """
    return lambda function: _mark(function, TaskHandler(kind, function, together=together))


def every(seconds: float) -> Callable[[F], F]:
    """Mark a function that runs every so often, across tenants, once however many workers there are."""
    return lambda function: _mark(
        function, TaskHandler(f"every.{getattr(function, '__name__', '')}", function, every_seconds=seconds)
    )


def runs(kind: str) -> Callable[[F], F]:
    """Mark the function that runs jobs of `kind`, given a `RunningJob`."""
    return lambda function: _mark(function, JobHandler(kind, function))


def measures(function: F) -> F:
    """Mark a function that is given a unit of work across tenants, to read only, and returns `Measure`s."""
    return _mark(function, Measurement(function))


class Service:
    """One service: its name, which is also its schema, and what it does."""

    def __init__(self, name: str, *modules: ModuleType) -> None:
        self.name = name
        self.answers: dict[str, Answer] = {}
        self.listeners: dict[str, Listener] = {}
        self.tasks: dict[str, TaskHandler] = {}
        self.jobs: dict[str, JobHandler] = {}
        self.measurements: list[Measurement] = []
        for mark in _marks_of(modules):
            self._add(mark)

    def _add(self, mark: object) -> None:
        match mark:
            case Answer(message=message):
                self._put(self.answers, message.wire_name, mark)
                own = getattr(message, "service", self.name)
                if own not in (self.name, "platform"):
                    raise ValueError(f"{self.name} answers {message.wire_name}, which belongs to {own}")
            case Listener(event=event):
                self._put(self.listeners, event.wire_name, mark)
            case TaskHandler(kind=kind):
                self._put(self.tasks, kind, mark)
            case JobHandler(kind=kind):
                self._put(self.jobs, kind, mark)
            case Measurement():
                self.measurements.append(mark)

    def _put(self, registry: dict[str, Any], name: str, mark: object) -> None:
        if name in registry:
            raise ValueError(f"{self.name}: two functions for {name}")
        registry[name] = mark


def _marks_of(modules: Iterable[ModuleType]) -> Iterable[object]:
    seen: set[int] = set()
    for module in modules:
        for _, function in inspect.getmembers(module, inspect.isfunction):
            marks = getattr(function, "__crossdock__", None)
            if marks is not None and id(function) not in seen:
                seen.add(id(function))
                yield from marks.marks
