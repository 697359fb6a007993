"""What a process lends to every unit of work in it, and what lives in it from one message to the next."""

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from shared.bus.envelope import Envelope
from shared.database import Database
from shared.unit_of_work import AfterCommit, Ask, UnitOfWork

R = TypeVar("R", bound="Resident")


class Resident(Protocol):
    """What a service keeps in a process from one message to the next: an index it reads, a loop it runs."""

    def __init__(self, surroundings: "Surroundings") -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Surroundings:
    """What a unit of work needs from the process it runs in."""

    database: Database
    ask: Ask
    after_commit: AfterCommit
    _residents: dict[type[Any], Any] = field(default_factory=dict, compare=False, repr=False)

    def unit_of_work(self, service: str, envelope: Envelope, *, across_tenants: bool = False) -> UnitOfWork:
        return UnitOfWork(
            service,
            self.database,
            envelope,
            self.ask,
            self.after_commit,
            across_tenants=across_tenants,
            resident=self.resident,
        )

    def resident(self, kind: type[R]) -> R:
        """This process's one `kind`: made at first use, closed with the process."""
        if kind not in self._residents:
            self._residents[kind] = kind(self)
        resident: R = self._residents[kind]
        return resident

    async def close(self) -> None:
        """Close what lives here, the youngest first."""
        while self._residents:
            _, resident = self._residents.popitem()
            await resident.close()
