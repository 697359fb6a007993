r"""Magento's (Adobe Commerce's) product CSV, as its own export writes it.

One row per SKU. A configurable product names in `configurable_variations` the simple ones that are its variants. They
may stand anywhere in the file. Source: https://experienceleague.adobe.com/docs/commerce-admin/systems/data-transfer/
data-attributes-product.html.

| column | what it is here |
|---|---|
| `product_type` | simple, virtual, downloadable; configurable; bundle and grouped are refused |
| `url_key`, else `name` | the handle |
| `configurable_variations` | `sku=MS-S,size=S\|sku=MS-M,size=M`: the variants and their option values |
| `configurable_variation_labels` | `size=Size`: what the options are called |
| `additional_attributes` | `material=Cotton,care="wash, dry"`; of it `manufacturer` is the brand, `gtin` barcode |
| `categories` | `Default Category/Gear/Bags,…`: paths without their root |
| `product_online`, `visibility` | active, or paused: disabled, or no variant and not visible by itself |
| `price`, `special_price` | list price and price |
| `special_price_from_date`, `special_price_to_date` | the special price is one of its own then, the last day included |
| `weight` | in the unit that the import names (`weight_unit`), for a file says none; not kept without |
| `qty`, `is_in_stock`, `manage_stock` | the quantity: none when out of stock, nothing said where stock is not managed |
| `allow_backorders` | 1 and 2: backorder; nothing where it goes by the configuration |
| `base_image`, `additional_images` with labels | images: addresses, and paths below `media_base_url` of the import |
| `tax_class_name`, `meta_title`, `meta_description`, `country_of_manufacture` | tax code, SEO texts, an attribute |

A row of a single store view (`store_view_code`) gives texts of its product in another language, where the code is that
of a language, as `de`, `de_DE` or `pt-br`; a notice says which was taken for which. What else it says is one store's
own, and not looked at. Rows of other store views, as `default` or `outlet`, are refused.

What the file leaves open the import says: the unit of weights, where paths of images lead
(`https://shop.example/media/catalog/product`), the time zone of dates, universal time by default. Without the first two
a notice says of how many rows weights and images are not taken. A special price that the file says no more, or with
another beginning, goes, if a file of this profile brought it. What configures Magento is not kept.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from shared.impex import cells, sales
from shared.impex.arranging import Arrangement, Misplaced
from shared.impex.cells import InvalidCell, Remembered
from shared.impex.keys import KeyIndex, folded, slug
from shared.impex.profiles import composing, magento_views
from shared.impex.profiles.base import (
    IGNORED,
    NOT_KEPT,
    OPTIONS,
    Convert,
    ProductProfile,
    common_variant_converters,
)
from shared.impex.profiles.magento_views import CODE, StoreViews
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import ImageRecord, Notice, ProductStatus, StockPolicy, shortened
from shared.impex.terms import UNSAID, FileTerms

_READ = {
    **dict.fromkeys(
        (
            *("sku", "store_view_code", "product_type", "name", "url_key", "description", "short_description"),
            *("product_online", "visibility", "price", "special_price", "special_price_from_date"),
            *("special_price_to_date", "additional_attributes", "qty", "allow_backorders", "use_config_backorders"),
            *("is_in_stock", "manage_stock", "base_image", "base_image_label", "additional_images"),
            *("additional_image_labels", "configurable_variations", "configurable_variation_labels"),
            *("country_of_manufacture", "weight"),
        ),
        IGNORED,
    ),
    "categories": "categories",
    "tax_class_name": "tax_code",
    "meta_title": "seo_title",
    "meta_description": "seo_description",
    "cost": "cost",
}
_UNKEPT = """
    attribute_set_code product_websites meta_keywords small_image small_image_label thumbnail_image
    thumbnail_image_label swatch_image swatch_image_label created_at updated_at new_from_date new_to_date
    display_product_options_in map_price msrp_price map_enabled gift_message_available custom_design custom_design_from
    custom_design_to custom_layout_update page_layout product_options_container msrp_display_actual_price_type
    out_of_stock_qty use_config_min_qty is_qty_decimal min_cart_qty use_config_min_sale_qty max_cart_qty
    use_config_max_sale_qty notify_on_stock_below use_config_notify_stock_qty use_config_manage_stock
    use_config_qty_increments qty_increments use_config_enable_qty_inc enable_qty_increments is_decimal_divided
    website_id deferred_stock_update use_config_deferred_stock_update related_skus related_position crosssell_skus
    crosssell_position upsell_skus upsell_position hide_from_product_page custom_options bundle_price_type
    bundle_sku_type bundle_price_view bundle_weight_type bundle_values bundle_shipment_type associated_skus
    downloadable_links downloadable_samples
