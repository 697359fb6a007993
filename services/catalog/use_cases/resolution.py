"""What the products of a file are in the catalog: known or new, and which rows cannot be taken. Pure: asks nothing.

A product is known by its slug, a variant by its SKU. A variant whose SKU had to be made is known by its option values
instead, so that the same file finds its variants again. A SKU belongs to one product of the organization.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from services.catalog.models import option_key
from services.catalog.models.texts import option_words_fault
from services.catalog.repository.staging import KnownVariant, Stored
from shared.contracts.platform.imports import ImportMode
from shared.identifiers import new_id
from shared.impex.rows import MediumRecord, Notice, ProductRecord, RowError, TextRecord, VariantRecord


@dataclass(frozen=True, slots=True)
class ResolvedVariant:
    """A variant to write. `option_values` None: as stored."""

    id: UUID
    is_new: bool
    sku: str
    position: int
    option_values: tuple[str, ...] | None
    record: VariantRecord

    def row(self, product_id: UUID, *, in_full: bool = False) -> tuple[Any, ...]:
        """As it is staged; `in_full` with the columns of FURTHER_OF_VARIANTS."""
        record, values = self.record, self.option_values
        plain = (
            self.id,
            self.is_new,
            product_id,
            self.sku,
            record.sku_generated,
            self.position,
            values,
            None if values is None else option_key(values),
            record.barcode,
            record.mpn,
            record.weight_grams,
            *((None, None) if record.weight is None else (record.weight.value, record.weight.unit)),
            record.tax_code,
            record.requires_shipping,
            record.taxable,
            record.image_url,
            None if record.price is None else record.price.amount,
            None if record.list_price is None else record.list_price.amount,
        )
        return (*plain, *_further_of_variant(record)) if in_full else plain


@dataclass(frozen=True, slots=True)
class ResolvedProduct:
    """A product to write, or with `is_kept` only to take new variants. `options` None: as stored."""

    id: UUID
    is_new: bool
    is_kept: bool
    needs_category: bool
    options: tuple[str, ...] | None
    record: ProductRecord
    variants: list[ResolvedVariant]

    def row(self, *, in_full: bool = False) -> tuple[Any, ...]:
        """As it is staged; `in_full` with the columns of FURTHER_OF_PRODUCTS."""
        record = self.record
        plain = (
            self.id,
            self.is_new,
            record.handle,
            record.title,
            record.description_html,
            record.brand,
            record.product_type,
            record.tags or None,
            None if record.status is None else record.status.value,
            record.seo_title,
            record.seo_description,
            self.options,
            orjson.dumps(dict(record.attributes)).decode(),
            orjson.dumps([{"url": i.url, "alt": i.alt} for i in record.images]).decode() if record.images else None,
        )
        return (*plain, *_further_of_product(record)) if in_full else plain

    def text_rows(self, locales: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Its texts as they are stored, one for each of these languages, also where nothing is said in one."""
        said = {text.locale: text for text in self.record.texts}
        # Rows that say their language say nothing of others.
        for locale in locales if self.record.language is None else said:
            text = said.get(locale)
            yield {"product_id": str(self.id), "locale": locale, **({} if text is None else _text(text))}


def _text(text: TextRecord) -> dict[str, Any]:
    values: dict[str, dict[str, str]] = {}
    for option, value, word in text.option_values:
        values.setdefault(option, {})[value] = word
    names = ("title", "description_html", "content_html", "seo_title", "seo_description")
    pairs = {"attributes": dict(text.attributes), "option_names": dict(text.option_names), "option_values": values}
    return {**{name: getattr(text, name) for name in names}, **{name: said or None for name, said in pairs.items()}}


def _further_of_product(record: ProductRecord) -> tuple[Any, ...]:
    media = [_medium(medium, len(record.images) + index) for index, medium in enumerate(record.media)]
    alts: dict[str, dict[str, str]] = {}
    for url, locale, words in record.alts:
        alts.setdefault(url, {})[locale] = words
    return (
        record.content_html,
        record.featured,
        orjson.dumps(media).decode() if media else None,
        orjson.dumps(alts).decode(),
    )


