"""Requests to Magento's REST API: signed or with a token, searches walked to their end, errors in their own words.

HTTP statuses are read by `http.py`. What is searched is walked by a key that grows, never by pages, which drift while
the shop changes. https://developer.adobe.com/commerce/webapi/rest/
"""

import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from services.sync.errors import AnswerNotUnderstood, CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms.http import Http, checked, document
from services.sync.platforms.oauth1 import Keys, authorization
from shared import clock
from shared.outgoing import Answer

# A product save takes a second and more, and each request a process of the shop.
TIMEOUT_SECONDS = 60.0
AT_ONCE = 4
# The most that Magento gives at once where it limits pages, and as many characters of values as any address may have.
MOST_AT_ONCE = 100
MOST_IN_ADDRESS = 3000
_PLACEHOLDER = re.compile(r"%([A-Za-z_]\w*|\d+)")
_LATER = ("deadlock", "lock wait timeout", "try restarting transaction")

JsonObject = dict[str, Any]


class Filter(NamedTuple):
    """One condition of a search."""

    field: str
    condition: str
    value: str


@dataclass(frozen=True, slots=True)
class Found:
    """Some records of a search, and how many there are from the first of these on."""

    items: list[JsonObject]
    total: int | None

    @property
    def is_all(self) -> bool:
        """Whether no more follow. A total that can not be is no word on that."""
        return not self.items or self.total == len(self.items)


class Client:
    """Asks one shop, in one of its scopes."""

    def __init__(self, http: Http, base_url: str, credentials: Mapping[str, str], scope: str = "all") -> None:
        self.http = http
        self._base_url = base_url
        self._credentials = credentials
        self._scope = scope

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. Raises PlatformAway, AnswerNotUnderstood, CredentialsRefused, PlatformRefused."""
        return answered(await self.send("GET", self.path(path, params)))

    async def post(self, path: str, body: object) -> Any:
        """As `get`, and raises AnswerLost."""
        return answered(await self.send("POST", self.path(path), body))

    async def put(self, path: str, body: object) -> Any:
        """As `post`."""
        return answered(await self.send("PUT", self.path(path), body))

    async def search(
        self, path: str, *groups: Sequence[Filter], sort: str = "", size: int = MOST_AT_ONCE, fields: str = ""
    ) -> Found:
        """The first records for which one condition of every group holds, by `sort`. Raises as `get`."""
        body = await self.get(path, criteria(*groups, sort=sort, size=size, fields=fields))
        if not isinstance(body, dict) or "items" not in body:
            raise AnswerNotUnderstood(f"Magento answered a search with {str(body)[:100]!r}.")
        items, total = body["items"] or [], body.get("total_count")
        if not items and total:
            raise AnswerNotUnderstood(f"Magento counts {total} and gives none.")
        return Found(items, total)

    async def walk(
        self, path: str, *groups: Sequence[Filter], by: str, key: str = "", fields: str = ""
    ) -> AsyncIterator[list[JsonObject]]:
        """All that a search has, some at a time, by the field `by`, which is called `key` in the answer."""
        last: str | None = None
        while True:
            beyond = [] if last is None else [[Filter(by, "gt", last)]]
            found = await self.search(path, *groups, *beyond, sort=by, fields=fields)
            if found.items:
                yield found.items
            if found.is_all:
                return
            following = str(found.items[-1][key or by])
            if following == last:
                raise AnswerNotUnderstood(f"Magento gives {path} again and again.")
            last = following

    def path(self, path: str, params: Mapping[str, str] | None = None, prefix: str = "") -> str:
        """A path below the shop's address with its query, percent-encoded as it is sent and signed."""
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in (params or {}).items())
        return f"/rest/{self._scope}{prefix}/V1{path}{'?' if query else ''}{query}"

    async def send(self, method: str, path: str, body: object = None) -> Answer:
        """One request with its whole answer, of whatever status. `path` is as `path` gives it."""
        return await self.http.send(
            method,
            path,
            headers=self.headers(method, path),
            content=None if body is None else orjson.dumps(body),
            timeout_seconds=TIMEOUT_SECONDS,
        )

    def headers(self, method: str, path: str) -> dict[str, str]:
        """What says who asks. Raises CredentialsRefused."""
        given = self._credentials
        token = given.get("access_token") or ""
        if given.get("consumer_key"):
            keys = Keys(
                given["consumer_key"],
                given.get("consumer_secret", ""),
                token,
                given.get("access_token_secret", ""),
            )
            moment = clock.now() + self.http.ahead
            who = authorization(
                method,
                f"{self._base_url}{path}",
                keys,
                nonce=secrets.token_hex(16),
                timestamp=int(moment.timestamp()),
            )
        elif token:
            who = f"Bearer {token}"
        else:
            raise CredentialsRefused("There are neither an integration's four keys nor an access token.")
        return {"Authorization": who, "Content-Type": "application/json", "Accept": "application/json"}


