"""A session put together of parts, each of which does one thing on its platform."""

from collections.abc import Sequence
from typing import Protocol

from services.sync.platforms.base import Page, ProductWrite, Record, Scan, ShipmentWrite, StockWrite, Written
from shared.contracts.sync.shapes import Entity


class Scans(Protocol):
    async def page(self, scan: Scan) -> Page: ...


class Reads(Protocol):
    async def read(self, entity: Entity, external_ids: Sequence[str]) -> Sequence[Record]: ...


class WritesProducts(Protocol):
    async def write(self, writes: Sequence[ProductWrite]) -> Sequence[Written]: ...


class WritesStock(Protocol):
    async def write(self, writes: Sequence[StockWrite]) -> Sequence[Written]: ...


class ConfirmsShipments(Protocol):
    async def confirm(self, writes: Sequence[ShipmentWrite]) -> Sequence[Written]: ...


class TakesImages(Protocol):
    async def take_away(self, product_external_id: str, url: str) -> Written: ...


class SessionOfParts:
    """One shop, for a piece of work: a `base.Session` but for `greet`, which the platform's own session adds."""

    def __init__(
        self,
        *,
        scanner: Scans,
        reader: Reads,
        products: WritesProducts,
        stock: WritesStock,
        shipper: ConfirmsShipments,
        images: TakesImages,
    ) -> None:
        self._scanner = scanner
        self._reading = reader
        self._products = products
        self._stock = stock
        self._shipper = shipper
        self._images = images

    async def page(self, scan: Scan) -> Page:
        return await self._scanner.page(scan)

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> Sequence[Record]:
        return await self._reading.read(entity, external_ids)

    async def write_products(self, writes: Sequence[ProductWrite]) -> Sequence[Written]:
        return await self._products.write(writes)

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Written]:
        return await self._stock.write(writes)

    async def confirm_shipments(self, writes: Sequence[ShipmentWrite]) -> Sequence[Written]:
        return await self._shipper.confirm(writes)

    async def take_image(self, product_external_id: str, url: str) -> Written:
        """Take one picture off a product, after a person approved that one change; its file stays in the shop."""
        return await self._images.take_away(product_external_id, url)
