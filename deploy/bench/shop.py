"""A shop of the custom protocol that answers at once: what is measured against it is the time that we take.

Its records are made of their numbers and kept nowhere, so it has a million as easily as a hundred. Stock levels alone
can be written. It lets nobody spend more than its budget, and counts what was spent of it. PROTOCOL.md says the rest.

python -m deploy.bench.shop PRODUCTS STOCK PER_SECOND    says its port
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-the-bench"  # noqa: S105
VARIANTS = 2
# So many requests may come at once after a rest, in parts of those of a second.
_BURST_SECONDS = 1.0
_UPDATED = "2026-01-01T00:00:00+00:00"
_RIGHTS = ("products", "stock", "orders", "suppliers", "supplier-links")
_PRODUCT = (
    '{"id":"%(n)d","updated_at":"' + _UPDATED + '","handle":"bench-thing-%(n)d","title":"Thing no. %(n)d",'
    '"description_html":"<p>A thing for the bench, like many others, with some words to say what it is and why '
    'somebody would want it. It is number %(n)d.</p>","brand":"Bench & Co","product_type":"Things",'
    '"status":"active","seo_title":null,"seo_description":null,"tags":["bench","thing"],"options":["Colour"],'
    '"categories":[["Things","Small things"]],"images":[{"url":"https://images.example/thing-%(n)d.jpg","alt":"A '
    'thing"}],"attributes":{"material":"wool"},"variants":['
    + ",".join(
        '{"id":"%(n)d-' + colour + '","sku":"BENCH-SYNC-%(n)07d-' + colour + '","barcode":null,"options":{"Colour":"'
        f'{colour}"' + '},"price":{"amount":1999,"currency":"USD"},"list_price":null,"weight_grams":120,'
        '"requires_shipping":true,"taxable":true}'
        for colour in ("red", "blue")[:VARIANTS]
    )
    + "]}"
)


@dataclass
class Budget:
    """A bucket of requests that fills by the second."""

    per_second: float
    at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.left = self.most

    @property
    def most(self) -> float:
        return max(self.per_second * _BURST_SECONDS, 1.0)

    def take(self) -> bool:
        now = time.monotonic()
        self.left = min(self.most, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Shop:
    """What is there and what was asked. `writes` are the moments of requests that wrote."""

    def __init__(self, products: int, stock: int, per_second: float) -> None:
        self.products, self.quantities = products, [0] * stock
        self.budget = Budget(per_second)
        self.requests = self.refused = 0
        self.writes: list[float] = []

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and body."""
        parts = urlsplit(target)
        if parts.path == "/figures":
            return 200, json.dumps({"requests": self.requests, "refused": self.refused, "writes": self.writes}).encode()
        self.requests += 1
        if not self.budget.take():
            self.refused += 1
            return 429, b'{"detail":"Too much at once."}'
        if method == "POST":
            self.writes.append(time.monotonic())
            return 200, json.dumps({"results": [self._write(item) for item in json.loads(body)["items"]]}).encode()
        if parts.path == "/hello":
            return 200, json.dumps(_HELLO).encode()
        return 200, self._page(parts.path, parse_qs(parts.query)).encode()

    def _page(self, path: str, query: dict[str, list[str]]) -> str:
        count = {"/products": self.products, "/stock": len(self.quantities)}.get(path, 0)
        if "id" in query:
            numbers: Any = [int(each.rpartition("/")[2]) for each in query["id"]]
            following = "null"
        else:
            start = int(query.get("after", ["0"])[0])
            # Nothing has changed since whenever: the same is all that there is.
            stop = min(start + int(query.get("limit", ["250"])[0]), count)
            numbers = range(start, stop)
            following = f'"{stop}"' if stop < count else "null"
        record = self._level if path == "/stock" else _product
        items = ",".join(map(record, numbers))
        return f'{{"items":[{items}],"next":{following},"total":{count}}}'

    def _level(self, number: int) -> str:
        return (
            f'{{"id":"main/{number}","updated_at":"{_UPDATED}","sku":"{stock_sku(number)}","location":"main",'
            f'"quantity":{self.quantities[number]}}}'
        )

    def _write(self, item: dict[str, Any]) -> dict[str, Any]:
        number = int(item["id"].rpartition("/")[2])
        now = self.quantities[number]
        if item["expected"] is not None and now != item["expected"] and now != item["quantity"]:
            return {"outcome": "stale", "id": item["id"], "fields": {"quantity": now}}
        self.quantities[number] = item["quantity"]
        return {"outcome": "unchanged" if now == item["quantity"] else "ok", "id": item["id"]}

    def limits(self) -> str:
        """The headers that say what is allowed and left."""
        budget = self.budget
        seconds = max(1, round(_BURST_SECONDS))
        return (
            f'RateLimit-Policy: "default";q={int(budget.most)};w={seconds}\r\n'
            f'RateLimit: "default";r={max(0, int(budget.left))}\r\n'
        )


_HELLO = {
    "protocol": 1,
    "name": "Shop of the bench",
    "version": "1",
    "currency": "USD",
    "can": [*(f"read:{each}" for each in _RIGHTS), "write:products", "write:stock", "write:shipments"],
    "places": [{"id": "main", "name": "Main"}],
    "order_statuses": [],
}


def stock_sku(number: int) -> str:
    return f"BENCH-STOCK-{number:07d}"


def _product(number: int) -> str:
    return _PRODUCT % {"n": number}


class _Protocol(asyncio.Protocol):
    """As much of HTTP/1.1 as our own client speaks: whole requests, one after the other, with a length."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._read = shop, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].decode("latin-1")
            lengths = [
                line.partition(":")[2] for line in head.lower().split("\r\n") if line.startswith("content-length")
            ]
            stop = end + 4 + (int(lengths[0]) if lengths else 0)
            if len(self._read) < stop:
                return
            body, self._read = self._read[end + 4 : stop], self._read[stop:]
            method, target, _ = head.split(" ", 2)
            status, answer = self._shop.answer(method, target, body)
            wait = "Retry-After: 1\r\n" if status == 429 else ""
            lines = (
                f"HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\n{self._shop.limits()}{wait}"
                f"Content-Length: {len(answer)}\r\n\r\n"
            )
            self._transport.write(lines.encode() + answer)


async def _serve(shop: Shop) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Protocol(shop), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    products, stock, per_second = sys.argv[1:4]
    asyncio.run(_serve(Shop(int(products), int(stock), float(per_second))))
