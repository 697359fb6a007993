"""A server of the custom protocol as a system: one that stands behind the same firewall, and is only passed on to."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson

from deploy.agent.source import Failure, Item, NoAccess, NotNow, Refused, Source, Unclear
from services.sync.platforms.http import how_far_ahead, retry_after, server_time
from shared.outgoing import Answer

_TIMEOUT_SECONDS = 60.0
_MOST_WORDS = 1000


class RelaySource(Source):
    """The server at `address`, to which `token` is the key."""

    def __init__(self, address: str, token: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._http = httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False, transport=transport)
        self._address = address.rstrip("/")

    async def hello(self) -> Item:
        return await self._send("GET", "/hello")

    async def page(self, asked: Mapping[str, Any]) -> Item:
        known = [(name, str(asked[name])) for name in ("limit", "since", "until", "after") if asked[name] is not None]
        return await self._send("GET", f"/{asked['list']}", known)

    async def read(self, asked: Mapping[str, Any]) -> Item:
        query = [*(("id", each) for each in asked["ids"]), ("limit", str(len(asked["ids"])))]
        return await self._send("GET", f"/{asked['list']}", query)

    async def write(self, name: str, item: Mapping[str, Any]) -> Item:
        answer = await self._send("POST", f"/{name}", body={"items": [item]})
        try:
            (result,) = answer["results"]
        except (KeyError, ValueError, TypeError):
            raise Unclear("The server did not say what became of the write.") from None
        return dict(result)

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, method: str, path: str, query: Sequence[tuple[str, str]] = (), body: Any = None) -> Item:
        url = f"{self._address}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        content = None if body is None else orjson.dumps(body)
        try:
            response = await self._http.request(
                method, url, content=content, headers={"Content-Type": "application/json"} if content else None
            )
        except httpx.ConnectError as error:
            raise NotNow(f"The server can not be reached: {error}") from error
        except httpx.HTTPError as error:
            raise Unclear(f"The server did not answer: {error or type(error).__name__}") from error
        self.ahead = how_far_ahead(server_time(_plain(response)), self.ahead)
        if response.status_code >= 300:
            raise _failure(response)
        try:
            answer = orjson.loads(response.content)
        except ValueError:
            raise Unclear(f"The server answered with what is no JSON: {response.text[:_MOST_WORDS]}") from None
        if not isinstance(answer, dict):
            raise Unclear("The server answered with what is no object.")
        return answer


def _failure(response: httpx.Response) -> Failure:
    """As the custom protocol has it, by the status."""
    words = f"{response.status_code} {response.text[:_MOST_WORDS]}".strip()
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        words = str(response.json().get("detail") or words)
    if response.status_code in (401, 403):
        return NoAccess(words)
    if response.status_code in (429, 503):
        return NotNow(words, retry_after(_plain(response)))
    return Unclear(words) if response.status_code >= 500 else Refused(words)


def _plain(response: httpx.Response) -> Answer:
    """Its status and headers."""
    return Answer(response.status_code, dict(response.headers), b"")
