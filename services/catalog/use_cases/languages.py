"""Files whose rows say their language: whether name and description are the product's own, or what it says in another.

In the language of the shop they are its own. In another one they are kept as texts in that language, and what the
product says by itself stays; a new product, which has to be called something, takes them as its own, too. Of a product
that a file says in several languages, its own is what it says in that of the shop.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from services.catalog.repository import text_files
from services.catalog.repository.shops import KnownShop
from shared.impex.rows import ProductRecord
from shared.unit_of_work import UnitOfWork


async def told_apart(
    uow: UnitOfWork, records: Sequence[ProductRecord], shop: KnownShop | None
) -> Sequence[ProductRecord]:
    """`records`, each with the texts that are its own and those in another language."""
    foreign = {record.handle for record in records if _is_foreign(record, shop)}
    if not any(record.language for record in records):
        return records
    known = await text_files.own_texts(uow, sorted(foreign)) if foreign else {}
    return [
        _told(record, shop, is_foreign=record.handle in foreign, own=known.get(record.handle)) for record in records
    ]


def _is_foreign(record: ProductRecord, shop: KnownShop | None) -> bool:
    return shop is not None and record.language is not None and not _is_spoken(record.language, shop)


def _is_spoken(locale: str, shop: KnownShop) -> bool:
    """English of whatever country is the language of an English shop."""
    return locale.partition("-")[0] == shop.locale.partition("-")[0]


def _told(
    record: ProductRecord, shop: KnownShop | None, *, is_foreign: bool, own: tuple[str, str] | None
) -> ProductRecord:
    if record.language is None:
        return record
    if not is_foreign or shop is None:
        return replace(record, texts=tuple(text for text in record.texts if text.locale != record.language))
    home = next((text for text in record.texts if _is_spoken(text.locale, shop)), None)
    if home is not None:
        others = tuple(text for text in record.texts if text is not home)
        return replace(record, title=home.title, description_html=home.description_html, texts=others)
    return record if own is None else replace(record, title=own[0], description_html=own[1])
