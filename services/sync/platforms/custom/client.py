"""Requests of the custom protocol: paths, signatures, budget. What is in the bodies is `mapping.py`'s."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import msgspec
import orjson

from services.sync.errors import InvalidCredentials
from services.sync.platforms.base import Account
from services.sync.platforms.custom.settings import custom_settings
from services.sync.platforms.custom.signing import signature
from services.sync.platforms.http import Http, checked, retry_after
from shared import clock
from shared.outgoing import Answer

# As long as the server says nothing of how long it wants to be left alone.
_REST_SECONDS = 5
_LONGEST_TOKEN = 4000
_POLICY = re.compile(r";\s*q=(\d{1,9})(?:\.\d+)?\s*;\s*w=(\d{1,9})\s*$")
_LEFT = re.compile(r";\s*r=(\d{1,9})\b")


class Client:
    """One account. Methods raise PlatformAway, CredentialsRefused, PlatformRefused."""

    def __init__(self, account: Account, http: Http) -> None:
        """Raises InvalidCredentials."""
        self.http = http
        self._path = urlsplit(custom_settings(account.settings).url).path
        self._token = account.credentials.get("token", "")
        self._secret = account.credentials.get("signing_secret") or None
        if not 0 < len(self._token) <= _LONGEST_TOKEN or not (self._token.isascii() and self._token.isprintable()):
            raise InvalidCredentials("The token is missing, or has characters that no header can carry.")

    async def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> bytes:
        """The body of a good answer."""
        target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        return checked(_in_words(await self._send("GET", target))).body

    async def post(self, path: str, items: Sequence[dict[str, Any]]) -> Answer:
        """The answer, of whatever status, to some writes. Raises AnswerLost when nobody knows whether they arrived."""
        return _in_words(await self._send("POST", path, orjson.dumps({"items": items})))

    async def _send(self, method: str, target: str, content: bytes | None = None) -> Answer:
        answer = await self.http.send(method, target, headers=self.headers(method, target, content), content=content)
        await self._mind_budget(answer)
        return answer

    def headers(self, method: str, target: str, content: bytes | None = None) -> dict[str, str]:
        """What goes with a request: the token, and its signature where requests are signed."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        if self._secret is not None:
            headers |= _signed(self._secret, f"{method} {self._path}{target}", content or b"")
        return headers

    async def _mind_budget(self, answer: Answer) -> None:
        if answer.status == 429:
            await self.http.budget.rest(retry_after(answer) or _REST_SECONDS)
        policy = _POLICY.search(answer.headers.get("ratelimit-policy", ""))
        left = _LEFT.search(answer.headers.get("ratelimit", ""))
        if policy and left and int(policy[1]) and int(policy[2]):
            most = float(policy[1])
            await self.http.budget.learn(left=float(left[1]), per_second=most / int(policy[2]), most=most)


def _signed(secret: str, request: str, content: bytes) -> dict[str, str]:
    message_id, timestamp = uuid4().hex, int(clock.now().timestamp())
    return {
        "Crossdock-Id": message_id,
        "Crossdock-Timestamp": str(timestamp),
        "Crossdock-Signature": signature(secret, message_id, timestamp, request.encode() + b"\n" + content),
    }


class _Problem(msgspec.Struct):
    detail: str | None = None
    title: str | None = None


def _in_words(answer: Answer) -> Answer:
    """A problem document (RFC 9457) as the sentence in it; any other answer as it is."""
    if answer.status < 400 or not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return answer
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return answer
    words = problem.detail or problem.title
    return replace(answer, body=words.encode(errors="replace")) if words else answer
