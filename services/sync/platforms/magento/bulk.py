"""Changes of many products as one bulk, which Magento's worker does later; and what waits there from earlier.

A queued write is done whenever the worker comes to it, over whatever is newer by then. So nothing is written to a
product for which one still waits, and a bulk is waited for. Where no worker runs, or one died, operations stay open for
good: then each try finds them open, until a person is told. Stock is never queued.
https://developer.adobe.com/commerce/webapi/rest/use-rest/asynchronous-web-endpoints/
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Written
from services.sync.platforms.magento.client import Client, Filter, answered

JsonObject = dict[str, Any]

# The SKU is beside the product and in it: without the second the worker dies of it.
PATH = "/products/bySku"
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, PATIENCE_SECONDS = 0.5, 5.0, 60.0
MOST_SEEN = 300
DONE, RETRY, FAILED, OPEN, REJECTED = 1, 2, 3, 4, 5
WAITS = "An earlier change of this product still waits in Magento's queue: is its worker running?"


class Bulk:
    """Bulks of one shop."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def waiting(self, skus: Collection[str]) -> set[str]:
        """Those of these SKUs, in lower case, for which an operation is open; all, where more are than can be seen."""
        wanted = {sku.lower() for sku in skus}
        found = await self._client.search(
            "/bulk", [Filter("status", "eq", str(OPEN))], size=MOST_SEEN, fields="id,bulk_uuid,serialized_data"
        )
        if (found.total or 0) > len(found.items):
            return wanted
        return {sku for each in found.items for sku in named(each) if sku in wanted}

    async def change(self, payloads: Sequence[JsonObject]) -> list[Written]:
        """Change products, each by its `sku`; what came of each, in order. `fields` are none: they are to be read."""
        body = [{"sku": each["sku"], "product": each} for each in payloads]
        path = self._client.path(PATH, prefix="/async/bulk")
        accepted = answered(await self._client.send("PUT", path, body))
        if not isinstance(accepted, dict) or "bulk_uuid" not in accepted:
            raise AnswerNotUnderstood(f"Magento answered a bulk with {str(accepted)[:100]!r}.")
        refused = {int(each["id"]) for each in accepted.get("request_items") or () if each.get("status") != "accepted"}
        operations = await self._settled(str(accepted["bulk_uuid"]))
        return [
            Written("person", "Magento took this change into no queue.")
            if index in refused
            else written(operations.get(index))
            for index in range(len(payloads))
        ]

    async def _settled(self, uuid: str) -> Mapping[int, JsonObject]:
        """The operations by their places, once none is open or patience is over."""
        wait, waited = FIRST_WAIT_SECONDS, 0.0
        while True:
            status = await self._client.get(f"/bulk/{uuid}/status")
            operations = {int(each["id"]): each for each in status["operations_list"]}
            if all(each["status"] != OPEN for each in operations.values()) or waited >= PATIENCE_SECONDS:
                return operations
            await asyncio.sleep(wait)
            waited, wait = waited + wait, min(wait * 2, LONGEST_WAIT_SECONDS)


def written(operation: JsonObject | None) -> Written:
    """What became of one operation."""
    status = operation["status"] if operation else OPEN
    words = str((operation or {}).get("result_message") or "")
    if status == DONE:
        return Written("ok")
    if status in (FAILED, REJECTED):
        return Written("person", words or "Magento's worker could not do it.")
    return Written("retry", words or WAITS)


def named(operation: JsonObject) -> set[str]:
    """The SKUs, in lower case, that an operation is about: they stand in JSON within JSON."""
    found: set[str] = set()
    try:
        data = orjson.loads(operation.get("serialized_data") or "{}")
        meta = orjson.loads(data.get("meta_information") or "{}")
    except (orjson.JSONDecodeError, AttributeError):
        return found
    _collect(meta, found)
    return found


def _collect(value: object, found: set[str]) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("sku"), str):
            found.add(value["sku"].lower())
        for each in value.values():
            _collect(each, found)
    elif isinstance(value, list):
        for each in value:
            _collect(each, found)
