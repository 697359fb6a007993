"""How WooCommerce is asked: keys by Basic or OAuth 1.0a, and what its errors and those of others before it mean."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from services.sync.errors import (
    AnswerNotUnderstood,
    CredentialsRefused,
    InvalidConnectionSettings,
    InvalidCredentials,
    PlatformAway,
    PlatformRefused,
)
from services.sync.platforms import oauth1
from services.sync.platforms.base import Account, Scan
from services.sync.platforms.woocommerce.client import Client, Refused
from services.sync.platforms.woocommerce.platform import WooCommerce
from shared.outgoing import Answer
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import Purse, product, session_with
from tests.platforms.woocommerce.recordings import needs_data, recorded

pytestmark = pytest.mark.feature("SYN-1", "SYN-12")
KEYS = {"consumer_key": "ck_1", "consumer_secret": "cs_2"}


class Told:
    """An `Http` whose answers are told beforehand."""

    def __init__(self, *answers: Answer) -> None:
        self.budget, self.ahead = Purse(), timedelta()
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []

    async def send(self, method: str, path: str, *, headers: Mapping[str, str], **_: Any) -> Answer:
        self.asked.append((method, path, headers))
        return self.answers.pop(0)


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, body if isinstance(body, bytes) else orjson.dumps(body))


def client(http: Told, url: str = "https://shop.example") -> Client:
    return Client(Account({"url": url}, KEYS), http)  # type: ignore[arg-type]


async def test_keys_go_by_basic_over_https_and_are_in_no_address() -> None:
    http = Told(answer({"id": 1}))
    await client(http).get("products/1", {"_fields": "id,sku"})
    ((method, path, headers),) = http.asked
    assert (method, path) == ("GET", "/wp-json/wc/v3/products/1?_fields=id%2Csku")
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'ck_1:cs_2').decode()}"


async def test_keys_are_not_given_to_wordpress_itself() -> None:
    """It takes them for a name and a wrong password; and where it says nothing of the site that is no fault."""
    http = Told(answer({"name": "Quay"}), answer({"code": "rest_login_required", "message": "Only members"}, 401))
    asking = client(http)
    assert (await asking.site("name"), await asking.site("name")) == ({"name": "Quay"}, {})
    assert all("Authorization" not in headers and "oauth" not in path for _, path, headers in http.asked)


async def test_requests_are_signed_over_plain_http_and_carry_no_secret() -> None:
    http = Told(answer([]), answer([]))
    asking = client(http, "http://shop.example/of/wool")
    await asking.list_rows("products", {"search": "a b&c=ü"})
    await asking.list_rows("products", {"search": "a b&c=ü"})
    (_, first, headers), (_, second, _) = http.asked
    assert "Authorization" not in headers
    given = dict(parse_qsl(urlsplit(first).query))
    signature = given.pop("oauth_signature")
    base = oauth1.base_string("GET", "http://shop.example/of/wool/wp-json/wc/v3/products", given)
    assert signature == oauth1.signature(base, oauth1.Keys("ck_1", "cs_2"), "sha256")
    assert given["oauth_nonce"] != dict(parse_qsl(urlsplit(second).query))["oauth_nonce"]
    assert "cs_2" not in first


@needs_data
def test_signature_is_the_one_that_a_real_site_took() -> None:
    query = recorded("01", 7).request["query"]
    signed = oauth1.parameters(
        "GET",
        f"http://127.0.0.1:3904/wp-json/wc/v3/products?per_page={query['per_page']}&_fields={query['_fields']}",
        oauth1.Keys(query["oauth_consumer_key"], "cs_" + "b2" * 20),
        nonce=query["oauth_nonce"],
        timestamp=int(query["oauth_timestamp"]),
    )
    assert signed["oauth_signature"] == query["oauth_signature"]


async def test_site_takes_either_way_and_neither_in_the_others_place(woo: WooShop) -> None:
    woo.put_product(*product(1))
    async with session_with(woo) as session:
        assert len(await session.read("product", ["1"])) == 1
    woo.credentials = {**woo.credentials, "consumer_secret": "cs_wrong"}
    async with session_with(woo) as session:
        with pytest.raises(CredentialsRefused, match="Invalid signature"):
            await session.read("product", ["1"])


async def test_site_whose_clock_is_wrong_is_signed_for_by_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    late = {"code": "woocommerce_rest_authentication_error", "message": "Invalid timestamp.", "data": {"status": 401}}
    http = Told(answer(late, 401), answer({"id": 1}))
    send = http.send

    async def learning(*args: Any, **given: Any) -> Answer:
        http.ahead = timedelta(hours=1)
        return await send(*args, **given)

    monkeypatch.setattr(http, "send", learning)
    await client(http, "http://shop.example").get("products/1")
    first, second = (int(dict(parse_qsl(urlsplit(path).query))["oauth_timestamp"]) for _, path, _ in http.asked)
    assert 3590 <= second - first <= 3610


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"code": "woocommerce_rest_cannot_view", "message": "Sorry"}, CredentialsRefused),
        (403, {"code": "woocommerce_rest_cannot_view", "message": "Sorry"}, CredentialsRefused),
        (403, b"<html>Your request looked strange</html>", PlatformAway),
        (404, {"code": "rest_no_route", "message": "No route"}, Refused),
        (404, b"<html>Nothing here</html>", PlatformRefused),
        (400, {"code": "rest_invalid_param", "message": "Invalid parameter(s): price"}, Refused),
        (413, {"code": "woocommerce_rest_request_entity_too_large", "message": "Unable"}, Refused),
        (429, b"", PlatformAway),
        (500, {"code": "internal_server_error", "message": "<p>A critical error</p>"}, PlatformAway),
        (503, b"<html>Briefly unavailable for scheduled maintenance</html>", PlatformAway),
        (200, b"<html>One moment</html>", AnswerNotUnderstood),
        (200, {"id": 1}, AnswerNotUnderstood),
        (200, [{"name": "no id"}], AnswerNotUnderstood),
        (301, b"", PlatformRefused),
    ],
)
async def test_errors_are_told_apart(status: int, body: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await client(Told(answer(body, status))).list_rows("products", {})


async def test_address_that_a_site_moved_to_is_told_without_what_a_request_was_signed_with() -> None:
    http = Told()

    async def moved(_: str, path: str, **__: Any) -> Answer:
        return answer(b"", 301, location=f"https://shop.example{path}")

    http.send = moved  # type: ignore[method-assign]
    with pytest.raises(PlatformRefused) as raised:
        await client(http, "http://shop.example").list_rows("products", {"search": "x"})
    assert raised.value.detail == "The site is at another address: https://shop.example/wp-json/wc/v3/products"


async def test_error_is_given_in_its_own_words_with_its_parameters() -> None:
    said = {
        "code": "rest_invalid_param",
        "message": "Invalid parameter(s): a &amp; b",
        "data": {"status": 400, "params": {"a": "a is not of type string."}},
    }
    with pytest.raises(Refused, match=r"^Invalid parameter\(s\): a & b a is not of type string\.$"):
        await client(Told(answer(said, 400))).get("products")


async def test_platform_that_asks_for_it_is_left_alone() -> None:
    http = Told(answer(b"", 429, **{"retry-after": "40"}))
    with pytest.raises(PlatformAway) as raised:
        await client(http).get("products")
    assert (http.budget.rested, raised.value.retry_after_seconds) == ([40], 40)


async def test_batch_that_does_not_answer_for_every_item_is_not_understood() -> None:
    """Trimmed by `_fields`, or given as a list, WooCommerce does the work and answers with nothing."""
    for body in ([], {"update": []}, {"create": [{"id": 1}]}, {"update": [None]}):
        with pytest.raises(AnswerNotUnderstood):
            await client(Told(answer(body))).batch("products", "update", [{"id": 1}])


async def test_key_that_may_only_read_is_told_and_nothing_is_tried(woo: WooShop) -> None:
    woo.doorman.may_write = False
    async with session_with(woo) as session:
        assert (await session.greet()).missing == ["write"]
    woo.doorman.may_write = True
    async with session_with(woo) as session:
        greeting = await session.greet()
    assert (greeting.missing, greeting.currency, woo.writes) == ([], "EUR", [])
    assert greeting.order_statuses == list(greeting.proposed_statuses)
    assert greeting.proposed_statuses["processing"] == "import"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "shop.example"},
        {"url": "ftp://shop.example"},
        {"url": "https://"},
        {"url": "https://user:pass@shop.example"},
        {"url": "https://shop.example/?a=b"},
        {"url": "https://shop.example/wp-json"},
        {"url": "https://shop.example", "page_size": 101},
        {"url": "https://shop.example", "colour": "red"},
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidConnectionSettings):
        WooCommerce().check_settings(settings)


@pytest.mark.parametrize("key", ["", "ck_\n", "ck_ü", "a:b", "x" * 300])
def test_keys_that_are_none_are_refused(key: str) -> None:
    with pytest.raises(InvalidCredentials):
        Client(Account({"url": "https://shop.example"}, {**KEYS, "consumer_key": key}), Told())  # type: ignore[arg-type]


async def test_there_are_no_suppliers(woo: WooShop) -> None:
    async with session_with(woo) as session:
        with pytest.raises(PlatformRefused):
            await session.page(Scan("supplier"))
        with pytest.raises(PlatformRefused):
            await session.read("supplier", ["1"])
