"""How much of what is not genuine is kept: anybody may post to a callback address, and the disk is not theirs to fill.

Per gateway and process. Beyond the limits a forged callback is refused as before, counted, and not stored; what comes
beyond a tenant's own limit is told to come later. None of it slows what is genuine, of whomever.
"""

import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from uuid import UUID

from services.payments.gateway_book import KnownGateway

KEPT_PER_MINUTE = 60
KEPT_BYTES_PER_DAY = 16 << 20
# Of one tenant, at all its gateways together.
ANSWERED_PER_MINUTE = 600
_MOST_GATEWAYS = 10_000
_MINUTE, _DAY = 60.0, 86_400.0


@dataclass
class _Budget:
    organization_id: UUID
    minute: float
    day: float
    kept: int = 0
    kept_bytes: int = 0
    uncollected: int = 0


class FloodGate:
    """Decides which forged callbacks are kept, and counts the others."""

    def __init__(self) -> None:
        self._budgets: OrderedDict[UUID, _Budget] = OrderedDict()
        self._minute, self._of_tenants = time.monotonic(), Counter[UUID]()

    def keeps(self, gateway: KnownGateway, size: int) -> bool:
        """Whether one more forged callback of `size` bytes is to be stored; otherwise it has been counted."""
        budget = self._budget(gateway)
        self._of_tenants[gateway.organization_id] += 1
        if budget.kept >= KEPT_PER_MINUTE or budget.kept_bytes + size > KEPT_BYTES_PER_DAY:
            budget.uncollected += 1
            return False
        budget.kept += 1
        budget.kept_bytes += size
        return True

    def is_beyond_patience(self, gateway: KnownGateway) -> bool:
        """Whether the gateway's tenant is sent so much this minute that the senders should wait."""
        return self._of_tenants[gateway.organization_id] > ANSWERED_PER_MINUTE

    def take_counts(self) -> list[tuple[UUID, UUID, int]]:
        """Organization, gateway and number of what was not kept since the last time."""
        counts = [(b.organization_id, id_, b.uncollected) for id_, b in self._budgets.items() if b.uncollected]
        for budget in self._budgets.values():
            budget.uncollected = 0
        return counts

    def put_back(self, counts: list[tuple[UUID, UUID, int]]) -> None:
        """Keep counting from where `take_counts` was: they could not be written."""
        for _, gateway_id, count in counts:
            if gateway_id in self._budgets:
                self._budgets[gateway_id].uncollected += count

    def _budget(self, gateway: KnownGateway) -> _Budget:
        now = time.monotonic()
        if now - self._minute >= _MINUTE:
            self._minute = now
            self._of_tenants.clear()
        budget = self._budgets.setdefault(gateway.id, _Budget(gateway.organization_id, now, now))
        self._budgets.move_to_end(gateway.id)
        if now - budget.minute >= _MINUTE:
            budget.minute, budget.kept = now, 0
        if now - budget.day >= _DAY:
            budget.day, budget.kept_bytes = now, 0
        while len(self._budgets) > _MOST_GATEWAYS:
            self._budgets.popitem(last=False)
        return budget
