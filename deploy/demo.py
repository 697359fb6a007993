"""`crossdock demo`: the main job against a running system, over HTTP, as a supplier, a storefront and a gateway do it.

A product file goes in, offers come out, an order is placed, a payment callback settles it, a shipment leaves, and the
stock adds up. Each step is printed with its figures; the first that is not what it should be ends the demo with code 1.
"""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from rich.console import Console

T = TypeVar("T")
_PATIENCE_SECONDS = 30.0
_ORDERED = 2
_STOCKED = 7


class StepFailed(Exception):
    """A step was not what it should be; the message says what came instead."""


@dataclass
class Demo:
    """One run. Its products carry a mark of their own, so that runs do not meet."""

    base_url: str
    credentials: dict[str, Any]
    console: Console
    mark: str = field(default_factory=lambda: secrets.token_hex(3))

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.base_url, timeout=30)
        self.tokens: dict[str, str] = {}
        self.steps = 0

    @property
    def sku(self) -> str:
        return f"DEMO-{self.mark}-BLUE".upper()

    @property
    def slug(self) -> str:
        return f"demo-lantern-{self.mark}"

    # --- how each party speaks

    def ask(self, party: str, method: str, path: str, *, expect: int = 200, **request: Any) -> Any:
        """A request of `party`'s. Raises StepFailed unless the status is `expect`."""
        headers = {"Authorization": f"Bearer {self.tokens[party]}", **request.pop("headers", {})}
        return self.checked(self.http.request(method, path, headers=headers, **request), expect)

    def checked(self, response: httpx.Response, expect: int) -> Any:
        if response.status_code != expect:
            where = f"{response.request.method} {response.request.url.path}"
            raise StepFailed(f"{where} answered {response.status_code} instead of {expect}: {response.text[:500]}")
        return response.json() if response.content else None

    def graphql(self, party: str, document: str, variables: dict[str, Any]) -> Any:
        answer = self.ask(party, "POST", "/graphql", json={"query": document, "variables": variables})
        if answer.get("errors"):
            raise StepFailed(f"GraphQL answered {answer['errors']}")
        return answer["data"]

    def until(self, what: str, condition: Callable[[], T | None]) -> tuple[T, float]:
        """Wait for `condition`; answers what it gave and the seconds it took. Raises StepFailed."""
        started = time.perf_counter()
        while time.perf_counter() - started < _PATIENCE_SECONDS:
            answer = condition()
            if answer:
                return answer, time.perf_counter() - started
            time.sleep(0.02)
        raise StepFailed(f"{what} did not happen within {_PATIENCE_SECONDS:.0f} seconds")

    def step(self, title: str, figures: str) -> None:
        self.steps += 1
        self.console.print(f"[green]✓[/] {self.steps:2}  [bold]{title}[/]  [dim]{figures}[/]")

    # --- the main job

    def run(self) -> None:
        """All of it, in order. Raises StepFailed."""
        self.sign_in()
        self.send_file()
        self.find_offer()
        self.read_page()
        quote = self.ask_for_quote()
        order = self.place_order(quote)
        self.refuse_forged_callback(order)
        self.settle_by_callback(order)
        self.ship(order)
        self.settle_stock()
        self.clear_away()

    def sign_in(self) -> None:
        started = time.perf_counter()
        for party, client in self.credentials["clients"].items():
            response = self.http.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(client["client_id"], client["client_secret"]),
            )
            self.tokens[party] = self.checked(response, 200)["access_token"]
        self.step("Clients have tokens", f"{', '.join(self.tokens)}; {_ms(started)}")

    def send_file(self) -> None:
        content = self._product_file()
        started = time.perf_counter()
        query = {"group": "products", "profile": "shopify", "shop": "main"}
        headers = {"Content-Type": "text/csv"}
        sent = self.ask("supplier", "POST", "/v1/imports", expect=202, params=query, content=content, headers=headers)
        done, seconds = self.until("the import", lambda: self._finished_import(sent["id"]))
        if done["state"] != "succeeded":
            raise StepFailed(f"the import has {done['state']}: {json.dumps(done)[:500]}")
        counters = ", ".join(f"{name} {count}" for name, count in done["counters"].items() if count)
        self.step("A supplier's product file is in", f"{len(content):,} bytes in {seconds * 1000:.0f} ms: {counters}")
        self._assign_to_shop()
        self.step("It is assigned to the shop", f"{_ms(started)} since the upload began")

    def _product_file(self) -> bytes:
        head = (
            "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,"
            "Variant Grams,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,"
            "Status\n"
        )
        rows = [
            f"{self.slug},Demo lantern {self.mark},<p>A storm lantern for the demo.</p>,Skerry,Lantern,demo,true,"
            f"Colour,Blue,{self.sku},900,{_STOCKED},deny,39.50,45.00,active\n",
            f"{self.slug},,,,,,,,Red,,900,3,deny,39.50,,\n",
        ]
        return (head + "".join(rows)).encode()

    def _finished_import(self, import_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] = self.ask("supplier", "GET", f"/v1/imports/{import_id}")
        return found if found["state"] in ("succeeded", "failed", "cancelled") else None

    def _assign_to_shop(self) -> None:
        """Put the product into the first category that the shop sells."""
        [product] = self.ask("supplier", "GET", "/v1/products", params={"slug": self.slug})["items"]
        categories = self.ask("supplier", "GET", "/v1/categories", params={"first": 200})["items"]
        category = next(each for each in categories if "main" in each["shops"])
        self.product_id = product["id"]
        change = {"category_ids": [category["id"]]}
        self.ask("supplier", "PATCH", f"/v1/products/{product['id']}", json=change)

    def find_offer(self) -> None:
        found, seconds = self.until("the offer in the search", self._found_offer)
        if found["price"] != {"amount": 3950, "currency": "USD"} or found["available_quantity"] != _STOCKED + 3:
            raise StepFailed(f"the offer is not what the file said: {json.dumps(found)[:500]}")
        self.step("Shoppers find it", f"“{found['title']}” at $39.50, {seconds * 1000:.0f} ms after the assignment")
        document = "query($shop: String!, $q: String!) { offers(shop: $shop, query: $q) { edges { node { slug } } } }"
        data = self.graphql("storefront", document, {"shop": "main", "q": f"lantern {self.mark}"})
        if [edge["node"]["slug"] for edge in data["offers"]["edges"]] != [self.slug]:
            raise StepFailed(f"GraphQL finds something else: {data}")
        facets = self.ask("storefront", "GET", "/v1/shops/main/offers", params={"q": f"lantern {self.mark}"})["facets"]
        self.step("GraphQL finds the same; facets count", json.dumps(facets)[:100])

    def _found_offer(self) -> dict[str, Any] | None:
        page = self.ask("storefront", "GET", "/v1/shops/main/offers", params={"q": f"lantern {self.mark}"})
        found = next((item for item in page["items"] if item["slug"] == self.slug), None)
        return found if found and found["available_quantity"] else None

    def read_page(self) -> None:
        started = time.perf_counter()
        page = self.ask("storefront", "GET", f"/v1/shops/main/offers/{self.slug}")
        skus = [variant["sku"] for variant in page["variants"]]
        if self.sku not in skus or len(skus) != 2:
            raise StepFailed(f"the product page shows {skus}")
        made = next(sku for sku in skus if sku != self.sku)
        self.step("The product page", f"{len(skus)} variants in {_ms(started)}; the missing SKU became {made}")

    def ask_for_quote(self) -> dict[str, Any]:
        started = time.perf_counter()
        body = {"shop": "main", "lines": [{"sku": self.sku, "quantity": _ORDERED}]}
        quote: dict[str, Any] = self.ask("storefront", "POST", "/v1/quotes", expect=201, json=body)
        if quote["total"]["amount"] != _ORDERED * 3950:
            raise StepFailed(f"the quote's total is {quote['total']}")
        self.step("A quote", f"{_ORDERED} × $39.50 = ${quote['total']['amount'] / 100:.2f} in {_ms(started)}")
        return quote

    def place_order(self, quote: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        body = {
            "shop": "main",
            "lines": [{"sku": self.sku, "quantity": _ORDERED}],
            "quote_id": quote["id"],
            "customer": {"email": "ada@example.com", "name": "Ada Example"},
            "shipping_address": {"name": "Ada Example", "line1": "1 Quay", "city": "Portsea", "country": "US"},
        }
        headers = {"Idempotency-Key": f"demo-{self.mark}"}
        order: dict[str, Any] = self.ask("storefront", "POST", "/v1/orders", expect=201, json=body, headers=headers)
        again = self.ask("storefront", "POST", "/v1/orders", expect=201, json=body, headers=headers)
        if again["id"] != order["id"]:
            raise StepFailed("the same Idempotency-Key made a second order")
        self.step("An order", f"{order['number']} is {order['status']}, asked twice and placed once, {_ms(started)}")
        more = {**body, "lines": [{"sku": self.sku, "quantity": _STOCKED}], "expected_total": quote["total"]}
        del more["quote_id"]
        headers = {"Idempotency-Key": f"demo-{self.mark}-too-much"}
        more["expected_total"] = {"amount": _STOCKED * 3950, "currency": "USD"}
        refused = self.ask("storefront", "POST", "/v1/orders", expect=409, json=more, headers=headers)
        self.step("What is not in stock is refused", f"{refused['code']}: {refused['detail']}")
        return order

    def refuse_forged_callback(self, order: dict[str, Any]) -> None:
        response = self._post_callback(self._payment_event(order), "whsec_somebody_else")
        if not 400 <= response.status_code < 500:
            raise StepFailed(f"a forged callback was answered {response.status_code}")
        if self.ask("storefront", "GET", f"/v1/orders/{order['id']}")["status"] != order["status"]:
            raise StepFailed("a forged callback moved the order")
        self.step("A forged callback is refused", f"{response.status_code}; the order stays {order['status']}")

    def settle_by_callback(self, order: dict[str, Any]) -> None:
        secret, event = self.credentials["payment_gateways"]["stripe"]["secret"], self._payment_event(order)
        for _ in range(3):
            response = self._post_callback(event, secret)
            if response.status_code != 200:
                raise StepFailed(f"the signed callback was answered {response.status_code}: {response.text[:300]}")
        _, seconds = self.until("the payment", lambda: self._order_is(order, "processing"))
        self._refuse_failed_callbacks()
        self.step("A signed callback settles it", f"sent three times, applied once, {seconds * 1000:.0f} ms")

    def _refuse_failed_callbacks(self) -> None:
        """None of this demo's callbacks may be left to a person."""
        failed = self.ask("admin", "GET", "/v1/callbacks", params={"status": "failed"})["items"]
        if ours := [each for each in failed if each["event_id"] == f"evt_demo_{self.mark}"]:
            raise StepFailed(f"a repeated callback failed: {ours[0]['reason']}: {ours[0]['detail']}")

    def _payment_event(self, order: dict[str, Any]) -> bytes:
        """What Stripe posts when a payment succeeds; the same bytes each time it is sent."""
        event = {
            "id": f"evt_demo_{self.mark}",
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": int(time.time()),
            "livemode": False,
            "data": {
                "object": {
                    "id": f"pi_demo_{self.mark}",
                    "object": "payment_intent",
                    "amount": order["total"]["amount"],
                    "amount_received": order["total"]["amount"],
                    "currency": order["total"]["currency"].lower(),
                    "status": "succeeded",
                    "metadata": {"order_number": order["number"]},
                }
            },
        }
        return json.dumps(event, sort_keys=True).encode()

    def _post_callback(self, body: bytes, secret: str) -> httpx.Response:
        """Post it signed as Stripe signs."""
        stamp = int(time.time())
        signature = hmac.new(secret.encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={stamp},v1={signature}", "Content-Type": "application/json"}
        gateway_id = self.credentials["payment_gateways"]["stripe"]["id"]
        return self.http.post(f"/callbacks/{gateway_id}", content=body, headers=headers)

    def _order_is(self, order: dict[str, Any], status: str) -> dict[str, Any] | None:
        found: dict[str, Any] = self.ask("storefront", "GET", f"/v1/orders/{order['id']}")
        return found if found["status"] == status else None

    def ship(self, order: dict[str, Any]) -> None:
        started = time.perf_counter()
        body = {
            "order_id": order["id"],
            "lines": [{"sku": self.sku, "quantity": _ORDERED}],
            "carrier": "Harbour Post",
            "service": "Parcel",
            "tracking_numbers": [f"HP{self.mark.upper()}"],
        }
        shipment, _ = self.until("the allocation", lambda: self._shipped(body))
        done, _ = self.until("the order's completion", lambda: self._order_is(order, "complete"))
        self.step("A shipment leaves", f"{shipment['tracking_numbers'][0]}; order {done['status']} in {_ms(started)}")

    def _shipped(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """Stock is allocated by the event that follows the payment: until it came, shipping is refused with 409."""
        headers = {"Authorization": f"Bearer {self.tokens['admin']}", "Idempotency-Key": f"demo-ship-{self.mark}"}
        response = self.http.post("/v1/shipments", json=body, headers=headers)
        return None if response.status_code == 409 else self.checked(response, 201)

    def settle_stock(self) -> None:
        levels = self.ask("supplier", "GET", "/v1/stock", params={"sku": self.sku})["items"]
        on_hand, reserved = (sum(level[name] for level in levels) for name in ("on_hand", "reserved"))
        if (on_hand, reserved) != (_STOCKED - _ORDERED, 0):
            raise StepFailed(f"stock does not add up: {levels}")
        movements = self.ask("supplier", "GET", "/v1/stock-movements", params={"sku": self.sku})["items"]
        self.step("Stock adds up", f"{on_hand} on hand, none reserved, {len(movements)} movements")

    def clear_away(self) -> None:
        self.ask("admin", "POST", f"/v1/products/{self.product_id}/archive")
        _, seconds = self.until("the offer's end", lambda: not self._is_offered())
        self.step("Archived, it is no offer any more", f"{seconds * 1000:.0f} ms")

    def _is_offered(self) -> bool:
        page = self.ask("storefront", "GET", "/v1/shops/main/offers", params={"q": f"lantern {self.mark}"})
        return any(item["slug"] == self.slug for item in page["items"])


def _ms(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1000:.0f} ms"


def demonstrate(url: str | None, credentials_path: Path) -> int:
    """Run the demo; returns the exit code."""
    console = Console(highlight=False)
    try:
        credentials = json.loads(credentials_path.read_text())
    except (OSError, ValueError) as error:
        console.print(f"[red]No credentials:[/] {error}. Start the system with deploy/up, or name --credentials FILE.")
        return 1
    demo = Demo(url or credentials["base_url"], credentials, console)
    try:
        demo.run()
    except StepFailed as failure:
        console.print(f"[red]✗ {demo.steps + 1:2}[/]  {failure}", soft_wrap=True)
        return 1
    except httpx.HTTPError as error:
        console.print(f"[red]✗[/] {demo.base_url} does not answer: {error}", soft_wrap=True)
        return 1
    console.print(f"All {demo.steps} steps are as they should be.")
    return 0
