"""Requests to PrestaShop's webservice: rows come as JSON, writes go as XML, and errors are told by their codes.

The shop answers with 500 to much that is the request's own fault, and lists notices of PHP among the errors. So what is
refused is read from the codes; a problem inside PHP says nothing of whether something was done, and is tried again by
writes that look first. https://devdocs.prestashop-project.org/8/webservice/
"""

import asyncio
import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.sync.errors import AnswerNotUnderstood, CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms import http
from services.sync.platforms.http import LONGEST_MESSAGE, Http
from services.sync.platforms.prestashop import xml
from services.sync.platforms.prestashop.xml import Element
from shared.outgoing import Answer

JsonObject = dict[str, Any]

# Each request is a process of its own over there.
AT_ONCE = 4
TIMEOUT_SECONDS = 60.0
# Ids that one filter names: an address has some 8,000 characters.
MOST_IDS = 200
# Codes up to this are those of PHP itself.
_LAST_OF_PHP = 16
_NO_KEY = frozenset((17, 18, 19, 20, 21, 22))
_NO_RIGHT = frozenset((25, 26))
_HARMLESS = re.compile(r"\[PHP (Notice|Deprecated|Strict)")
_LATER = frozenset((408, 423, 425, 429, 502, 503, 504))
_NODES = {
    "addresses": "address",
    "categories": "category",
    "countries": "country",
    "currencies": "currency",
    "order_histories": "order_history",
}


def node_of(resource: str) -> str:
    """What one record of a resource is called."""
    return _NODES.get(resource) or resource.removesuffix("s")


