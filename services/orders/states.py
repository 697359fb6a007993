"""Who moves an order asks here; the table is `shared/contracts/orders/states.py`."""

from services.orders.errors import IllegalTransition
from shared.contracts.orders.shapes import OrderStatus
from shared.contracts.orders.states import MOVES


def require_move(before: OrderStatus, after: OrderStatus) -> None:
    """Raises IllegalTransition, naming both and what would be possible."""
    if after not in MOVES[before]:
        possible = ", ".join(MOVES[before]) or "nothing any more"
        raise IllegalTransition(f"An order that is {before} cannot become {after}; it can become {possible}.")


def is_over(status: OrderStatus) -> bool:
    return not MOVES[status]
