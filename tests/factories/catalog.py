"""Valid things of the catalog: name only what matters to the test."""

import csv
import hashlib
import io
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import orjson

from deploy import topology
from services.catalog.use_cases.product_chunks import STOCK_TASK
from shared import blobs, jobs
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Message
from shared.contracts.catalog.attributes import AttributeDraft, DefineAttribute
from shared.contracts.catalog.categories import CategoryDraft
from shared.contracts.catalog.messages import (
    CreateCategory,
    CreatePriceList,
    CreateProduct,
)
from shared.contracts.catalog.pricing import PriceListDraft
from shared.contracts.catalog.shapes import ProductDraft, VariantDraft
from shared.contracts.inventory.messages import CreateFulfilmentCentre
from shared.contracts.platform.imports import GetImport, Import, StartImport, import_id_for
from shared.identifiers import new_id
from tests.waiting import until

SHOPIFY = (
    *("Handle", "Title", "Body (HTML)", "Vendor", "Type", "Tags", "Published", "Option1 Name", "Option1 Value"),
    *("Variant SKU", "Variant Grams", "Variant Inventory Qty", "Variant Price", "Variant Compare At Price"),
    *("Variant Barcode", "Image Src", "Image Position", "Image Alt Text", "Collection"),
)


def a_shop(organization_id: UUID, **fields: Any) -> Shop:
    """A shop `main` in US dollars."""
    defaults = {"id": new_id(), "code": "main", "name": "Main", "currency": "USD", "locale": "en", "version": 1}
    return Shop(**{"organization_id": organization_id, **defaults, **fields})


def shopify_row(handle: str, **cells: Any) -> dict[str, Any]:
    """A row of a Shopify file that describes a product with one variant; columns by field name."""
    defaults = {"title": handle.replace("-", " ").title(), "published": "true", "price": "10.00", "sku": handle.upper()}
    return {"Handle": handle, **{_HEADINGS[name]: cell for name, cell in {**defaults, **cells}.items()}}


_HEADINGS = {
    "title": "Title",
    "body": "Body (HTML)",
    "brand": "Vendor",
    "type": "Type",
    "tags": "Tags",
    "published": "Published",
    "collection": "Collection",
    "option": "Option1 Name",
    "value": "Option1 Value",
    "sku": "Variant SKU",
    "price": "Variant Price",
    "list_price": "Variant Compare At Price",
    "barcode": "Variant Barcode",
    "grams": "Variant Grams",
    "quantity": "Variant Inventory Qty",
    "policy": "Variant Inventory Policy",
    "image": "Image Src",
}


