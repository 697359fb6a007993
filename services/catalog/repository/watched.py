"""The tables whose history is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Watched:
    """A table whose history is kept: its key beside the tenant, and what each of its rows hangs on."""

    table: str
    key: tuple[str, ...]
    parents: tuple[tuple[str, str], ...] = ()


# By the names that the history has for them (m0003_history), what others hang on before what hangs on it.
WATCHED = {
    "category": Watched("categories", ("id",)),
    "product": Watched("products", ("id",)),
    "variant": Watched("variants", ("id",), (("product_id", "products"),)),
    "price_list": Watched("price_lists", ("id",)),
    "price": Watched(
        "prices",
        ("price_list_id", "variant_id", "minimum_quantity", "centre", "starts_at"),
        (("variant_id", "variants"), ("price_list_id", "price_lists")),
    ),
    "membership": Watched(
        "product_categories",
        ("product_id", "category_id"),
        (("product_id", "products"), ("category_id", "categories")),
    ),
    "text": Watched("product_texts", ("product_id", "locale"), (("product_id", "products"),)),
    # Three tables that the history has one name for: told apart by their keys.
    "channel_content": Watched("channel_products", ("product_id", "channel_id"), (("product_id", "products"),)),
    "channel_category": Watched(
        "channel_product_categories",
        ("product_id", "channel_id", "category_id"),
        (("product_id", "products"), ("category_id", "categories")),
    ),
    "channel_variant": Watched(
        "channel_variants",
        ("product_id", "channel_id", "variant_id"),
        (("product_id", "products"), ("variant_id", "variants")),
    ),
}


def kind_of(entity: str, key: Mapping[str, Any]) -> str:
    """Which of WATCHED a change of the history is about."""
    if entity != "channel_content":
        return entity
    return "channel_category" if "category_id" in key else "channel_variant" if "variant_id" in key else entity
