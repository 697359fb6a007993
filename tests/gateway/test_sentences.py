"""What is wrong with a request is said so that a person can act on it: no patterns, no words of a library."""

from typing import Any

import pytest

from shared.bus.envelope import Caller
from tests.doors import Client

pytestmark = pytest.mark.feature("GAT-1")

ORDER = {
    "shop": "main",
    "lines": [{"sku": "MUG-BLUE", "quantity": 1}],
    "customer": {"email": "ada@example.com", "name": "Ada"},
    "shipping_address": {"line1": "1 Quay", "city": "Portsea", "postal_code": "1", "country": "US"},
}
SHOP = {"code": "main", "name": "Main", "currency": "USD", "locale": "en-US"}
JARGON = (
    *("pattern", "^", "Value error", "Input", "valid string", "too short", "dictionary", "parse"),
    *("Field required", "should have", "should be", "String", "List", "instance of", "tuple"),
)


def ordered(**parts: Any) -> dict[str, Any]:
    return ORDER | {name: ORDER[name] | value if isinstance(value, dict) else value for name, value in parts.items()}  # type: ignore[operator]


def jargon_in(problem: dict[str, Any]) -> list[str]:
    said = [problem["detail"], *(each["message"] for each in problem["errors"])]
    return [word for word in JARGON if any(word in sentence for sentence in said)]


@pytest.mark.parametrize(
    ("path", "body", "pointer", "code", "sentence"),
    [
        (
            "orders",
            ordered(customer={"email": "nobody"}),
            "/body/customer/email",
            "string_pattern_mismatch",
            "It does not have the form it needs, such as ada@example.com",
        ),
        (
            "orders",
            ordered(shipping_address={"country": "U5"}),
            "/body/shipping_address/country",
            "string_pattern_mismatch",
            "It does not have the form it needs, such as US",
        ),
        (
            "orders",
            ordered(shop="a\0"),
            "/body/shop",
            "string_pattern_mismatch",
            "Control characters are not allowed",
        ),
        (
            "orders",
            ordered(lines=[{"sku": "MUG-BLUE", "quantity": "1"}]),
            "/body/lines/0/quantity",
            "int_type",
            "Give a whole number, as 3, without quotation marks",
        ),
        (
            "orders",
            ordered(quote_id="x"),
            "/body/quote_id",
            "uuid_parsing",
            "Give an id as 0192f0c1-7d3a-7e3c-9b1a-2f6d5c4b3a29",
        ),
        ("orders", ordered(customer=7), "/body/customer", "model_attributes_type", "Give an object"),
        (
            "shops",
            SHOP | {"currency": "XXQ"},
            "/body/currency",
            "value_error",
            "'XXQ' is not an ISO 4217 currency code",
        ),
        (
            "shops",
            SHOP | {"code": "No Code"},
            "/body/code",
            "string_pattern_mismatch",
            "It does not have the form it needs, such as main",
        ),
        ("shops", SHOP | {"nmae": "x"}, "/body/nmae", "extra_forbidden", "There is no such field here"),
        (
            "api-clients",
            {"name": "till", "scopes": ["catalog:read"], "expires_at": "2030-01-01T00:00:00"},
            "/body/expires_at",
            "timezone_aware",
            "Give the time zone, too, as in 2026-03-01T00:00:00Z or 2026-03-01T00:00:00+01:00",
        ),
    ],
)
async def test_a_body_is_refused_in_words(
    client: Client, merchant: Caller, path: str, body: dict[str, Any], pointer: str, code: str, sentence: str
) -> None:
    headers = client.speaking_as(merchant)
    answer = await client.post(f"/v1/{path}", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
    assert {"pointer": pointer, "code": code, "message": sentence} in answer.json()["errors"]
    assert not jargon_in(answer.json())


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("audit-log?from=yesterday", "datetime_from_date_parsing", "Give a date and time as 2026-03-01T00:00:00Z"),
        ("orders?from=yesterday", "datetime_from_date_parsing", "Give a date and time as 2026-03-01T00:00:00Z"),
        ("products?first=many", "int_parsing", "Give a whole number, as 3"),
        ("products?first=0", "greater_than_equal", "Give 1 or more"),
        ("stock?low=perhaps", "bool_parsing", "Give true or false"),
        ("shops/main-street", "uuid_parsing", "Give an id as 0192f0c1-7d3a-7e3c-9b1a-2f6d5c4b3a29"),
        ("shops/main/offers?first=many", "int_parsing", "Give a whole number, as 3"),
        ("shops/main/offers?sort=cheapest", "literal_error", "Give 'relevance', "),
        ("shops/main/offer-suggestions", "missing", "It is missing"),
        (f"shops/main/offers?q={'x' * 301}", "string_too_long", "At most 300 characters"),
        ("shops/main/offers?brand=", "string_too_short", "It is empty"),
        (f"shops/{'x' * 64}/offers", "string_too_long", "At most 63 characters"),
    ],
)
async def test_a_parameter_is_refused_in_words(
    client: Client, merchant: Caller, path: str, code: str, sentence: str
) -> None:
    answer = await client.get(f"/v1/{path}", headers=client.speaking_as(merchant))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "validation_failed"), answer.text
    assert [(each["code"], each["message"][: len(sentence)]) for each in problem["errors"]] == [(code, sentence)]
    assert not jargon_in(answer.json())


async def test_graphql_says_the_same(client: Client, merchant: Caller) -> None:
    asked = (
        'mutation { createShop(code: "No Code", name: "x", currency: "XXQ", locale: "en") {'
        " ... on Problem { code detail errors } } }"
    )
    answer = await client.post("/graphql", json={"query": asked}, headers=client.speaking_as(merchant))
    problem = answer.json()["data"]["createShop"]
    assert [(each["pointer"], each["message"]) for each in problem["errors"]] == [
        ("/code", "It does not have the form it needs, such as main"),
        ("/currency", "'XXQ' is not an ISO 4217 currency code"),
    ]
    assert not jargon_in(problem)


async def test_rows_are_refused_in_words(client: Client, merchant: Caller) -> None:
    headers = client.speaking_as(merchant)
    rows = [{"sku": "A", "on_hand": "3"}, {"sku": "A\0", "on_hand": 3}, {"sku": "A", "on_hand": 3, "as_of": "noon"}]
    answer = await client.post("/v1/stock/bulk", json=rows, headers=headers)
    assert [each["message"] for each in answer.json()["results"]] == [
        "on_hand: Give a whole number, as 3, without quotation marks",
        "sku: Control characters are not allowed",
        "as_of: Give a date and time as 2026-03-01T00:00:00Z",
    ]