def csv_file(rows: Sequence[dict[str, Any]], header: Sequence[str] = SHOPIFY) -> bytes:
    """These rows as the bytes of a file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class Catalog:
    """One organization's catalog, spoken to as its administrator and worked for by the test itself."""

    def __init__(self, process: topology.Surrounded, organization_id: UUID | None = None) -> None:
        self.process = process
        self.organization_id = organization_id or new_id()
        self.caller = Caller(
            kind="client", organization_id=self.organization_id, id=new_id(), scopes=frozenset({"catalog:write"})
        )

    async def ask(self, message: Message[Any], *, as_service: str | None = None, key: str | None = None) -> Any:
        """What the catalog answers, to its administrator or to another service."""
        caller = envelope_for(self.caller, timeout_seconds=60, idempotency_key=key, asking_service=as_service)
        return await self.process.bus.ask(message, caller)

    async def open_shop(self, **fields: Any) -> Shop:
        """A shop, announced to the catalog as by accounts."""
        shop = a_shop(self.organization_id, **fields)
        await self.hear(ShopChanged(shop=shop))
        return shop

    async def open_centre(self, code: str) -> None:
        """A fulfilment centre, made as by its keeper."""
        keeper = Caller(
            kind="client", organization_id=self.organization_id, id=new_id(), scopes=frozenset({"inventory:write"})
        )
        message = CreateFulfilmentCentre(code=code, name=code.title())
        await self.process.bus.ask(message, envelope_for(keeper, timeout_seconds=60))

    async def hear(self, event: Any) -> None:
        """The catalog's listener for an event, run in a transaction of its own."""
        await self._do(topology.named("catalog")[0].listeners[event.wire_name].function, event)

    async def perform(self, kind: str, payload: dict[str, Any]) -> None:
        """A task of the catalog, performed in a transaction of its own."""
        await self._do(topology.named("catalog")[0].tasks[kind].function, payload)

    async def _do(self, function: Callable[..., Awaitable[None]], what: Any) -> None:
        uow = self.process.surroundings.unit_of_work("catalog", service_envelope("catalog", self.organization_id))
        await function(what, uow)
        await uow.commit()

    async def pass_on_stock(self) -> None:
        """What a worker does with the stock figures of imports, unless one has done it already."""
        while await self._pass_on_stock_once():
            pass

    async def _pass_on_stock_once(self) -> bool:
        uow = self.process.surroundings.unit_of_work("catalog", service_envelope("catalog", self.organization_id))
        try:
            payload = await uow.fetchval(
                "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE kind = $1 ORDER BY id LIMIT 1)"
                " RETURNING payload",
                STOCK_TASK,
            )
            if payload is not None:
                await topology.named("catalog")[0].tasks[STOCK_TASK].function(orjson.loads(payload), uow)
                await uow.commit()
        finally:
            await uow.rollback()
        return payload is not None

    async def upload(self, content: bytes, **parameters: Any) -> Import:
        """An import that waits for a worker."""
        import_id = import_id_for(parameters.get("group", "products"))
        key = f"imports/{import_id}/upload"
        await blobs.put(self.organization_id, key, content)
        return await self.ask(
            StartImport(
                import_id=import_id,
                key=key,
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                **parameters,
            )
        )

    async def run(self, started: Import) -> Import:
        """Run an import's job here, to its end or until this is cancelled, also where it waits for its turn."""
        await self.run_job(started.job_id)
        while await self._rests(started.job_id):
            await until(lambda: self._is_due(started.job_id))
            await self.run_job(started.job_id)
        return await self.ask(GetImport(import_id=started.id))

    async def _rests(self, job_id: UUID) -> bool:
        return bool(await self.rows("SELECT FROM jobs WHERE id = $1 AND state = 'running' AND run_id IS NULL", job_id))

    async def _is_due(self, job_id: UUID) -> bool:
        return bool(await self.rows("SELECT FROM jobs WHERE id = $1 AND lease_until < now()", job_id))

    async def run_job(self, job_id: UUID) -> None:
        """Run a job here, to its end or until this is cancelled."""
        runner = jobs.JobRunner(topology.named("catalog")[0], self.process.surroundings)
        try:
            runner.start(self.organization_id, job_id)
            for task in list(runner._running.values()):
                await task
        finally:
            await runner.stop()
        await self.pass_on_stock()

    async def bring_in(self, content: bytes, **parameters: Any) -> Import:
        """Import a file and wait for its end."""
        return await self.run(await self.upload(content, **parameters))

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        """What is stored for this organization."""
        uow = self.process.surroundings.unit_of_work("catalog", service_envelope("catalog", self.organization_id))
        try:
            return await uow.fetch(sql, *arguments)
        finally:
            await uow.rollback()

    async def events(self, name: str) -> list[Any]:
        """Payloads of the events of this name, in their order."""
        rows = await self.rows("SELECT payload FROM outbox WHERE name = $1 ORDER BY id", f"catalog.{name}")
        return [orjson.loads(row["payload"]) for row in rows]


async def make(process: topology.Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """A product with a variant, a category, an attribute, a price list and a finished import with an error."""
    catalog = Catalog(process, organization_id)
    await catalog.open_shop(code="of-the-catalog")
    category = await catalog.ask(CreateCategory(draft=CategoryDraft(name="Things")))
    thing = ProductDraft(title="Thing", category_ids=[category.id], variants=[VariantDraft(sku="THING")])
    product = await catalog.ask(CreateProduct(draft=thing))
    attribute = await catalog.ask(DefineAttribute(draft=AttributeDraft(code="of-a-thing", label="Of a thing")))
    price_list = await catalog.ask(CreatePriceList(draft=PriceListDraft(shop="of-the-catalog", name="Prices")))
    file = csv_file([shopify_row("imported"), shopify_row("refused", price="no price")])
    imported = await catalog.bring_in(file, shop="of-the-catalog")

    async def is_over() -> bool:
        return (await catalog.ask(GetImport(import_id=imported.id))).finished_at is not None

    # Where workers run, too, one of them may have been first to take it.
    await until(is_over)
    return {
        "product_id": product.id,
        "variant_id": product.variants[0].id,
        "attribute_id": attribute.id,
        "category_id": category.id,
        "price_list_id": price_list.id,
        "import_id": imported.id,
    }
