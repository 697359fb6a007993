"""Webhooks of Shopify: whose they are, and what they wake (SYN-14)."""

import pytest

from services.sync.platforms.shopify.webhooks import TOPICS, is_genuine, webhook
from tests.fakes.shopify import CLIENT_SECRET, ShopifyShop

pytestmark = pytest.mark.feature("SYN-14")


def test_signature_is_over_the_raw_bytes() -> None:
    headers, body = ShopifyShop().webhook("orders/create", {"id": 1, "note": "ø"})
    assert is_genuine(CLIENT_SECRET, headers, body)
    assert is_genuine(CLIENT_SECRET, {name.lower(): value for name, value in headers.items()}, body)
    assert not is_genuine(CLIENT_SECRET, headers, body + b" ")
    assert not is_genuine("other", headers, body)


@pytest.mark.parametrize("given", ["", "x", "ø", "===="])
def test_signature_that_is_none_is_not_believed(given: str) -> None:
    _, body = ShopifyShop().webhook("orders/create", {"id": 1})
    assert not is_genuine(CLIENT_SECRET, {"X-Shopify-Hmac-SHA256": given}, body)
    assert not is_genuine(CLIENT_SECRET, {}, body)


def test_without_a_secret_nothing_is_believed() -> None:
    headers, body = ShopifyShop().webhook("orders/create", {"id": 1}, secret="")
    assert not is_genuine("", headers, body)


def test_webhook_wakes_the_feeds_of_its_topic() -> None:
    headers, _ = ShopifyShop().webhook("inventory_levels/update", {}, event_id="e-7")
    found = webhook(headers)
    assert (found.event_id, found.shop, found.feeds) == ("e-7", "tests.myshopify.com", ("import_stock",))
    assert set(webhook(ShopifyShop().webhook("orders/updated", {})[0]).feeds) == {"import_orders", "update_orders"}


def test_topic_that_nobody_knows_wakes_nothing() -> None:
    found = webhook(ShopifyShop().webhook("shop/redact", {})[0])
    assert (found.topic, found.feeds) == ("shop/redact", ())


def test_repeated_webhook_has_the_same_event_id() -> None:
    first, again = (ShopifyShop().webhook("orders/create", {"id": 1}, event_id="e-1")[0] for _ in range(2))
    assert webhook(first).event_id == webhook(again).event_id == "e-1"


def test_all_topics_are_words_of_shopify() -> None:
    assert all("/" in topic and topic == topic.lower() for topic in TOPICS)
