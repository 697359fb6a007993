"""What inventory is asked when an order that stands is to change."""

from datetime import datetime
from uuid import UUID

from shared.contracts.base import Command, Shape
from shared.contracts.orders.shapes import OrderStanding


class AmendedLine(Shape):
    """So many units of a SKU an order is to want in all, those that have left included; none is 0.

    With `centre`, a centre's code, all that is not yet in a shipment comes from there.
    """

    sku: str
    quantity: int
    in_stock_only: bool = False
    centre: str | None = None


class PreparedAmendment(Shape):
    """Stock for a change is held, and what it takes away is kept back from shipments, until `expires_at`.

    None: the change has taken effect already. `backordered` units of each SKU are not there yet.
    """

    id: UUID
    expires_at: datetime | None
    backordered: dict[str, int] = {}


class PrepareAmendment(Command[PreparedAmendment]):
    """Hold what a change of an order's lines needs, and keep back what it takes away; all of it or nothing. Internal.

    It takes effect with OrderLinesChanged and is undone when that does not come in time. Refused with
    `insufficient_stock`, `goods_leaving` (409: in a shipment, or about to be in one), `centre_does_not_serve`,
    `reservation_differs`, `reservation_closed` (409), `reservation_not_found`, `centre_not_found` (404).
    """

    amendment_id: UUID
    order: OrderStanding
    lines: list[AmendedLine]
    hold_seconds: int = 300


class ShipmentsHeld(Shape):
    """No shipment of the order as it stands is begun until `expires_at`. None: inventory knows of no goods of it."""

    expires_at: datetime | None


class HoldShipments(Command[ShipmentsHeld]):
    """Begin no shipment of an order that has this `version` or an older one, for its address changes. Internal.

    Once it has a newer version shipments are begun again. Refused with `shipment_in_preparation` (409) where goods are
    picked or packed, `reservation_closed` (409) where all has left or was given back.
    """

    order_id: UUID
    version: int
    hold_seconds: int
