"""Channel content as a file that imports again without loss (`content_file`)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.catalog.repository import channel_content, exports
from services.catalog.repository.channel_content import Fields, KnownContent
from services.catalog.repository.exports import Wanted
from services.catalog.use_cases.channels import Book, Channel
from services.catalog.use_cases.content_file import HEADINGS, NAMES, OWNERS
from services.catalog.use_cases.export_groups import OfProducts, Portion, Rows
from shared.impex.writing_products import major
from shared.impex.writing_words import joined_words, path_text
from shared.money import exponent
from shared.unit_of_work import UnitOfWork

Paths = Mapping[UUID, Sequence[str]]


class ContentExport(OfProducts):
    """What the channels of `book` have of products: a row for each product, and for each variant, by channel."""

    headings: Sequence[str] = HEADINGS

    def __init__(self, wanted: Wanted, book: Book) -> None:
        super().__init__(wanted)
        self._book = book

    async def extent(self, uow: UnitOfWork) -> tuple[int, UUID | None]:
        return await exports.extent(uow, self._wanted)

    async def read(self, uow: UnitOfWork, after: str | None, last: str, first: int) -> Portion:
        position = UUID(after) if after else None
        products = await exports.list_products(uow, self._wanted, position, UUID(last), first, whole=False)
        ids = [row["id"] for row in products]
        portion = Portion(ids[-1] if len(ids) == first else None, len(ids), products)
        portion.variants = await exports.variants_of(uow, ids)
        portion.contents = await channel_content.of_products(uow, [each.id for each in self._book.channels], ids)
        categories = {
            id_
            for of_product in portion.contents.values()
            for content in of_product.values()
            for id_ in content.product.values.get("category_ids", ())
        }
        portion.category_paths = await exports.paths_to(uow, categories) if categories else {}
        return portion

    def rows(self, portion: Portion) -> Rows:
        for product in portion.products:
            contents = portion.contents.get(product["id"], {})
            skus = {row["id"]: row["sku"] for row in portion.variants.get(product["id"], ())}
            for channel in self._book.channels:
                if channel.id in contents:
                    yield from self._rows_of(channel, product["slug"], contents[channel.id], skus, portion)

    def _rows_of(
        self, channel: Channel, slug: str, content: KnownContent, skus: Mapping[UUID, str], portion: Portion
    ) -> Iterator[list[str]]:
        whose = {"shop": channel.shop.code, "connection": self._book.name(channel), "handle": slug}
        if content.product != Fields():
            cells = _product_cells(content.product.values, portion.category_paths)
            yield _row({**whose, **cells, **_owner_cells(content.product)})
        for variant_id, own in sorted(content.variants.items()):
            if own != Fields():
                cells = _variant_cells(own.values, exponent(channel.shop.currency))
                yield _row({**whose, "sku": skus[variant_id], **cells, **_owner_cells(own)})


def _row(cells: Mapping[str, str]) -> list[str]:
    return [cells.get(heading, "") for heading in HEADINGS]


def _product_cells(values: Mapping[str, Any], paths: Paths) -> dict[str, str]:
    names = ("title", "description_html", "content_html", "seo_title", "seo_description")
    cells = {NAMES[name]: values.get(name) or "" for name in names}
    images = values.get("images", ())
    texts = [image.get("alt") or "" for image in images]
    return {
        **cells,
        "images": joined_words(image["url"] for image in images),
        "image texts": joined_words(texts) if any(texts) else "",
        "categories": " | ".join(path_text(paths[id_]) for id_ in values.get("category_ids", ())),
    }


def _variant_cells(values: Mapping[str, Any], digits: int) -> dict[str, str]:
    names = ("weight_grams", "length_mm", "width_mm", "height_mm", "backorder")
    cells = {NAMES[name]: "" if values.get(name) is None else str(values[name]) for name in names}
    price, limits = values.get("list_price"), values.get("order_limits")
    if price is not None:
        cells["list price"] = major(price.amount, digits)
    if limits is not None:
        cells |= {f"order {name}": str(value) for name, value in limits.model_dump().items() if value is not None}
    return cells


def _owner_cells(own: Fields) -> dict[str, str]:
    """Whose each field is of which anything was ever said here."""
    of_parent = own.values.keys() - own.of_channel - own.of_master
    fields = {"channel": own.of_channel, "master": own.of_master, "parent": of_parent}
    return {heading: joined_words(NAMES[name] for name in sorted(fields[owner])) for heading, owner in OWNERS.items()}