""".split()
_HANDLE = "handle (url_key, else name)"
_TITLE = "name (of the product)"
_DESCRIPTION = "description (or short_description)"
_STATUS = "status (product_online, visibility)"
_ATTRIBUTES = "attributes (that are no options)"
_BRAND = "manufacturer (additional_attributes)"
_IMAGES = "images (base_image, additional_images)"
_SKU = "sku (of the variant)"
_MARK = "is a variant"
_BARCODE = "gtin (additional_attributes)"
_PRICE = "price (special_price, else price)"
_LIST_PRICE = "list price (price, beside a special_price)"
_QUANTITY = "quantity (qty, is_in_stock)"
_POLICY = "stock policy (allow_backorders)"
_SHIPS = "is shipped (product_type)"
_PICTURE = "image (of the variant)"
_NAMES = tuple(f"option {n} name" for n in range(1, OPTIONS + 1))
_VALUES = tuple(f"option {n} value" for n in range(1, OPTIONS + 1))
_ADDED = {
    _HANDLE: "handle",
    _TITLE: "title",
    _DESCRIPTION: "description_html",
    _STATUS: "status",
    _ATTRIBUTES: "attributes",
    _BRAND: "brand",
    _IMAGES: "images",
    _SKU: "sku",
    _MARK: "mark",
    _BARCODE: "barcode",
    _PRICE: "price",
    _LIST_PRICE: "list_price",
    _QUANTITY: "quantity",
    _POLICY: "stock_policy",
    _SHIPS: "requires_shipping",
    _PICTURE: "image_url",
    **{heading: f"option_{n}_name" for n, heading in enumerate(_NAMES, 1)},
    **{heading: f"option_{n}_value" for n, heading in enumerate(_VALUES, 1)},
}
# Added where the import says the unit.
_WEIGHT = "weight (of the variant)"
_WEIGHT_UNIT = "weight unit (of the import)"
_WEIGHTS = {_WEIGHT: "weight_value", _WEIGHT_UNIT: "weight_unit"}
_SALE_DATES = frozenset(("special price from date", "special price to date"))
_NOTHING = "no_selection"
_MOST_TOLD = 100
_SINGLE = frozenset(("simple", "virtual", "downloadable", ""))
_BARCODES = ("gtin", "ean", "ean13", "upc", "barcode", "isbn")
# name=value, name="value" or "name"="value"; a value goes on to the comma before the next name.
_PAIR = re.compile(r'"?([\w.-]+)"?=(?:"((?:[^"]|"")*)"|(.*?))(?=,"?[\w.-]+"?=|\Z)', re.DOTALL)
_STEP = re.compile(r"(?:[^/\\]|\\.)+", re.DOTALL)
_STATUSES = {status.value: status for status in ProductStatus}
_POLICIES = {policy.value: policy for policy in StockPolicy}


class MagentoProfile(ProductProfile):
    name = "magento"
    headings = MappingProxyType({**_READ, **dict.fromkeys(_UNKEPT, NOT_KEPT), **_ADDED, **_WEIGHTS, **sales.ADDED})
    keys = ("handle",)
    makes_handles = True
    variant_marks = ("mark",)
    needed = (("sku",), ("name", "url_key"))
    first_row_is_variant = False
    anchors = ("product_type", "attribute_set_code", "additional_attributes", "url_key", "configurable_variations")
    separators = MappingProxyType({"categories": ","})
    composed = frozenset(_WEIGHTS.values()) | sales.FIELDS
    terms = frozenset(("weight_unit", "media_base_url", "time_zone"))

    def arrangement(self, header: Sequence[str], terms: FileTerms = UNSAID) -> Arrangement | None:
        self.require_needed(header)
        return _Magento(header, terms)

    def field_of(self, heading: str) -> str | None:
        """As the table says; of the columns that hold what store views say, the field in their language."""
        return magento_views.field_of(heading) or super().field_of(heading)

    def further_converters(self, fields: Iterable[str]) -> dict[str, Convert]:
        return {name: cells.text for name in fields if name.endswith("]")}

    def notices(self, header: Sequence[str]) -> list[Notice]:
        said = super().notices(header)
        if views := magento_views.codes_in(header):
            named = ", ".join(f"'{code}' in {locale}" for code, locale in views.items())
            message = f"Rows of these store views are taken as texts of their products: {named}."
            said.append(Notice(1, None, None, "store_views_taken", message))
        return said

    def product_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **dict.fromkeys(("title", "description_html", "brand", "seo_title", "seo_description"), cells.text),
            "status": Remembered(partial(_one_of, choices=_STATUSES, code="invalid_status")).__getitem__,
            "categories": Remembered(_paths).__getitem__,
            "attributes": _attributes,
            "images": _images,
        }

    def variant_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **common_variant_converters(currency),
            **sales.converters(currency),
            "weight_value": Remembered(cells.decimal).__getitem__,
            "weight_unit": str,
            "stock_policy": Remembered(partial(_one_of, choices=_POLICIES, code="invalid_stock_policy")).__getitem__,
        }

    def finish_variant(self, values: dict[str, Any]) -> None:
        composing.weigh(values)
        sales.finish_variant(values)

    def finish(self, values: dict[str, Any]) -> None:
        """Every value is a field of ProductRecord already, but for those in a language."""
        composing.finish_texts(values)


# What the cells of added columns are made of.
_ORIGINS = {
    _HANDLE: ("url key", "name"),
    _TITLE: ("name",),
    _DESCRIPTION: ("description", "short description"),
    _STATUS: ("product online", "visibility"),
    _ATTRIBUTES: ("additional attributes", "country of manufacture"),
    _BRAND: ("additional attributes",),
    _IMAGES: ("base image", "additional images"),
    _SKU: ("sku",),
    _BARCODE: ("additional attributes",),
    _PRICE: ("special price", "price"),
    _LIST_PRICE: ("price",),
    _QUANTITY: ("qty", "is in stock"),
    _POLICY: ("allow backorders",),
    _SHIPS: ("product type",),
    _PICTURE: ("base image", "additional images"),
    **dict.fromkeys((*_NAMES, *_VALUES), ("configurable variations",)),
    **dict.fromkeys(_WEIGHTS, ("weight",)),
    sales.PRICE: ("special price",),
    sales.STARTS: ("special price from date",),
    sales.ENDS: ("special price to date", "special price from date"),
}


class _Magento(Arrangement):
    origins = MappingProxyType(_ORIGINS)

    def __init__(self, header: Sequence[str], terms: FileTerms) -> None:
        self._terms = terms
        self._columns = {folded(heading): column for column, heading in reversed(list(enumerate(header)))}
        self._owners = KeyIndex()
        self._handles = KeyIndex()
        self._shared: dict[int, str] = {}
        self._rows = KeyIndex()
        self._views = StoreViews(self._cell)
        self._weighs = terms.weight_unit is not None and "weight" in self._columns
        has_sales = "special price" in self._columns and not _SALE_DATES.isdisjoint(self._columns)
        self.added = (*_ADDED, *(_WEIGHTS if self._weighs else ()), *(sales.ADDED if has_sales else ()))
        self._open = _LeftOpen()

    def _cell(self, fields: Sequence[str], name: str) -> str:
        column = self._columns.get(folded(name))
        return "" if column is None else fields[column].strip()

    def _is_configurable(self, fields: Sequence[str]) -> bool:
        return self._cell(fields, "product_type").casefold() == "configurable"

    def learn(self, row: int, fields: Sequence[str]) -> None:
        if view := self._cell(fields, CODE):
            self.added = (*self.added, *self._views.learn(view))
            return
        self._rows.add(self._cell(fields, "sku").casefold(), row)
        if self._is_configurable(fields):
            for sku in self._variations(fields):
                if self._owners.add(sku, row) not in (None, row):
                    self._shared[row] = sku
        self._handles.add(self._slug(fields), row)
        if self._terms.weight_unit is None and not self._is_configurable(fields):
            self._open.weights += bool(self._cell(fields, "weight"))
        if self._terms.media_base_url is None:
            self._open.see_paths(row, [url for url, _ in self._named_pictures(fields) if not _is_address(url)])

    @property
    def notices(self) -> Sequence[Notice]:  # type: ignore[override]
        return self._open.notices()

    def _slug(self, fields: Sequence[str]) -> str:
        return slug(self._cell(fields, "url_key")) or slug(self._cell(fields, "name"))

    def _variations(self, fields: Sequence[str]) -> dict[str, dict[str, str]]:
        """The option values by code, of each SKU in lower case, in their order."""
        found: dict[str, dict[str, str]] = {}
        for each in self._cell(fields, "configurable_variations").split("|"):
            values = _pairs(each)
            sku = values.pop("sku", "").casefold()
            if sku:
                found[sku] = values
        return found

    def place(self, row: int, fields: Sequence[str]) -> tuple[int, int]:
        kind = self._cell(fields, "product_type").casefold()
        if view := self._cell(fields, CODE):
            self._views.check(view)
            return self._place_view(fields)
        if kind == "configurable":
            if row in self._shared:
                message = f"Its variant '{self._shared[row][:100]}' is also one of another product in the file."
                raise Misplaced("variant_of_two_products", message, "configurable_variations")
            return row, 0
        if kind not in _SINGLE:
            message = f"Products of the type '{kind[:50]}' are not taken."
            raise Misplaced("unsupported_type", message, "product_type")
        sku = self._cell(fields, "sku").casefold()
        owner = self._owners.add(sku, 0) if sku else None
        if not owner and not self._slug(fields):
            raise Misplaced("missing_handle", "The row has neither url_key nor name.", "name", "url_key")
        return (owner, 1) if owner else (row, 0)

    def _place_view(self, fields: Sequence[str]) -> tuple[int, int]:
        """Behind everything else of the product whose texts, or whose variant's, the row gives."""
        sku = self._cell(fields, "sku").casefold()
        row = self._owners.find(sku) or self._rows.find(sku)
        if row is None:
            message = f"The row is of '{sku[:100]}', which is no product of this file."
            raise Misplaced("unknown_product", message, "sku")
        return row, 2

    def complete(self, group: Sequence[Record]) -> Iterator[tuple[int, dict[str, str]] | BrokenRecord]:
        views = [record for record in group if self._cell(record[1], CODE)]
        own = group[: len(group) - len(views)]
        if not own:
            message = "The product whose texts the row gives was refused."
            yield from (BrokenRecord(row, list(fields), "product_refused", message) for row, fields in views)
            return
        texts, doubled = self._views.texts(self._cell(own[0][1], "sku"), views)
        completed = iter(self._completed(own))
        head = next(completed)
        yield (head[0], head[1] | texts) if isinstance(head, tuple) else head
        yield from magento_views.told(views, head, _HANDLE, doubled)
        yield from completed

    def _completed(self, group: Sequence[Record]) -> Iterator[tuple[int, dict[str, str]] | BrokenRecord]:
        head_row, head = group[0]
        if not self._is_configurable(head):
            if self._owners.add(self._cell(head, "sku").casefold(), 0):
                message = "The product that names this row as its variant was refused."
                yield from (BrokenRecord(row, list(fields), "product_refused", message) for row, fields in group)
            else:
                yield head_row, self._product(self._handle(head_row, head), head, {}) | self._variant(head)
            return
        variations = self._variations(head)
        labels = self._labels(head, variations)
        if len(labels) > OPTIONS:
            message = f"The product has {len(labels)} attributes that tell its variants apart; {OPTIONS} is the limit."
            yield from (BrokenRecord(row, list(fields), "too_many_options", message) for row, fields in group)
            return
        handle = self._handle(head_row, head)
        yield head_row, self._product(handle, head, labels)
        for row, fields in group[1:]:
            given = variations[self._cell(fields, "sku").casefold()]
            values = [given.get(code, "") for code in labels]
            picture = next(iter(self._pictures(fields)), "")
            own = {_HANDLE: handle, _PICTURE: picture, **dict(zip(_VALUES, values, strict=False))}
            yield row, self._variant(fields) | own

    def _labels(self, head: Sequence[str], variations: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """What each option is called, by its code."""
        labels = _pairs(self._cell(head, "configurable_variation_labels"))
        codes = dict.fromkeys(code for values in variations.values() for code in values)
        return {code: labels.get(code) or code.replace("_", " ").capitalize() for code in codes}

    def _handle(self, row: int, fields: Sequence[str]) -> str:
        handle = self._slug(fields)
        if self._handles.add(handle, row) in (None, row):
            return handle
        return f"{handle}-{slug(self._cell(fields, 'sku')) or row}"

    def _product(self, handle: str, fields: Sequence[str], labels: Mapping[str, str]) -> dict[str, str]:
        attributes = _pairs(self._cell(fields, "additional_attributes"))
        brand = attributes.pop("manufacturer", "")
        country = self._cell(fields, "country_of_manufacture")
        kept = {**attributes, **({"country_of_manufacture": country} if country else {})}
        unkept = {*labels, *_BARCODES}
        return {
            _HANDLE: handle,
            _TITLE: self._cell(fields, "name"),
            _DESCRIPTION: self._cell(fields, "description") or self._cell(fields, "short_description"),
            _STATUS: self._status(fields),
            _ATTRIBUTES: "\x1e".join(f"{name}\x1f{value}" for name, value in kept.items() if name not in unkept),
            _BRAND: brand,
            _IMAGES: "\x1e".join(f"{url}\x1f{label}" for url, label in self._pictures(fields).items()),
            **dict(zip(_NAMES, labels.values(), strict=False)),
        }

    def _status(self, fields: Sequence[str]) -> str:
        online = self._cell(fields, "product_online")
        if online == "2" or self._cell(fields, "visibility").casefold() == "not visible individually":
            return ProductStatus.PAUSED.value
        return ProductStatus.ACTIVE.value if online == "1" else online

    def _pictures(self, fields: Sequence[str]) -> dict[str, str]:
        """Addresses with their labels, each once, the main one first."""
        found: dict[str, str] = {}
        for url, label in self._named_pictures(fields):
            if _is_address(url):
                found.setdefault(url, label)
            elif self._terms.media_base_url is not None and url != _NOTHING:
                found.setdefault(f"{self._terms.media_base_url.rstrip('/')}/{quote(url.lstrip('/'))}", label)
        return found

    def _named_pictures(self, fields: Sequence[str]) -> list[tuple[str, str]]:
        """Addresses and paths with their labels, as the row names them."""
        urls = [self._cell(fields, "base_image"), *self._cell(fields, "additional_images").split(",")]
        labels = [self._cell(fields, "base_image_label"), *self._cell(fields, "additional_image_labels").split(",")]
        labels += [""] * (len(urls) - len(labels))
        return [(url, label.strip()) for url, label in zip(map(str.strip, urls), labels, strict=False) if url]

    def _variant(self, fields: Sequence[str]) -> dict[str, str]:
        attributes = _pairs(self._cell(fields, "additional_attributes"))
        kind = self._cell(fields, "product_type").casefold()
        return {
            _MARK: "1",
            _SKU: self._cell(fields, "sku"),
            _BARCODE: next((attributes[name] for name in _BARCODES if attributes.get(name)), ""),
            **self._prices(fields),
            **self._weight(fields),
            _QUANTITY: self._quantity(fields),
            _POLICY: self._policy(fields),
            _SHIPS: "false" if kind in ("virtual", "downloadable") else "",
        }

    def _prices(self, fields: Sequence[str]) -> dict[str, str]:
        price, special = (_shortened(self._cell(fields, name)) for name in ("price", "special_price"))
        dates = self._cell(fields, "special_price_from_date"), self._cell(fields, "special_price_to_date")
        if not special:
            return {_PRICE: price}
        if not any(dates):
            return {_PRICE: special, _LIST_PRICE: price}
        return {_PRICE: price, **sales.cells_of(special, *dates, self._terms.time_zone, whole_days=True)}

    def _weight(self, fields: Sequence[str]) -> dict[str, str]:
        weight = self._cell(fields, "weight") if self._weighs else ""
        return {_WEIGHT: weight, _WEIGHT_UNIT: self._terms.weight_unit or ""} if weight else {}

    def _quantity(self, fields: Sequence[str]) -> str:
        if self._cell(fields, "manage_stock") == "0":
            return ""
        return "0" if self._cell(fields, "is_in_stock") == "0" else self._cell(fields, "qty")

    def _policy(self, fields: Sequence[str]) -> str:
        allowed = self._cell(fields, "allow_backorders")
        if not allowed or self._cell(fields, "use_config_backorders") == "1":
            return ""
        known = {"0": StockPolicy.STANDARD.value, "1": StockPolicy.BACKORDER.value, "2": StockPolicy.BACKORDER.value}
        return known.get(allowed, allowed)


@dataclass(slots=True)
class _LeftOpen:
    """What of a file is not taken because nobody has said its unit, or where it lies."""

    weights: int = 0
    rows_with_paths: int = 0
    told: list[Notice] = field(default_factory=list)

    def see_paths(self, row: int, paths: Sequence[str]) -> None:
        paths = [path for path in paths if path != _NOTHING]
        self.rows_with_paths += bool(paths)
        if paths and len(self.told) < _MOST_TOLD:
            message = "The picture is a path in Magento's own folder and is not taken."
            self.told.append(Notice(row, None, shortened(", ".join(paths)), "path_not_kept", message))

    def notices(self) -> list[Notice]:
        said = []
        if self.weights:
            message = f"Weights of {self.weights} rows are not kept: say their unit with the import (weight_unit)."
            said.append(Notice(1, "weight", None, "weights_not_kept", message))
        if self.rows_with_paths:
            message = (
                f"Pictures of {self.rows_with_paths} rows are paths and are not taken: say with the import where they"
                " lie on the web (media_base_url, such as https://shop.example/media/catalog/product)."
            )
            said.append(Notice(1, None, None, "paths_not_kept", message))
        return [*said, *self.told]


def _is_address(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _pairs(cell: str) -> dict[str, str]:
    """Names and values of `a=1,b="x, y",c=p|q`."""
    pairs = {}
    for match in _PAIR.finditer(cell):
        value = match[3] if match[2] is None else match[2].replace('""', '"')
        pairs[match[1].casefold()] = value.strip()
    return pairs


def _shortened(price: str) -> str:
    """Magento writes prices with four decimals, or six: without the zeros at their end."""
    whole, point, decimals = price.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}" if point and decimals.isdigit() else price


def _paths(cell: str) -> tuple[tuple[str, ...], ...]:
    """`Default Category/A/B,Default Category/C` without the root that every path begins with."""
    paths = []
    for path in cell.split(","):
        steps = [step.replace("\\/", "/").strip() for step in _STEP.findall(path)]
        paths.append(tuple(filter(None, steps))[1:])
    return tuple(dict.fromkeys(path for path in paths if path))


def _attributes(cell: str) -> tuple[tuple[str, str], ...]:
    pairs = (part.split("\x1f") for part in cell.split("\x1e") if part.strip())
    return tuple((name, value) for name, value in pairs if value)


def _images(cell: str) -> tuple[ImageRecord, ...]:
    pairs = (part.split("\x1f") for part in cell.split("\x1e") if part.strip())
    return tuple(ImageRecord(cells.url(url), n, label or None) for n, (url, label) in enumerate(pairs, start=1))


def _one_of(cell: str, choices: Mapping[str, Any], code: str) -> Any:
    try:
        return choices[cell.casefold()]
    except KeyError:
        raise InvalidCell(code, f"{cell!r} is none of {', '.join(choices)}.") from None
