"""The hot paths, each as requests against the demo business."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import asyncpg

from deploy.bench import exports, imports, indexes, memory, orders, syncing
from deploy.bench.figures import Figure
from deploy.bench.freshness import freshness, freshness_under_changes
from deploy.bench.load import Measured, http, measure
from deploy.bench.relevance import relevance
from deploy.bench.system import NobodyWorks, System, running_memory

_JSON = {"Content-Type": "application/json"}
_WORDS = "wool linen oak brass coffee mug lantern bowl scarf kettle apron basket rope jumper blanket candle".split()
CALLBACKS = 20_000
_STOCK_ROWS = 10_000


def storefront_list(system: System) -> Figure:
    request = http("GET", "/v1/shops/main/offers?first=20", system.headers("storefront"))
    return _load("storefront list", system, [request])


def storefront_search(system: System) -> Figure:
    """No two queries within reach of an answer cache are alike."""
    headers = system.headers("storefront")
    requests = [
        http("GET", f"/v1/shops/main/offers?first=20&q={one}+{other}&price_min={number}", headers)
        for number in range(400)
        for one in _WORDS
        for other in _WORDS[:6]
    ]
    return _load("storefront search, every query new", system, requests, once=True)


def storefront_search_of_new_words(system: System) -> Figure:
    """As `storefront_search`, and no two have the same words: nothing that was found out for other queries helps."""
    headers = system.headers("storefront")
    items = system.ask("GET", "/v1/shops/main/offers?first=50", party="storefront")["items"]
    titles = " ".join(item["title"].lower() for item in items)
    words = sorted({word for word in titles.split() if word.isalpha() and len(word) > 4})
    requests = [
        http("GET", f"/v1/shops/main/offers?first=20&q={quote(f'{one} {other[: len(other) - cut]}')}", headers)
        for cut in range(3)
        for one in words
        for other in words
    ]
    return _load("storefront search, words new, too", system, requests, once=True)


def product_page(system: System) -> Figure:
    items = system.ask("GET", "/v1/shops/main/offers?first=50", party="storefront")["items"]
    headers = system.headers("storefront")
    requests = [http("GET", f"/v1/shops/main/offers/{item['slug']}", headers) for item in items]
    return _load("product page", system, requests)


def graphql_list(system: System) -> Figure:
    document = (
        "query($shop: String!) { offers(shop: $shop, first: 20) { edges { node { slug title brand sku available"
        " availableQuantity price { amount currency } variants { sku available } } } pageInfo { hasNextPage } } }"
    )
    body = json.dumps({"query": document, "variables": {"shop": "main"}}).encode()
    request = http("POST", "/graphql", {**system.headers("storefront"), **_JSON}, body)
    return _load("GraphQL list", system, [request])


def graphql_search(system: System) -> Figure:
    """As `storefront_search`: the same list, and no two queries are alike."""
    document = (
        'query($query: String, $filter: OfferFilterInput) { offers(shop: "main", first: 20, query: $query,'
        " filter: $filter) { nodes { slug title brand sku available availableQuantity price { amount currency }"
        " variants { sku available } } } }"
    )
    headers = {**system.headers("storefront"), **_JSON}
    requests = []
    for number in range(200):
        for one in _WORDS:
            for other in _WORDS[:6]:
                variables = {"query": f"{one} {other}", "filter": {"priceMin": number}}
                body = json.dumps({"query": document, "variables": variables}).encode()
                requests.append(http("POST", "/graphql", headers, body))
    return _load("GraphQL search, every query new", system, requests, once=True)


def graphql_memory(system: System) -> Figure:
    """Fifty objects with ten in each, of which nothing has to be found: what GraphQL itself takes."""
    request = http("POST", "/graphql", _JSON, json.dumps({"query": memory.QUERY}).encode())
    with running_memory(1) as server:
        measured = measure(server, [request])
    note = f"{measured.failures} failed: {measured.sample[-200:]}" if measured.failures else ""
    return Figure("GraphQL, 50 × 10 from memory", measured.per_second, "requests", measured, note)


def callback(system: System) -> Figure:
    """Signed as Stripe signs, every event a new one: verified, stored with its verdict, answered."""
    figure = _load("callback", system, _callbacks(system), once=True)
    system.rates["callback"] = figure.rate or 0.0
    return figure


def callback_at_half_the_rate(system: System) -> Figure:
    """How long an answer takes with half as many callbacks as can be taken, and while nobody processes them."""
    half = (system.rates.get("callback") or callback(system).rate or 0.0) / 2
    measured = _paced(system, half)
    try:
        with system.processing_stopped():
            stopped = _paced(system, half)
        note = f"p99 {stopped.p99 * 1000:.1f} ms while processing stands still"
    except NobodyWorks as error:
        note, stopped = str(error), measured
    for each in (measured, stopped):
        note += f"; {each.failures} failed: {each.sample[-200:]}" if each.failures else ""
    return Figure("callback, half that rate", measured.per_second, "requests", measured, note)


def _paced(system: System, per_second: float) -> Measured:
    return measure(system.server, _callbacks(system), once=True, connections=128, per_second=per_second)


def _callbacks(system: System) -> list[bytes]:
    gateway = system.credentials["payment_gateways"]["stripe"]
    mark, stamp = time.time_ns(), int(time.time())
    requests = []
    for number in range(CALLBACKS):
        event = {
            "id": f"evt_bench_{mark}_{number}",
            "object": "event",
            "type": "payment_intent.created",
            "created": stamp,
            "data": {"object": {"id": f"pi_bench_{number}", "object": "payment_intent", "amount": 100}},
        }
        body = json.dumps(event).encode()
        signature = hmac.new(gateway["secret"].encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest()
        headers = {**_JSON, "Stripe-Signature": f"t={stamp},v1={signature}"}
        requests.append(http("POST", f"/callbacks/{gateway['id']}", headers, body))
    return requests


def bulk_stock(system: System) -> Figure:
    """Counts that change every SKU they name, beside a bare COPY and merge of as many rows in the same run."""
    headers = {**system.headers("supplier"), **_JSON}
    requests = []
    for number in range(40):
        rows = [{"sku": f"BENCH-{row:05}", "centre": "main", "on_hand": number + row} for row in range(_STOCK_ROWS)]
        requests.append(http("POST", "/v1/stock/bulk", headers, json.dumps(rows).encode()))
    bare = asyncio.run(_copy_and_merge(system))
    measured = measure(system.server, requests, seconds=5, connections=2, processes=1)
    rate = measured.per_second * _STOCK_ROWS
    note = f"{rate / bare:.3f} of COPY and merge"
    if measured.failures:
        note += f"; {measured.failures} failed: {measured.sample[-200:]}"
    return Figure(f"bulk stock, {_STOCK_ROWS:,} rows a call", rate, "rows", measured, note)


async def _copy_and_merge(system: System) -> float:
    """Rows a second of COPY into a staging table and a merge into one with the same key, one call after the other."""
    connection = await asyncpg.connect(system.admin_url())
    try:
        columns = "sku text, centre text, on_hand integer"
        await connection.execute(f"CREATE TABLE bare_stock ({columns}, PRIMARY KEY (sku, centre))")
        await connection.execute(f"CREATE UNLOGGED TABLE bare_staged ({columns})")
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < 3:
            rows = [(f"BENCH-{row:05}", "main", count + row) for row in range(_STOCK_ROWS)]
            async with connection.transaction():
                await connection.execute("TRUNCATE bare_staged")
                await connection.copy_records_to_table("bare_staged", records=rows)
                await connection.execute(
                    "INSERT INTO bare_stock SELECT * FROM bare_staged"
                    " ON CONFLICT (sku, centre) DO UPDATE SET on_hand = excluded.on_hand"
                )
            count += 1
        return count * _STOCK_ROWS / (time.perf_counter() - started)
    finally:
        await connection.execute("DROP TABLE IF EXISTS bare_stock, bare_staged")
        await connection.close()


SCENARIOS: tuple[Callable[[System], Figure], ...] = (
    storefront_list,
    storefront_search,
    storefront_search_of_new_words,
    relevance,
    product_page,
    graphql_list,
    graphql_search,
    graphql_memory,
    orders.quote,
    orders.order,
    orders.order_of_one_sku,
    callback,
    callback_at_half_the_rate,
    bulk_stock,
    imports.import_first,
    imports.import_left,
    imports.import_repeated,
    imports.import_changed,
    exports.export_products,
    syncing.sync_first_scan,
    syncing.sync_rescan,
    syncing.sync_sends,
    indexes.index_rebuild_new,
    indexes.index_rebuild_same,
    indexes.index_catch_up,
    freshness,
    freshness_under_changes,
)


def _load(name: str, system: System, requests: list[bytes], *, once: bool = False) -> Figure:
    measured = measure(system.server, requests, once=once)
    note = f"{measured.failures} failed: {measured.sample[-200:]}" if measured.failures else ""
    return Figure(name, measured.per_second, "requests", measured, note)
