"""How PrestaShop says things: rows in JSON and in XML, and errors in whichever was asked for."""

import json
from typing import Any
from xml.sax.saxutils import escape

from starlette.responses import Response

from tests.fakes import prestashop_rows
from tests.fakes.prestashop_rows import LANGUAGES, Row

_NODES = {"addresses": "address", "categories": "category", "countries": "country", "currencies": "currency"}
_NODES |= {"order_histories": "order_history"}
_ENTRIES = {"order_rows": "order_row", "categories": "category"}
JsonObject = dict[str, Any]


class Refused(Exception):
    """A request that is answered with errors."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def node(resource: str) -> str:
    return _NODES.get(resource) or resource.removesuffix("s")


def answer_json(body: Any, status: int, version: str) -> Response:
    return Response(json.dumps(body), status, {"psws-version": version}, "application/json")


def answer_xml(inner: str, status: int, version: str) -> Response:
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<prestashop xmlns:xlink="http://www.w3.org/1999/xlink">\n'
    return Response(f"{text}{inner}\n</prestashop>\n", status, {"psws-version": version}, "text/xml;charset=utf-8")


def errors(status: int, listed: list[tuple[int, str]], version: str, *, as_json: bool) -> Response:
    if as_json:
        return answer_json({"errors": [{"code": code, "message": said} for code, said in listed]}, status, version)
    inner = "".join(
        f"<error>\n<code><![CDATA[{code}]]></code>\n<message><![CDATA[{said}]]></message>\n</error>\n"
        for code, said in listed
    )
    return answer_xml(f"<errors>\n{inner}</errors>", status, version)


def shown(resource: str, row: Row, names: list[str] | None, language: int | None) -> JsonObject:
    """A row of a list in JSON; `names` None: all of it, with its associations. Empty associations are left out."""
    texts = prestashop_rows.translated(resource)
    found: JsonObject = {}
    for name in names or prestashop_rows.fields(resource):
        value = row[name]
        if name in texts:
            value = value[language] if language else [{"id": str(each), "value": value[each]} for each in LANGUAGES]
        found[name] = value
    associations = {name: row[name] for name in prestashop_rows.lists(resource) if row[name]}
    if names is None and associations:
        found["associations"] = associations
    return found


def record(resource: str, row: Row) -> str:
    """A row whole, in XML."""
    lines = [f"<{node(resource)}>"]
    texts = prestashop_rows.translated(resource)
    for name in prestashop_rows.fields(resource):
        value = row[name]
        if name in texts:
            inner = "".join(f'<language id="{each}">{_cdata(value[each])}</language>' for each in LANGUAGES)
        else:
            inner = _cdata(value)
        lines.append(f"\t<{name}{_link(name, value)}>{inner}</{name}>")
    if prestashop_rows.lists(resource):
        lines.append("<associations>")
        lines += [_listed(name, row[name]) for name in prestashop_rows.lists(resource)]
        lines.append("</associations>")
    return "\n".join([*lines, f"</{node(resource)}>"])


def _listed(name: str, entries: list[JsonObject]) -> str:
    entry = _ENTRIES.get(name) or name.removesuffix("s")
    inner = "".join(
        f"<{entry}>{''.join(f'<{key}>{_cdata(value)}</{key}>' for key, value in each.items())}</{entry}>"
        for each in entries
    )
    return f'<{name} nodeType="{entry}" api="{name}">{inner}</{name}>'


def _link(name: str, value: object) -> str:
    """Ids come with the address of what they name."""
    is_id = name.startswith("id_") and str(value or "0") != "0"
    return f' xlink:href="http://127.0.0.1/api/{escape(name[3:])}s/{value}"' if is_id else ""


def _cdata(value: object) -> str:
    return f"<![CDATA[{'' if value is None else value}]]>"
