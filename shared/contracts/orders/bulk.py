"""The same done to many orders: those that a filter means."""

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from shared.contracts.base import Command, Shape
from shared.contracts.orders.lists import OrderFilter
from shared.contracts.orders.messages import Reason
from shared.contracts.platform.shapes import Job

OrderAction = Literal["hold", "release", "cancel"]


class StartedOrderAction(Shape):
    """How many orders are meant at this moment (null: too many to be counted), and the job that acts on them."""

    orders: int | None
    job: Job


class ActOnOrders(Command[StartedOrderAction]):
    """Hold, release or cancel all orders that everything holds for that is given, as a job.

    With `dry_run` the job changes nothing, and counts what it would; whether stock is still there for what is released
    shows when it is. Counters: `changed`, `unchanged` (it was so already) and `refused`; the job's log says why, order
    by order. Orders that are placed after the beginning are left alone. A job whose worker dies goes on where it was.
    Refused: `shop_not_found`, `customer_not_found` (404).
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"action": "hold", "filter": {"sets": ["with:issues", "today"]}, "reason": "Looked into"}
        }
    )

    action: OrderAction
    filter: OrderFilter
    reason: Reason = Field(examples=["The platform asked for it"])
    dry_run: bool = False

    @model_validator(mode="after")
    def _says_which(self) -> "ActOnOrders":
        if not self.filter.model_dump(exclude_defaults=True):
            raise ValueError("say which orders: an empty filter means all")
        return self
