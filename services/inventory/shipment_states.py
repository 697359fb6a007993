"""Who moves a shipment asks here; the table is `shared/contracts/inventory/shipment_states.py`."""

from services.inventory.errors import IllegalShipmentMove
from shared.contracts.inventory.shipment_states import MOVES
from shared.contracts.inventory.shipments import ShipmentState

# Its goods are bound, and have not left.
PREPARED: tuple[ShipmentState, ...] = ("picked", "packed")
# Its goods have left.
LEFT: tuple[ShipmentState, ...] = ("shipped", "delivered", "returned")


def require_move(number: str, before: ShipmentState, after: ShipmentState) -> None:
    """Raises IllegalShipmentMove, naming both and what would be possible."""
    if after not in MOVES[before]:
        possible = ", ".join(MOVES[before]) or "nothing any more"
        raise IllegalShipmentMove(f"Shipment {number} is {before} and cannot become {after}; it can become {possible}.")