def _medium(medium: MediumRecord, place: int) -> dict[str, Any]:
    """As it is stored: without what it does not say."""
    position = place if medium.position is None else medium.position
    said = {"kind": medium.kind, "url": medium.url, "alt": medium.alt, "preview_url": medium.preview_url}
    return {name: value for name, value in said.items() if value is not None} | {"position": position}


def _further_of_variant(record: VariantRecord) -> tuple[Any, ...]:
    sizes, limits = record.dimensions, record.order_limits
    return (
        record.barcodes or None,
        orjson.dumps(dict(record.attributes)).decode(),
        record.price_on_request,
        *((None,) * 7 if sizes is None else (sizes.length, sizes.width, sizes.height, *sizes.millimetres, sizes.unit)),
        *((None,) * 3 if limits is None else (limits.minimum, limits.maximum, limits.step)),
    )


@dataclass(slots=True)
class Resolution:
    products: list[ResolvedProduct] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    products_skipped: int = 0
    variants_skipped: int = 0


def alternate_sku(product: ProductRecord, variant: VariantRecord) -> str:
    """What a made-up SKU becomes when another product has it: the same for the same variant, always."""
    words = "\x1f".join((product.handle, option_key(variant.option_values)))
    return f"{variant.sku}-{hashlib.blake2s(words.encode(), digest_size=4).hexdigest().upper()}"


def skus_in_question(products: Iterable[ProductRecord]) -> list[str]:
    """Every SKU that `resolve` may want to know the owner of."""
    skus = []
    for product in products:
        for variant in product.variants:
            skus.append(variant.sku)
            if variant.sku_generated:
                skus.append(alternate_sku(product, variant))
    return skus


def resolve(
    products: Sequence[ProductRecord], stored: Stored, mode: ImportMode, sku_heading: str | None = None
) -> Resolution:
    """Decide for each product and variant what it is; `sku_heading` is the uploader's own, for row errors."""
    resolution = Resolution()
    for record in products:
        _Resolver(record, stored, mode, sku_heading, resolution).resolve()
    return resolution


