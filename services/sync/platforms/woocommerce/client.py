"""Requests to a WooCommerce site's REST API: signed as its address wants it, with WordPress's errors told apart.

Over https the keys go by Basic authentication; over plain http WooCommerce takes none but OAuth 1.0a, one-legged, and
its parameters are in the query because many hosts keep the Authorization header from PHP.
https://woocommerce.github.io/woocommerce-rest-api-docs/#authentication
"""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import orjson

from services.sync.errors import (
    AnswerNotUnderstood,
    CredentialsRefused,
    InvalidCredentials,
    PlatformAway,
    PlatformRefused,
)
from services.sync.platforms import oauth1
from services.sync.platforms.base import Account
from services.sync.platforms.http import LONGEST_MESSAGE, Http, checked, document, retry_after, said
from services.sync.platforms.woocommerce.settings import woo_settings
from shared import clock
from shared.outgoing import Answer

V3 = "/wp-json/wc/v3"
SITE = "/wp-json/"
# A request starts all of WordPress: as the polite bucket fills, ten of them a second.
POINTS = 5.0
TIMEOUT_SECONDS = 60.0
_REST_SECONDS = 10
_LONGEST_KEY = 200

JsonObject = dict[str, Any]


class Refused(PlatformRefused):
    """WooCommerce refused with a `code`, and names in `data` what it is about."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.code = str(error.get("code") or "")
        data = error.get("data")
        self.data: Mapping[str, Any] = data if isinstance(data, dict) else {}
        super().__init__(words(error))

    @property
    def owner(self) -> int | None:
        """The id of whatever has the SKU, barcode or name already."""
        found = self.data.get("resource_id")
        return found if isinstance(found, int) and found > 0 else None


@dataclass(frozen=True, slots=True)
class Listed:
    """Some rows of a list. `total` is how many the whole list has; None where a proxy keeps that from us."""

    rows: list[JsonObject]
    total: int | None


class Client:
    """Asks one site. Methods raise PlatformAway, AnswerNotUnderstood, CredentialsRefused, Refused, PlatformRefused.

    A path without a stroke before it is one of WooCommerce's (`products/1`), others are the site's own (`/`).
    """

    def __init__(self, account: Account, http: Http) -> None:
        """Raises InvalidConnectionSettings, InvalidCredentials."""
        self.http = http
        self.settings = woo_settings(account.settings)
        self._keys = oauth1.Keys(
            account.credentials.get("consumer_key", ""), account.credentials.get("consumer_secret", "")
        )
        for key in (self._keys.consumer_key, self._keys.consumer_secret):
            if not 0 < len(key) <= _LONGEST_KEY or not (key.isascii() and key.isprintable()) or ":" in key:
                raise InvalidCredentials("Consumer key or consumer secret is missing, or is none of WooCommerce's.")

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON of a good answer."""
        return document(await self._good("GET", path, params or {}))

    async def list_rows(self, path: str, params: Mapping[str, str]) -> Listed:
        """A page of a list, with the total that its header tells."""
        answer = await self._good("GET", path, params)
        found = document(answer)
        if not isinstance(found, list) or not all(isinstance(row, dict) and "id" in row for row in found):
            raise AnswerNotUnderstood(f"This is not a list of records: {said(answer)[:200]}")
        total = answer.headers.get("x-wp-total", "")
        return Listed(found, int(total) if total.isascii() and total.isdigit() and len(total) < 12 else None)

    async def put(self, path: str, body: JsonObject) -> JsonObject:
        """Change a record. Gives it as it is now."""
        return await self._written("PUT", path, body)

    async def post(self, path: str, body: JsonObject) -> JsonObject:
        """Make a record. Gives it as it is now."""
        return await self._written("POST", path, body)

    async def batch(self, path: str, kind: str, items: Sequence[JsonObject]) -> list[JsonObject]:
        """What came of each item of a batch, in their order: the record as it is now, or one with an `error`.

        Nothing is trimmed: with `_fields` the answer, errors included, comes back empty.
        """
        found = document(await self._good("POST", f"{path}/batch", {}, {kind: list(items)}))
        rows = found.get(kind) if isinstance(found, dict) else None
        if not isinstance(rows, list) or len(rows) != len(items) or not all(isinstance(row, dict) for row in rows):
            raise AnswerNotUnderstood("WooCommerce does not say what came of each item of a batch.")
        return rows

    async def site(self, fields: str) -> JsonObject:
        """What WordPress says of the site; nothing where a plug-in keeps that from those who are not logged in."""
        try:
            found = await self.get("/", {"_fields": fields})
        except (CredentialsRefused, PlatformRefused):
            return {}
        return found if isinstance(found, dict) else {}

    async def may_write(self) -> bool:
        """Whether the key may write: an empty batch changes nothing, and is refused to a key that may only read."""
        answer = await self._send("POST", f"{V3}/products/batch", {}, orjson.dumps({"update": []}))
        if answer.status in (401, 403) and "write" in said(answer):
            return False
        _checked(answer)
        return True

    async def _written(self, method: str, path: str, body: JsonObject) -> JsonObject:
        answer = await self._good(method, path, {}, body)
        found = document(answer)
        if not isinstance(found, dict) or not isinstance(found.get("id") or found.get("tracking_id"), int | str):
            raise AnswerNotUnderstood(f"This is not a record: {said(answer)[:200]}")
        return found

    async def _good(self, method: str, path: str, params: Mapping[str, str], body: JsonObject | None = None) -> Answer:
        full = f"/wp-json{path}" if path.startswith("/") else f"{V3}/{path}"
        content = None if body is None else orjson.dumps(body)
        before = self.http.ahead
        answer = await self._send(method, full, params, content)
        if answer.status == 401 and "timestamp" in said(answer) and self.http.ahead != before:
            # The first answer of a site whose clock is wrong has told what time it takes it to be.
            answer = await self._send(method, full, params, content)
        if answer.status in (429, 503):
            await self.http.budget.rest(retry_after(answer) or _REST_SECONDS)
        return _checked(answer)

    async def _send(self, method: str, path: str, params: Mapping[str, str], content: bytes | None) -> Answer:
        headers = {"Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        target = f"{path}?{urlencode(params, quote_via=quote)}" if params else path
        if path == SITE:
            # Everybody may ask what a site is; WordPress itself takes these keys for a wrong password.
            pass
        elif self.settings.url.startswith("https:"):
            pair = f"{self._keys.consumer_key}:{self._keys.consumer_secret}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            target = self._signed(method, target)
        return await self.http.send(
            method, target, headers=headers, content=content, points=POINTS, timeout_seconds=TIMEOUT_SECONDS
        )

    def _signed(self, method: str, target: str) -> str:
        signed = oauth1.parameters(
            method,
            f"{self.settings.url}{target}",
            self._keys,
            nonce=uuid4().hex,
            timestamp=int((clock.now() + self.http.ahead).timestamp()),
        )
        return f"{target}{'&' if '?' in target else '?'}{urlencode(signed, quote_via=quote)}"


def words(error: Mapping[str, Any]) -> str:
    """An error in WooCommerce's own words, for people; with what it says of each parameter."""
    said_of = error.get("data")
    params = said_of.get("params") if isinstance(said_of, dict) else None
    details = " ".join(map(str, params.values())) if isinstance(params, dict) else ""
    message = html.unescape(str(error.get("message") or error.get("code") or error))
    return f"{message} {details}".strip()[:LONGEST_MESSAGE]


def _checked(answer: Answer) -> Answer:
    """The same answer if it is a good one; what WordPress says with a code is told apart from what others say."""
    if 300 <= answer.status < 400:
        # Over plain http the query that comes back has the signature in it.
        address = answer.headers.get("location", "").partition("?")[0]
        raise PlatformRefused(f"The site is at another address: {address[:200]}")
    if answer.status < 400:
        return answer
    found = answer.document
    is_wordpress = isinstance(found, dict) and "code" in found
    if answer.status == 401 and is_wordpress:
        raise CredentialsRefused(words(found))  # type: ignore[arg-type]
    if answer.status == 403:
        # Without a code it is a firewall before the shop, which says the same to good credentials.
        raise CredentialsRefused(words(found)) if is_wordpress else PlatformAway(said(answer))  # type: ignore[arg-type]
    if answer.status in (400, 404, 409, 413) and is_wordpress:
        raise Refused(found)  # type: ignore[arg-type]
    if answer.status == 404:
        raise PlatformRefused("There is no REST API at this address; are the permalinks other than 'Plain'?")
    return checked(answer)
