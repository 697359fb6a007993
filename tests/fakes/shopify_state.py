"""What a shop of Shopify's holds, and how it can be told to behave."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from shared import clock
from shared.money import exponent
from tests.fakes.platforms import Faults, RemoteWrite
from tests.fakes.shopify_graphql import JsonObject

VERSION = "2026-10"
TOKEN = "shpat-of-the-tests"
SCOPES = [
    *("write_products", "write_files", "write_inventory", "read_locations", "read_orders"),
    "write_merchant_managed_fulfillment_orders",
]
Node = dict[str, Any]


@dataclass
class Bulk:
    """A bulk operation, and the file it has written."""

    id: str
    query: str
    status: str
    created_at: datetime
    file: bytes = b""
    starts: list[int] = field(default_factory=list)
    roots: int = 0
    polls_left: int = 0
    error: str | None = None


class State:
    """The shop. What it can be told beside `faults`:

    `maximum` and `restore_rate`: its bucket of points. `bulk_polls`: how often an operation says that it runs before
    it has finished. `bulk_error`: how the next operation fails. `others_running`: operations that are in the way.
    `groups`: whether children follow their parents when that was asked for. `image_polls`: how often a picture is
    asked for before it is ready. `search_lags`: what was made since is not found by searching. `nested`: how many of a
    record's own list are given at once. `scopes`: what the token may do. `version`: which one it answers in.
    `before`: called with the name of each operation before it is executed. `lose`: names of operations that take
    effect and whose answer is never sent, once each. `sent` are all documents with their variables as they came.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.writes: list[RemoteWrite] = []
        self.page_size = 4
        self.currency = "EUR"
        self.maximum, self.restore_rate = 1_000_000.0, 1_000_000.0
        self.bulk_polls, self.bulk_error = 0, None
        self.others_running = 0
        self.groups = True
        self.image_polls = 0
        self.search_lags = False
        self.nested = 250
        self.scopes = list(SCOPES)
        self.version = VERSION
        self.before: Callable[[str], None] = lambda name: None
        self.lose: list[str] = []
        self.asked: list[tuple[str, JsonObject]] = []
        self.sent: list[tuple[str, JsonObject]] = []
        self.throttled = 0
        self.tokens = {TOKEN}
        self.products: dict[str, Node] = {}
        self.variants: dict[str, Node] = {}
        self.items: dict[str, Node] = {}
        self.levels: dict[tuple[str, str], Node] = {}
        self.orders: dict[str, Node] = {}
        self.fulfillment_orders: dict[str, list[Node]] = {}
        self.fulfillments: dict[str, list[Node]] = {}
        self.files: dict[str, Node] = {}
        self.collections: dict[str, str] = {}
        self.places = {"1": "Main", "2": "Store"}
        self.bulks: dict[str, Bulk] = {}
        self.staged: dict[str, bytes] = {}
        self._idempotent: dict[str, tuple[str, JsonObject]] = {}
        self._last_id = 1_000_000
        self._left, self._filled_at = self.maximum, time.monotonic()

    def _title_of(self, gid: str) -> str:
        return next(title for title, key in self.collections.items() if key == short_id(gid))

    def _major(self, price: Mapping[str, Any]) -> str:
        return str(Decimal(price["amount"]).scaleb(-exponent(self.currency)))

    def _note(
        self, kind: str, external_id: str | None, content: Any, *, has_changed: bool, is_refused: bool = False
    ) -> None:
        self.writes.append(RemoteWrite(kind, external_id, content, has_changed, is_refused))

    def _refused(self, kind: str, external_id: str | None, content: Any, error: Node) -> Node:
        self._note(kind, external_id, content, has_changed=False, is_refused=True)
        return {"userErrors": [error]}

    def _new_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    def _now(self) -> datetime:
        """To the second, as Shopify has it."""
        return clock.now().replace(microsecond=0)

    def _put_file(self, url: str, alt: str, name: str | None = None) -> str:
        known = next((key for key, each in self.files.items() if each["url"] == url), None)
        key = known or self._new_id()
        self.files[key] = {"id": key, "url": url, "alt": alt, "name": name or short_id(url), "status": "READY"}
        return key

    def _put_variant(self, product_id: str, variant_id: str, given: Mapping[str, Any]) -> None:
        item = self.items.setdefault(variant_id, {"id": variant_id, "tracked": True})
        item["sku"] = given.get("sku", "")
        item["requires_shipping"] = given.get("requires_shipping", True)
        item["weight"] = {"unit": "GRAMS", "value": float(given.get("weight_grams") or 0)}
        item["updatedAt"] = self._now()
        list_price = given.get("list_price")
        self.variants[variant_id] = {
            "id": variant_id,
            "product": product_id,
            "item": variant_id,
            "barcode": given.get("barcode") or None,
            "options": dict(given.get("options", {})),
            "price": self._major(given.get("price", {"amount": 0})),
            "compareAtPrice": None if list_price is None else self._major(list_price),
            "taxable": given.get("taxable", True),
            "updatedAt": self._now(),
        }

    def _drop_variant(self, variant_id: str) -> None:
        del self.variants[variant_id], self.items[variant_id]
        for key in [key for key in self.levels if key[0] == variant_id]:
            del self.levels[key]

    def _set_level(self, item: str, place: str, quantity: int) -> None:
        self.levels[item, place] = {"item": item, "place": place, "quantity": quantity, "updatedAt": self._now()}

    def _fulfillment_order(self, lines: Sequence[Node], place: str) -> Node:
        made = [
            {
                "id": gid_of("FulfillmentOrderLineItem", self._new_id()),
                "remainingQuantity": line["quantity"],
                "lineItem": {"id": line["id"], "sku": line["sku"]},
            }
            for line in lines
        ]
        return {"id": self._new_id(), "status": "OPEN", "place": place, "lines": made}

    def put_collection(self, title: str) -> None:
        if title not in self.collections:
            self.collections[title] = self._new_id()


def wrong(where: Sequence[str], message: str, code: str | None = None) -> Node:
    return {"field": list(where), "message": message, "code": code}


def gid_of(kind: str, key: str) -> str:
    return f"gid://shopify/{kind}/{key}"


def short_id(gid: str) -> str:
    return gid.rpartition("/")[2]


def iso_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