class Client:
    """Asks one shop with one key."""

    def __init__(self, http_: Http, key: str, shop_id: int | None) -> None:
        self.http = http_
        self._headers = {"Authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}
        self._of_shop = {} if shop_id is None else {"id_shop": str(shop_id)}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._version = ""

    @property
    def version(self) -> str:
        """What the shop says it is, as `8.2.1`; an empty text before it has said so."""
        return self._version

    @property
    def can_patch(self) -> bool:
        """Whether the shop changes single fields: PrestaShop does since 8.0."""
        major = self._version.partition(".")[0]
        return major.isdigit() and int(major) >= 8

    async def rows(
        self,
        resource: str,
        display: str = "full",
        *,
        filters: Mapping[str, str] | None = None,
        sort: str = "[id_ASC]",
        most: int | None = None,
        language: int | None = None,
    ) -> list[JsonObject]:
        """Rows of a resource. Raises PlatformAway, AnswerNotUnderstood, CredentialsRefused, PlatformRefused."""
        params = {"output_format": "JSON", "display": display, "sort": sort}
        params |= {f"filter[{name}]": value for name, value in (filters or {}).items()}
        if "date_" in sort or any(name.startswith("date_") for name in filters or ()):
            params["date"] = "1"
        if most is not None:
            params["limit"] = f"0,{most}"
        if language is not None:
            params["language"] = str(language)
        return rows_of(await self._send("GET", f"/api/{resource}", params), resource)

    async def by_ids(
        self, resource: str, ids: Iterable[str], display: str = "full", *, name: str = "id", language: int | None = None
    ) -> list[JsonObject]:
        """All rows whose field `name` is one of these ids; what is no id names nothing."""
        wanted = sorted({each for each in ids if each.isascii() and each.isdigit() and each != "0"}, key=int)
        found: list[JsonObject] = []
        for start in range(0, len(wanted), MOST_IDS):
            filters = {name: f"[{'|'.join(wanted[start : start + MOST_IDS])}]"}
            found += await self.rows(resource, display, filters=filters, language=language)
        return found

    async def whole(self, resource: str, external_id: str) -> Element | None:
        """One record with all its languages, in XML; None where there is none."""
        answer = await self._send("GET", f"/api/{resource}/{external_id}", {})
        if answer.status == 404 and not answer.body.strip():
            return None
        return record_of(checked(answer), node_of(resource))

    async def make(self, resource: str, written: xml.Row, params: Mapping[str, str] | None = None) -> Element:
        """Make a record. Gives it as it is now."""
        answer = await self._send("POST", f"/api/{resource}", params or {}, xml.document(written))
        return record_of(checked(answer), written.node)

    async def change(self, resource: str, external_id: str, written: xml.Row) -> Element:
        """Change the fields that are named, and no others. Raises as `rows`.

        The id stands in the record too, because there it counts more than in the address.
        """
        named = xml.row(written.node, {"id": external_id, **written.fields}, written.lists)
        path = f"/api/{resource}/{external_id}"
        if not self._version:
            await self.rows(resource, "[id]", most=1)
        if self.can_patch:
            answer = await self._send("PATCH", path, {}, xml.document(named))
        else:
            answer = await self._send("PUT", path, {}, await self._merged(resource, external_id, named))
        return record_of(checked(answer), written.node)

    async def _merged(self, resource: str, external_id: str, written: xml.Row) -> bytes:
        """All of a record as it is now, with what is to be different: PUT empties whatever field is not in it.

        Of its lists only those that are written: a list that is not there is left alone, and one that is there takes
        the place of what the shop has, which removes combinations that were made since the record was read.
        """
        record = await self.whole(resource, external_id)
        if record is None:
            raise PlatformRefused("The shop no longer has it.")
        _check_whole(resource, record)
        for name in _READ_ONLY.get(resource, ()):
            for each in record.findall(name):
                record.remove(each)
        for each in record.findall("associations"):
            each.clear()
        xml.put(record, written)
        root = xml.ElementTree.Element("prestashop")
        root.append(record)
        return xml.encoded(root)

    async def _send(
        self, method: str, path: str, params: Mapping[str, str], content: bytes | None = None, kind: str = "text/xml"
    ) -> Answer:
        headers = self._headers | ({"Content-Type": kind} if content is not None else {})
        async with self._gate:
            answer = await self.http.send(
                method,
                path,
                headers=headers,
                params={**params, **self._of_shop},
                content=content,
                timeout_seconds=TIMEOUT_SECONDS,
            )
        self._note_version(answer)
        return answer

    async def ask(self, method: str, path: str, content: bytes | None = None, kind: str = "text/xml") -> Answer:
        """One request for what is neither JSON rows nor a record: pictures. Its answer is of any status."""
        return await self._send(method, path, {}, content, kind)

    def _note_version(self, answer: Answer) -> None:
        told = answer.headers.get("psws-version", "")
        if told.partition(".")[0] not in ("", "0"):
            self._version = told[:50]

    @property
    def key_headers(self) -> dict[str, str]:
        """Headers with the key, for the one request that is not sent from here."""
        return dict(self._headers)


# What a whole record has at least, and what of it may not be sent back.
_AT_LEAST = {
    "products": ("id", "price", "reference", "active", "name", "link_rewrite", "associations/categories"),
    "combinations": (
        "id",
        "id_product",
        "minimal_quantity",
        "price",
        "reference",
        "associations/product_option_values",
    ),
    "stock_availables": ("id", "id_product", "id_product_attribute", "quantity", "depends_on_stock", "out_of_stock"),
    "order_carriers": ("id", "id_order", "id_carrier", "tracking_number"),
}
_READ_ONLY = {"products": ("manufacturer_name", "quantity", "position_in_category")}


def _check_whole(resource: str, record: Element) -> None:
    missing = [name for name in _AT_LEAST[resource] if record.find(name) is None]
    if missing:
        raise AnswerNotUnderstood(f"The shop gave only a part of the record, without {', '.join(missing)}.")


# --- answers


def rows_of(answer: Answer, resource: str) -> list[JsonObject]:
    """The rows of an answer in JSON: a list under the resource's name, or a bare `[]` for none.

    Notices of PHP beside them do not make them fewer.
    """
    body = answer.document
    found = body.get(resource) if isinstance(body, dict) else None
    if found is not None and (answer.status < 300 or _is_harmless(errors_of(answer))):
        rows = [found] if isinstance(found, dict) else found
        if isinstance(rows, list) and all(isinstance(each, dict) and "id" in each for each in rows):
            return rows
    checked(answer)
    # Not by `document`, for which an empty list may be none.
    if answer.body.strip() == b"[]":
        return []
    one = body.get(node_of(resource)) if isinstance(body, dict) else None
    if isinstance(one, dict) and "id" in one:
        return [one]
    raise AnswerNotUnderstood(f"These are no {resource}: {http.said(answer)}")


def record_of(answer: Answer, node: str) -> Element:
    """The one record of a good answer in XML."""
    record = xml.parsed(answer.body).find(node)
    if record is None:
        raise AnswerNotUnderstood(f"There is no {node} in the answer: {http.said(answer)}")
    return record


def checked(answer: Answer) -> Answer:
    """The same answer if it is a good one. Raises CredentialsRefused, PlatformAway, PlatformRefused, by its errors."""
    if answer.status < 300:
        return answer
    errors = errors_of(answer)
    codes = {code for code, _ in errors}
    if codes & (_NO_KEY | _NO_RIGHT):
        raise CredentialsRefused(_words(errors))
    own = [(code, message) for code, message in errors if code > _LAST_OF_PHP]
    if own and answer.status not in _LATER and answer.status != 401:
        raise PlatformRefused(_words(own))
    if errors and not own:
        raise PlatformAway(_words(errors), retry_after_seconds=http.retry_after(answer))
    return http.checked(answer)


def errors_of(answer: Answer) -> list[tuple[int, str]]:
    """Code and message of each error that an answer lists, in JSON or in XML."""
    text = answer.body.lstrip()
    if text.startswith(b"{"):
        body = answer.document
        listed = body.get("errors") if isinstance(body, dict) else None
        found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        return [(_number(each.get("code")), str(each.get("message") or "")) for each in found]
    if not text.startswith(b"<?xml"):
        return []
    try:
        elements = xml.parsed(answer.body).findall("errors/error")
    except AnswerNotUnderstood:
        return []
    return [(_number(each.findtext("code")), (each.findtext("message") or "").strip()) for each in elements]


def _is_harmless(errors: list[tuple[int, str]]) -> bool:
    return bool(errors) and all(_HARMLESS.match(message) for _, message in errors)


def _number(code: object) -> int:
    try:
        return int(str(code))
    except ValueError:
        return 0


def _words(errors: list[tuple[int, str]]) -> str:
    """The messages of errors, each once, for people."""
    said = dict.fromkeys(f"{message} ({code})" for code, message in errors)
    return "; ".join(said)[:LONGEST_MESSAGE]
