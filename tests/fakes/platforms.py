"""What every fake store platform is for tests: a shop that speaks real HTTP, remembers, and behaves badly on demand."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass
class Faults:
    """What goes wrong with the next requests; each count is used up by the requests it spoils.

    `throttle`: refused, to be tried later. `html`: a page of HTML. `half`: the connection is cut in the middle of the
    answer. `lost`: the request takes effect, and its answer is never sent. `away`: 503. `expired`: the credentials are
    refused until it is false again.
    """

    throttle: int = 0
    html: int = 0
    half: int = 0
    lost: int = 0
    away: int = 0
    expired: bool = False


@dataclass
class RemoteWrite:
    """What a request wrote or tried to: what, to which record, and whether anything was different afterwards.

    `is_refused`: the platform did not take it. `is_repeat`: it has the key of one that was taken before.
    """

    kind: str
    external_id: str | None
    content: Any
    has_changed: bool
    is_refused: bool = False
    is_repeat: bool = False

    @property
    def is_idle(self) -> bool:
        """Whether it was taken, and all was so already."""
        return not (self.has_changed or self.is_refused or self.is_repeat)


class FakeShop(Protocol):
    """A fake platform. Products, stock and orders are given and read in the words of `services/sync/platforms/base.py`.

    `page_size` is how many records the platform gives at once, small in tests.
    """

    platform: str
    settings: dict[str, Any]
    credentials: dict[str, str]
    faults: Faults
    writes: list[RemoteWrite]
    page_size: int

    async def start(self) -> None:
        """Listen on a free loopback port, and put the address into `settings`."""

    async def stop(self) -> None: ...

    def put_product(self, external_id: str, fields: dict[str, Any], variants: dict[str, dict[str, Any]]) -> None:
        """A product as a merchant would change it over there: all its fields, and its variants by their ids."""

    def remove_product(self, external_id: str) -> None: ...

    def product(self, external_id: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Fields and variants as they are over there now."""

    def product_ids(self) -> list[str]:
        """All products that are over there."""

    def put_category(self, path: list[str]) -> object:
        """A category, as a path of names; where products come with theirs there is nothing to do."""

    def put_stock(self, sku: str, location: str, quantity: int) -> None: ...

    def stock(self, sku: str, location: str) -> int: ...

    def put_order(self, order: dict[str, Any]) -> None:
        """An order as `RemoteOrder` has it, new or changed."""

    def shipments(self, order_external_id: str) -> list[dict[str, Any]]:
        """What was said of an order's goods having left: carrier, tracking_numbers, and lines where it has any."""
