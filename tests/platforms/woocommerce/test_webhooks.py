"""Webhooks of WooCommerce: whose they are, what they wake, and the ping that nobody signs (SYN-14)."""

from datetime import UTC, datetime

import pytest

from services.sync.platforms.woocommerce.webhooks import TOPICS, is_genuine, knock
from tests.fakes.woocommerce import WEBHOOK_SECRET, WooShop
from tests.platforms.woocommerce.recordings import Exchange, exchanges, needs_data

pytestmark = pytest.mark.feature("SYN-14")
# From the note beside the recorded deliveries.
RECORDED_SECRET = "whsec-1795324201"
DELIVERIES = [each for each in exchanges() if each.is_delivery]


@needs_data
@pytest.mark.parametrize("delivery", DELIVERIES, ids=lambda each: each.name)
def test_recorded_deliveries_and_pings_are_genuine(delivery: Exchange) -> None:
    body, headers = delivery.request["body"].encode(), delivery.request["headers"]
    assert is_genuine(body, headers, RECORDED_SECRET, datetime(2027, 1, 1, tzinfo=UTC))
    is_ping = body.startswith(b"webhook_id=")
    assert is_genuine(body, headers, "other") is is_ping
    assert bool(knock(body, headers).feeds) is not is_ping


def test_ping_wakes_nothing_whoever_sends_it() -> None:
    assert is_genuine(b"webhook_id=5", {}, WEBHOOK_SECRET)
    assert knock(b"webhook_id=5", {"x-wc-webhook-topic": "order.updated"}).feeds == ()
    assert knock(b"webhook_id=5", {}).event_id == knock(b"webhook_id=6", {}).event_id


@pytest.mark.parametrize("body", [b"", b"webhook_id=", b"webhook_id=5&a=b", b"webhook_id=x", b'{"id": 1}'])
def test_what_only_looks_like_a_ping_is_none(body: bytes) -> None:
    assert not is_genuine(body, {}, WEBHOOK_SECRET)


def test_ping_with_a_signature_is_looked_at_like_everything() -> None:
    assert not is_genuine(b"webhook_id=5", {"x-wc-webhook-signature": "AAAA"}, WEBHOOK_SECRET)


def test_without_a_secret_nothing_is_believed() -> None:
    headers, body = WooShop().webhook("order.updated", {"id": 1}, secret="")
    assert not is_genuine(body, headers, "")
    assert not is_genuine(b"webhook_id=5", {}, "")


def test_webhook_wakes_the_feeds_of_its_topic_and_an_unknown_one_none() -> None:
    headers, body = WooShop().webhook("product.updated", {"id": 1}, "d-7")
    assert knock(body, headers).event_id == "d-7"
    assert set(knock(body, headers).feeds) == {"import_products", "update_products", "import_images"}
    headers, body = WooShop().webhook("coupon.created", {"id": 1})
    assert knock(body, headers).feeds == ()
    assert knock(b"", {}).feeds == ()
    assert all("." in topic for topic in TOPICS)