class _Resolver:
    """One product."""

    def __init__(
        self,
        record: ProductRecord,
        stored: Stored,
        mode: ImportMode,
        sku_heading: str | None,
        resolution: Resolution,
    ) -> None:
        self._record = record
        self._known = stored.products.get(record.handle)
        self._owners = stored.owners
        self._mode = mode
        self._heading = sku_heading
        self._out = resolution
        self._options = record.option_names or (self._known.options if self._known else ())
        self._by_sku = {variant.sku: variant for variant in self._known.variants} if self._known else {}
        self._by_options = {option_key(v.option_values): v for v in self._by_sku.values()}

    def resolve(self) -> None:
        record, known = self._record, self._known
        if known is None and record.title is None:
            self._refuse_all("unknown_product", f"There is no product '{record.handle}', and no row gives its title.")
            return
        if known is None and self._mode == "update-only":
            self._skip()
            return
        if record.texts and (fault := self._wrong_words()):
            self._refuse_all("wrong_options", fault)
            return
        taken = self._without_collisions(self._variants())
        if taken is None or (record.variants and not taken and known is None):
            return
        is_kept = known is not None and self._mode == "insert-only"
        self._out.products_skipped += is_kept
        self._out.products.append(
            ResolvedProduct(
                id=known.id if known else new_id(),
                is_new=known is None,
                is_kept=is_kept,
                needs_category=known is None and not record.categories,
                options=(self._options if record.option_names or known is None else None),
                record=record,
                variants=self._wanted(taken),
            )
        )

    def _skip(self) -> None:
        self._out.products_skipped += 1
        self._out.variants_skipped += len(self._record.variants)

    def _refuse_all(self, code: str, message: str) -> None:
        self._out.errors += [RowError(row, None, None, code, message) for row in self._record.rows]

    def _wrong_words(self) -> str | None:
        for text in self._record.texts:
            values: dict[str, dict[str, str]] = {}
            for option, value, word in text.option_values:
                values.setdefault(option, {})[value] = word
            fault = option_words_fault(self._options, dict(text.option_names), values)
            if fault is not None:
                return f"In {text.locale}: {fault[1]}"
        return None

    def _variants(self) -> list[ResolvedVariant]:
        position = len(self._by_sku)
        found: list[ResolvedVariant] = []
        for record in self._record.variants:
            known = self._known_variant(record)
            sku = known.sku if known else self._new_sku(record)
            if sku is None:
                continue
            values = None if known and not record.option_values and known.option_values else record.option_values
            if values is not None and len(values) != len(self._options):
                self._refuse(record, "wrong_options", self._wrong_options(values))
                continue
            variant_id = known.id if known else new_id()
            found.append(ResolvedVariant(variant_id, known is None, sku, position, values, record))
            position += known is None
        return found

    def _known_variant(self, record: VariantRecord) -> KnownVariant | None:
        if record.sku_generated:
            return self._by_options.get(option_key(record.option_values))
        return self._by_sku.get(record.sku)

    def _new_sku(self, record: VariantRecord) -> str | None:
        """A SKU nobody has; None when the file's own is another product's, which is said."""
        owner = self._owners.get(record.sku)
        if owner is None:
            return record.sku
        if record.sku_generated:
            alternate = alternate_sku(self._record, record)
            if alternate not in self._owners:
                message = f"'{record.sku}' is the SKU of another variant; this one got '{alternate}'."
                self._out.notices.append(Notice(record.row, self._heading, alternate, "sku_generated", message))
                return alternate
        message = f"The SKU '{record.sku}' belongs to the product '{owner}'; a SKU names one variant."
        self._refuse(record, "sku_taken", message)
        return None

    def _wrong_options(self, values: tuple[str, ...]) -> str:
        names = ", ".join(self._options) or "none"
        return f"The product's options are {names}; this variant gives {len(values)} values."

    def _without_collisions(self, variants: list[ResolvedVariant]) -> list[ResolvedVariant] | None:
        """Without those that would make two variants alike.

        None, and the whole product refused, when a stored variant would be left without a value for an option.
        """
        named = {variant.id for variant in variants}
        others = [variant for variant in self._by_sku.values() if variant.id not in named]
        # Those that keep their stored options count, too.
        unsaid = [v for v in variants if v.option_values is None]
        stored = [*others, *(self._by_sku[variant.sku] for variant in unsaid)]
        short = next((v for v in stored if len(v.option_values) != len(self._options)), None)
        if short is not None:
            message = f"The product's variant '{short.sku}' has other options, and the file does not say its new ones."
            self._refuse_all("options_differ", message)
            return None
        held = {option_key(variant.option_values): variant.sku for variant in stored}
        kept = []
        for variant in variants:
            other = held.get(option_key(variant.option_values)) if variant.option_values is not None else None
            if other is None:
                kept.append(variant)
            else:
                message = f"The product already has this variant under the SKU '{other}'."
                self._refuse(variant.record, "duplicate_variant", message)
        return kept

    def _wanted(self, variants: list[ResolvedVariant]) -> list[ResolvedVariant]:
        """Those that the mode lets through."""
        refused = {"insert-only": False, "update-only": True}.get(self._mode)
        wanted = [variant for variant in variants if variant.is_new is not refused]
        self._out.variants_skipped += len(variants) - len(wanted)
        return wanted

    def _refuse(self, record: VariantRecord, code: str, message: str) -> None:
        value = None if record.sku_generated else record.sku
        self._out.errors.append(RowError(record.row, self._heading, value, code, message))
