"""Stock levels: read, compared, and only then written, because WooCommerce sets whatever it is told.

What is written is without what unpaid orders hold, and what is read with it: see `held.py`.
"""

from collections.abc import Sequence
from typing import Any

from services.sync.platforms.base import StockWrite, Written
from services.sync.platforms.woocommerce import mapping
from services.sync.platforms.woocommerce.held import Held
from services.sync.platforms.woocommerce.reading import STOCK, Reader
from services.sync.platforms.woocommerce.writing import Batch, send

JsonObject = dict[str, Any]


class StockWriter:
    """Sets stock levels of one site."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client = reader.client

    async def write(self, writes: Sequence[StockWrite]) -> list[Written]:
        """What came of each write, in their order. Raises only when none was sent."""
        ids = [write.external_id for write in writes if write.external_id.isascii() and write.external_id.isdigit()]
        nodes = {str(node["id"]): node for node in await self._reader.posts(STOCK, ids)}
        _, held = await self._reader.counted(list(nodes.values()))
        done: dict[int, Written] = {}
        by_path: dict[str, list[int]] = {}
        for index, write in enumerate(writes):
            node = nodes.get(write.external_id)
            settled = _settled(write, node, held)
            if settled is not None:
                done[index] = settled
            else:
                assert node is not None
                by_path.setdefault(_path(node), []).append(index)
        batches = [
            Batch(path, "update", [_item(writes[index], held) for index in indexes])
            for path, indexes in by_path.items()
        ]
        for indexes, answers in zip(by_path.values(), await send(self._client, batches), strict=True):
            for index, answer in zip(indexes, answers, strict=True):
                done[index] = answer if isinstance(answer, Written) else _written(writes[index], answer, held)
        return [done[index] for index in range(len(writes))]


def _settled(write: StockWrite, node: JsonObject | None, held: Held) -> Written | None:
    """What becomes of a write without anything being sent; None: it is to be sent."""
    if node is None:
        return Written("person", f"WooCommerce has nothing under the id of '{write.sku}' any more.", write.external_id)
    if not mapping.is_counted(node):
        return Written("person", _not_counted(write, node), write.external_id)
    level = mapping.level(node, held.get(node["id"], 0))
    quantity = level.fields["quantity"]
    if quantity == write.quantity:
        return Written("unchanged", None, write.external_id, {"quantity": quantity}, level.references)
    if write.expected is not None and quantity != write.expected:
        return Written("stale", "The stock has changed.", write.external_id, {"quantity": quantity}, level.references)
    return None


def _not_counted(write: StockWrite, node: JsonObject) -> str:
    if node["manage_stock"] == "parent":
        return f"WooCommerce counts '{write.sku}' with the other variations of its product; count it by itself there."
    return f"WooCommerce does not count the stock of '{write.sku}'; switch on 'Track stock quantity' there."


def _path(node: JsonObject) -> str:
    return f"products/{node['parent_id']}/variations" if node["type"] == "variation" else "products"


def _item(write: StockWrite, held: Held) -> JsonObject:
    post_id = int(write.external_id)
    return {"id": post_id, "stock_quantity": write.quantity - held.get(post_id, 0)}


def _written(write: StockWrite, node: JsonObject, held: Held) -> Written:
    """What WooCommerce has now: it ignores in silence what it does not count."""
    level = mapping.level(node, held.get(node["id"], 0)) if mapping.is_counted(node) else None
    if level is None or level.fields["quantity"] != write.quantity:
        return Written("retry", "WooCommerce has taken the stock for another.", write.external_id)
    return Written("ok", None, write.external_id, {"quantity": write.quantity}, level.references)
