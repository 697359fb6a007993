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
# What only names a payment to be read may be all that a busy shop is sent; it is counted apart.
REREAD_PER_MINUTE = 600
REREAD_BYTES_PER_DAY = 64 << 20
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
        # Of each gateway two: for what only names a payment, and for all else.
        self._budgets: OrderedDict[tuple[UUID, bool], _Budget] = OrderedDict()
        self._minute, self._of_tenants = time.monotonic(), Counter[UUID]()

    def keeps(self, gateway: KnownGateway, size: int, *, is_reread: bool) -> bool:
        """Whether one more callback of `size` bytes, headers included, is to be stored; otherwise it has been counted.

        It is not known to be genuine, and may be one that only names a payment (`is_reread`).
        """
        budget = self._budget(gateway, is_reread)
        self._of_tenants[gateway.organization_id] += 1
        most = REREAD_PER_MINUTE if is_reread else KEPT_PER_MINUTE
        most_bytes = REREAD_BYTES_PER_DAY if is_reread else KEPT_BYTES_PER_DAY
        if budget.kept >= most or budget.kept_bytes + size > most_bytes:
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
        budgets = self._budgets.items()
        counts = [(each.organization_id, id_, each.uncollected) for (id_, _), each in budgets if each.uncollected]
        for budget in self._budgets.values():
            budget.uncollected = 0
        return counts

    def put_back(self, counts: list[tuple[UUID, UUID, int]]) -> None:
        """Keep counting from where `take_counts` was: they could not be written."""
        for _, gateway_id, count in counts:
            budget = self._budgets.get((gateway_id, False)) or self._budgets.get((gateway_id, True))
            if budget is not None:
                budget.uncollected += count

    def _budget(self, gateway: KnownGateway, is_reread: bool) -> _Budget:
        now = time.monotonic()
        if now - self._minute >= _MINUTE:
            self._minute = now
            self._of_tenants.clear()
        key = gateway.id, is_reread
        budget = self._budgets.setdefault(key, _Budget(gateway.organization_id, now, now))
        self._budgets.move_to_end(key)
        if now - budget.minute >= _MINUTE:
            budget.minute, budget.kept = now, 0
        if now - budget.day >= _DAY:
            budget.day, budget.kept_bytes = now, 0
        while len(self._budgets) > _MOST_GATEWAYS:
            self._budgets.popitem(last=False)
        return budget
