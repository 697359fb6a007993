"""Orders whose address changes. Nothing is prepared for the old one; no shipment is begun until orders committed.

Whoever begins a shipment has asked orders which version the order has. While shipments are held, one that knows no
newer version than the change began with is refused; orders commits only while they are held, and only to that version.
So a shipment is begun with the new address, or the change finds it.
"""

from services.inventory.errors import AddressChanging, ReservationClosed, ShipmentInPreparation
from services.inventory.repository import held, shipments
from services.inventory.shipment_states import PREPARED
from shared.contracts.inventory.amendments import HoldShipments, ShipmentsHeld
from shared.contracts.orders.shapes import OrderStanding
from shared.unit_of_work import UnitOfWork


async def hold_shipments(uow: UnitOfWork, message: HoldShipments) -> ShipmentsHeld:
    """Raises ShipmentInPreparation; ReservationClosed where all has left or was given back.

    What was never reserved has no shipments.
    """
    reservation = await held.find_reservation(uow, message.order_id, lock=True)
    if reservation is None:
        return ShipmentsHeld(expires_at=None)
    if reservation.state in ("shipped", "released"):
        raise ReservationClosed("All goods of the order have left, or were given back.")
    prepared = await shipments.list_in_states(uow, message.order_id, PREPARED)
    if prepared:
        first = prepared[0]
        raise ShipmentInPreparation(
            f"Shipment {first['number']} is {first['state']} for the present address: cancel it"
            f" (POST /v1/shipments/{first['shipment_id']}/cancel), change the address, and prepare it again; or let it"
            " leave. An address is changed before its goods are prepared.",
            prepared,
        )
    return ShipmentsHeld(
        expires_at=await held.hold_shipments(uow, message.order_id, message.version, message.hold_seconds)
    )


async def refuse_while_held(uow: UnitOfWork, order: OrderStanding) -> None:
    """For an order whose reservation is locked, to begin a shipment of it. Raises AddressChanging."""
    if await held.are_shipments_held(uow, order.order_id, order.version):
        raise AddressChanging(f"The address of order {order.number} is being changed; send the request again.")
