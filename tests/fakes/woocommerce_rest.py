"""The REST API of a WooCommerce site: who may ask, lists, trimming, batches, errors."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse

from shared import clock
from tests.fakes.woocommerce_saving import Refusal

JsonObject = dict[str, Any]
KEY, SECRET = "ck_" + "a1" * 20, "cs_" + "b2" * 20
_OLDEST_SECONDS = 900
MOST_ITEMS = 100


def refused(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.body, refusal.status)


def no_route() -> Refusal:
    return Refusal(404, "rest_no_route", "No route was found matching the URL and request method.")


class Doorman:
    """Checks keys: Basic over https alone, over plain http OAuth 1.0a with a nonce that was never used."""

    def __init__(self) -> None:
        self.may_write = True
        self.ahead_seconds = 0.0
        self._nonces: set[str] = set()

    def check(self, request: Request) -> None:
        if not self._is_known(request):
            raise Refusal(401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
        if request.method != "GET" and not self.may_write:
            raise _unauthenticated("The API key provided does not have write permissions.")

    def _is_known(self, request: Request) -> bool:
        query = request.query_params
        if request.headers.get("x-forwarded-proto") == "https":
            pair = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
            return request.headers.get("authorization") == f"Basic {pair}"
        if query.get("oauth_consumer_key") != KEY:
            return False
        if not hmac.compare_digest(query.get("oauth_signature", ""), self._signature(request)):
            raise _unauthenticated("Invalid signature - provided signature does not match.")
        now = clock.now().timestamp() + self.ahead_seconds
        if abs(now - int(query.get("oauth_timestamp", "0"))) > _OLDEST_SECONDS:
            raise _unauthenticated("Invalid timestamp.")
        if query["oauth_nonce"] in self._nonces:
            raise _unauthenticated("Invalid nonce - nonce has already been used.")
        self._nonces.add(query["oauth_nonce"])
        return True

    def _signature(self, request: Request) -> str:
        """As WC_REST_Authentication makes it: every name and value encoded twice, sorted, joined by an encoded &."""
        pairs = sorted(
            (_rfc3986(name), _rfc3986(value))
            for name, value in request.query_params.multi_items()
            if name != "oauth_signature"
        )
        joined = "%26".join(_rfc3986(f"{name}={value}") for name, value in pairs)
        address = f"{request.url.scheme}://{request.url.netloc}{request.scope['raw_path'].decode()}"
        base = f"{request.method}&{_rfc3986(address)}&{joined}"
        return base64.b64encode(hmac.new(f"{SECRET}&".encode(), base.encode(), hashlib.sha256).digest()).decode()


def _rfc3986(text: str) -> str:
    return quote(text, safe="-._~")


def _unauthenticated(message: str) -> Refusal:
    return Refusal(401, "woocommerce_rest_authentication_error", message)


def listing(request: Request, nodes: Iterable[JsonObject], hidden: Collection[int] = ()) -> JSONResponse:
    """A page of these, filtered, sorted and counted as the query says; what is hidden is counted and left out."""
    query = request.query_params
    found = [node for node in nodes if _is_asked(node, query)]
    by = query.get("orderby", "date")
    if by == "modified":
        # Of one second nobody promises an order.
        found.sort(key=lambda node: (node["date_modified_gmt"] or "", -node["id"]))
    else:
        found.sort(key=lambda node: node["id"])
    if query.get("order", "desc") == "desc":
        found.reverse()
    size, page = int(query.get("per_page", 10)), int(query.get("page", 1))
    if not 1 <= size <= 100:
        message = "per_page must be between 1 (inclusive) and 100 (inclusive)"
        raise Refusal(400, "rest_invalid_param", "Invalid parameter(s): per_page", params={"per_page": message})
    start = int(query.get("offset", (page - 1) * size))
    rows = [trimmed(request, node) for node in found[start : start + size] if node["id"] not in hidden]
    totals = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(-(-len(found) // size))}
    return JSONResponse(rows, headers=totals)


def _is_asked(node: JsonObject, query: Any) -> bool:
    changed = _second(node.get("date_modified_gmt"))
    if query.get("dates_are_gmt") != "true" and changed.year > 1:
        # The shop's own time, which is another.
        changed += timedelta(hours=2)
    tests: list[tuple[str, Callable[[str], bool]]] = [
        ("include", lambda value: str(node["id"]) in value.split(",")),
        ("parent", lambda value: str(node["parent_id"]) in value.split(",")),
        ("slug", lambda value: node["slug"] == value),
        ("search", lambda value: value.lower() in node["name"].lower()),
        ("sku", lambda value: not value or node["sku"].lower() in value.lower().split(",")),
        ("status", lambda value: value == "any" or node.get("status") in value.split(",")),
        ("modified_after", lambda value: changed > _second(value)),
        ("modified_before", lambda value: changed < _second(value)),
    ]
    return all(test(query[name]) for name, test in tests if name in query)


def _second(text: str | None) -> datetime:
    if text is None:
        return datetime.min.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = "Invalid parameter(s): modified_after"
        raise Refusal(400, "rest_invalid_param", message, params={"modified_after": "Invalid date."}) from None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def trimmed(request: Request, node: JsonObject) -> JsonObject:
    """What of a record is asked for; its links come in any case."""
    path = f"{request.url.path}/{node.get('id')}"
    links = {"self": [{"href": str(request.url.replace(path=path, query=""))}]}
    wanted = request.query_params.get("_fields")
    names = wanted.split(",") if wanted else list(node)
    return {name: node[name] for name in names if name in node} | {"_links": links}


def items_of(body: Any) -> dict[str, list[JsonObject]] | None:
    """The items of a batch by kind; None for what is none and answered with nothing."""
    if not isinstance(body, dict) or not body:
        return None
    if sum(map(len, body.values())) > MOST_ITEMS:
        message = f"Unable to accept more than {MOST_ITEMS} items for this request."
        raise Refusal(413, "woocommerce_rest_request_entity_too_large", message)
    return body
