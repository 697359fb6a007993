"""Webhooks of Shopify: whose they are, and what they wake (SYN-14)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.sync.platforms.shopify.webhooks import TOPICS, is_genuine, knock
from tests.fakes.shopify import CLIENT_SECRET, ShopifyShop

pytestmark = pytest.mark.feature("SYN-14")


def sent(topic: str, body: dict[str, Any], **given: Any) -> tuple[dict[str, str], bytes]:
    """Headers, in lower case as they arrive, and the raw body."""
    headers, content = ShopifyShop().webhook(topic, body, **given)
    return {name.lower(): value for name, value in headers.items()}, content


def test_signature_is_over_the_raw_bytes() -> None:
    headers, body = sent("orders/create", {"id": 1, "note": "ø"})
    assert is_genuine(body, headers, CLIENT_SECRET)
    assert is_genuine(body, headers, CLIENT_SECRET, datetime(2027, 1, 1, tzinfo=UTC))
    assert not is_genuine(body + b" ", headers, CLIENT_SECRET)
    assert not is_genuine(body, headers, "other")


@pytest.mark.parametrize("given", ["", "x", "ø", "===="])
def test_signature_that_is_none_is_not_believed(given: str) -> None:
    _, body = sent("orders/create", {"id": 1})
    assert not is_genuine(body, {"x-shopify-hmac-sha256": given}, CLIENT_SECRET)
    assert not is_genuine(body, {}, CLIENT_SECRET)


def test_without_a_secret_nothing_is_believed() -> None:
    headers, body = sent("orders/create", {"id": 1}, secret="")
    assert not is_genuine(body, headers, "")


def test_webhook_wakes_the_feeds_of_its_topic() -> None:
    headers, body = sent("inventory_levels/update", {}, event_id="e-7")
    found = knock(body, headers)
    assert (found.event_id, found.feeds) == ("e-7", ("check_stock",))
    headers, body = sent("orders/updated", {})
    assert set(knock(body, headers).feeds) == {"import_orders", "update_orders"}


def test_topic_that_nobody_knows_wakes_nothing() -> None:
    headers, body = sent("shop/redact", {})
    assert knock(body, headers).feeds == ()
    assert knock(b"", {}).feeds == ()


def test_repeated_webhook_has_the_same_event_id() -> None:
    first, again = (sent("orders/create", {"id": 1}, event_id="e-1") for _ in range(2))
    assert knock(first[1], first[0]).event_id == knock(again[1], again[0]).event_id == "e-1"


def test_all_topics_are_words_of_shopify() -> None:
    assert all("/" in topic and topic == topic.lower() for topic in TOPICS)
