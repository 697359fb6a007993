"""A whole number is one and a truth value is one, in every body: `true`, "1" and 1.0 are mistakes, and named."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from deploy import topology
from gateway.openapi import api_routes
from shared.bus.envelope import Caller
from tests.doors import Client

pytestmark = pytest.mark.feature("GAT-1")

NO_NUMBERS = (True, "1", 1.0)
NO_TRUTHS = (1, 0, "true", 1.0)
NOBODY = "0192f0c1-7a10-7cc3-8a52-6d1f0a3b9c11"
# Fields that take values of several kinds, or whatever a payment gateway's settings are.
FREE = {"attributes", "settings", "value", "default", "shipping_address", "billing_address"}


def bodies() -> Iterator[tuple[str, Any, Any]]:
    """Every JSON body of the API: its route, how it is read, and its documented example."""
    app = topology.web_application()
    document = app.openapi()
    for route in api_routes(app):
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            if route.body_field is not None and "example" in media:
                reads = TypeAdapter(route.body_field.field_info.annotation)
                yield f"{method} {route.path}", reads, media["example"]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where whole numbers and truth values stand in a JSON value."""
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in FREE:
                yield from places(below, (*at, key))
    elif isinstance(value, int):
        yield at, value


def replaced(value: Any, at: tuple[Any, ...], other: Any) -> Any:
    made = copy.deepcopy(value)
    below = made
    for key in at[:-1]:
        below = below[key]
    below[at[-1]] = other
    return made


def is_taken(reads: TypeAdapter[Any], body: Any) -> bool:
    try:
        reads.validate_python(body)
    except ValidationError:
        return False
    return True


def test_no_body_of_the_api_takes_what_only_looks_like_a_number_or_a_truth() -> None:
    tried, taken = 0, []
    for name, reads, example in bodies():
        for at, value in places(example):
            for other in NO_TRUTHS if isinstance(value, bool) else NO_NUMBERS:
                tried += 1
                if is_taken(reads, replaced(example, at, other)):
                    taken.append(f"{name} {at}: {other!r}")
    assert tried > 80
    assert taken == []


ROUTES = [
    ("POST", "/v1/shipments", {"order_id": NOBODY, "lines": [{"sku": "MUG", "quantity": ...}]}),
    ("PUT", "/v1/prices", {"price_list_id": NOBODY, "prices": [{"sku": "M", "price": None, "minimum_quantity": ...}]}),
    ("POST", "/v1/categories", {"name": "Mugs", "position": ...}),
    (
        "PATCH",
        f"/v1/products/{NOBODY}/channel-content/main",
        {"variants": [{"sku": "MUG", "order_limits": {"minimum": ...}}]},
    ),
    ("POST", f"/v1/fulfilment-centres/{NOBODY}/assign", {"shop": "main", "preference": ...}),
]


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_a_number_that_is_none_is_named_where_it_stands(
    client: Client, merchant: Caller, method: str, path: str, body: Any, number: Any
) -> None:
    [(at, _)] = [(at, value) for at, value in places(_marked(body))]
    answer = await client.request(method, path, json=replaced(body, at, number), headers=client.speaking_as(merchant))
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [each["pointer"].split("/")[-1] for each in answer.json()["errors"]] == [str(at[-1])]


def _marked(body: Any) -> Any:
    """The body with a number where the number belongs."""
    if isinstance(body, dict):
        return {key: _marked(below) for key, below in body.items()}
    return [_marked(below) for below in body] if isinstance(body, list) else 1 if body is ... else body


async def test_a_query_parameter_is_text_and_read_as_a_number(client: Client, merchant: Caller) -> None:
    headers = client.speaking_as(merchant)
    assert (await client.get("/v1/products?first=2", headers=headers)).status_code == 200
    for wrong in ("first=true", "first=1.5", "price_min=1.5", "in_stock=2"):
        answer = await client.get(f"/v1/shops/main/offers?{wrong}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), wrong
    there = await client.get("/v1/shops/main/offers?first=2&price_min=1&in_stock=true", headers=headers)
    assert there.json()["code"] == "shop_not_found"
