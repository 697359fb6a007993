"""Requests to Shopify's Admin GraphQL: within its budget of points, with its three layers of errors told apart.

HTTP statuses are read by `http.py`. Of what stands in an answer of 200, top-level `errors` are raised here; the
`userErrors` of a mutation are given back with its payload, because each kind of write reads them its own way.
https://shopify.dev/docs/api/usage/limits, https://shopify.dev/docs/api/usage/response-codes
"""

from collections.abc import Mapping
from typing import Any

import orjson

from services.sync.errors import AnswerNotUnderstood, CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms.http import LONGEST_MESSAGE, Http, document
from services.sync.platforms.shopify.queries import Document
from shared.outgoing import Answer

VERSION = "2026-10"
PATH = f"/admin/api/{VERSION}/graphql.json"
TOKEN_PATH = "/admin/oauth/access_token"  # noqa: S105
# How often one request is tried again at once when others have spent the points it waited for.
MOST_THROTTLED = 10
TIMEOUT_SECONDS = 60.0
_AWAY = frozenset(("INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE", "THROTTLED"))

JsonObject = dict[str, Any]


class CostsTooMuch(PlatformRefused):
    """One query may not cost that many points: ask for less at once."""


class Client:
    """Asks one shop, with a token it was given or one that it gets for the app's id and secret."""

    def __init__(self, http: Http, credentials: Mapping[str, str]) -> None:
        self.http = http
        self._credentials = credentials
        self._token = credentials.get("access_token") or ""
        self._costs: dict[str, float] = {}

    async def ask(self, asked: Document, variables: Mapping[str, Any] | None = None) -> JsonObject:
        """The `data` of the answer. Raises PlatformAway, AnswerNotUnderstood, CredentialsRefused, PlatformRefused."""
        content = orjson.dumps({"query": asked.text, "variables": variables or {}, "operationName": asked.name})
        points = self._costs.get(asked.name, asked.points)
        for _ in range(MOST_THROTTLED):
            body = await self._post(content, points)
            requested = await self._learn(body)
            if requested is not None:
                points = self._costs[asked.name] = requested
            if not _is_throttled(body):
                return _data(body)
        raise PlatformAway("Shopify's budget of points is spent by others.", retry_after_seconds=10)

    async def _post(self, content: bytes, points: float) -> JsonObject:
        answer = await self._authorized(content, points)
        body = document(answer)
        _check_version(answer)
        if not isinstance(body, dict):
            raise AnswerNotUnderstood(f"Shopify answered with {str(body)[:100]!r}.")
        return body

    async def _authorized(self, content: bytes, points: float) -> Answer:
        """The answer; a token that this client has got itself is got anew once when it is refused."""
        is_new = not self._token
        if is_new:
            await self._get_token()
        answer = await self._send(content, points)
        if answer.status == 401 and self._has_app and not is_new:
            await self._get_token()
            answer = await self._send(content, points)
        return answer

    async def _send(self, content: bytes, points: float) -> Answer:
        headers = {
            "X-Shopify-Access-Token": self._token,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        return await self.http.send(
            "POST", PATH, headers=headers, content=content, points=points, timeout_seconds=TIMEOUT_SECONDS
        )

    @property
    def _has_app(self) -> bool:
        return bool(self._credentials.get("client_id") and self._credentials.get("client_secret"))

    async def _get_token(self) -> None:
        """A token for a day, by the client credentials grant (RFC 6749 §4.4). Raises CredentialsRefused and the rest.

        https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant
        """
        if not self._has_app:
            raise CredentialsRefused("There is neither an access token nor an app's client id and secret.")
        asked = {
            "grant_type": "client_credentials",
            "client_id": self._credentials["client_id"],
            "client_secret": self._credentials["client_secret"],
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        answer = await self.http.send("POST", TOKEN_PATH, headers=headers, content=orjson.dumps(asked), points=0)
        if answer.status in (400, 401, 403):
            raise CredentialsRefused("Shopify gives no token for this client id and secret; is the app installed?")
        body = document(answer)
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            raise AnswerNotUnderstood("Shopify answered without a token.")
        self._token = token

    async def _learn(self, body: JsonObject) -> float | None:
        """Tell the budget what Shopify says is left. Gives what it reckoned the request at."""
        cost = (body.get("extensions") or {}).get("cost")
        if not isinstance(cost, dict):
            return None
        status = cost.get("throttleStatus")
        if isinstance(status, dict):
            await self.http.budget.learn(
                left=float(status["currentlyAvailable"]),
                per_second=float(status["restoreRate"]),
                most=float(status["maximumAvailable"]),
            )
        requested = cost.get("requestedQueryCost")
        return None if requested is None else float(requested)


def user_errors(payload: JsonObject | None, name: str = "userErrors") -> list[JsonObject]:
    """What Shopify finds wrong with what a mutation was given."""
    return list((payload or {}).get(name) or ())


def words(errors: list[JsonObject]) -> str:
    """Errors in Shopify's own words, for people."""
    said = "; ".join(str(error.get("message") or error.get("code") or error) for error in errors)
    return said[:LONGEST_MESSAGE]


def code(error: JsonObject) -> str:
    """The stable code of a top-level error or of a user error; an empty text where it has none."""
    return str((error.get("extensions") or {}).get("code") or error.get("code") or "")


def _is_throttled(body: JsonObject) -> bool:
    errors = body.get("errors")
    return isinstance(errors, list) and any(code(error) == "THROTTLED" for error in errors if isinstance(error, dict))


def _data(body: JsonObject) -> JsonObject:
    """The data of an answer without errors. Half an answer is none: what is missing would look as if it were gone."""
    errors = body.get("errors")
    if not errors:
        data = body.get("data")
        if not isinstance(data, dict):
            raise AnswerNotUnderstood("Shopify answered without data.")
        return data
    if not isinstance(errors, list):
        raise PlatformRefused(str(errors)[:LONGEST_MESSAGE])
    found = [error for error in errors if isinstance(error, dict)]
    said, codes = words(found) or str(errors)[:LONGEST_MESSAGE], {code(error) for error in found}
    if "ACCESS_DENIED" in codes:
        raise CredentialsRefused(said)
    if "MAX_COST_EXCEEDED" in codes:
        raise CostsTooMuch(said)
    if codes & _AWAY:
        raise PlatformAway(said)
    raise PlatformRefused(said)


def _check_version(answer: Answer) -> None:
    """A version that Shopify no longer has is answered in the oldest it has, where words may mean something else."""
    spoken = answer.headers.get("x-shopify-api-version", VERSION)
    if spoken != VERSION:
        raise PlatformRefused(f"Shopify answers in version {spoken} instead of {VERSION}; this software is too old.")