def criteria(*groups: Sequence[Filter], sort: str = "", size: int = MOST_AT_ONCE, fields: str = "") -> dict[str, str]:
    """A search as a query: of every group one condition is to hold."""
    query: dict[str, str] = {}
    for number, group in enumerate(groups):
        for index, each in enumerate(group):
            place = f"searchCriteria[filter_groups][{number}][filters][{index}]"
            query[f"{place}[field]"] = each.field
            query[f"{place}[value]"] = each.value
            query[f"{place}[condition_type]"] = each.condition
    if sort:
        query["searchCriteria[sortOrders][0][field]"] = sort
        query["searchCriteria[sortOrders][0][direction]"] = "ASC"
    query["searchCriteria[pageSize]"] = str(size)
    return query | ({"fields": f"items[{fields}],total_count"} if fields else {})


def any_of(field: str, values: Sequence[str]) -> list[list[Filter]]:
    """Conditions, one search each, that together find all of these values: lists as long as an address may be."""
    searches = [[Filter(field, "eq", value)] for value in values if "," in value]
    some: list[str] = []
    length = 0
    for value in (each for each in values if "," not in each):
        size = len(quote(value, safe="")) + 3
        if some and (len(some) == MOST_AT_ONCE or length + size > MOST_IN_ADDRESS):
            searches.append([Filter(field, "in", ",".join(some))])
            some, length = [], 0
        some.append(value)
        length += size
    return [*searches, [Filter(field, "in", ",".join(some))]] if some else searches


def segment(sku: str) -> str:
    """A SKU as a part of a path. Raises PlatformRefused for one that no address can have."""
    if sku.strip(".") == "":
        raise PlatformRefused(f"The SKU '{sku}' can not stand in an address.")
    return quote(sku, safe="")


def answered(answer: Answer) -> Any:
    """The JSON of a good answer; whatever else is raised as `http.checked` tells it apart, in Magento's words."""
    if answer.status < 300:
        return document(answer)
    words = said(answer)
    if answer.status == 400 and any(each in words.lower() for each in _LATER):
        raise PlatformAway(words)
    checked(Answer(answer.status, answer.headers, words.encode()))
    raise PlatformRefused(words)


def said(answer: Answer) -> str:
    """What is wrong, in Magento's words with their parameters put in; as it came where it is none of Magento's."""
    body = answer.document
    if not isinstance(body, dict) or not isinstance(body.get("message"), str):
        return answer.body.decode(errors="replace")
    more = [each for each in body.get("errors") or () if isinstance(each, dict)]
    messages = [_filled(each) for each in (body, *more)]
    return " ".join(dict.fromkeys(messages))


def _filled(error: JsonObject) -> str:
    """A message whose `%1` and `%name` are taken from its parameters: a list goes by places, also for names."""
    parameters = error.get("parameters") or {}
    unnamed = iter(parameters if isinstance(parameters, list) else ())

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if isinstance(parameters, dict):
            return str(parameters.get(name, found[0]))
        if name.isdigit():
            place = int(name) - 1
            return str(parameters[place]) if 0 <= place < len(parameters) else found[0]
        return str(next(unnamed, found[0]))

    return _PLACEHOLDER.sub(value, str(error.get("message") or ""))
