"""Every request that the adapter can send is one that PrestaShop's own schema knows (SYN-1)."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest

from services.sync.platforms.prestashop.greeting import rights
from tests.fakes.prestashop import PrestaShop
from tests.fakes.prestashop_server import Asked
from tests.platforms.prestashop.driving import drive
from tests.platforms.prestashop.recordings import needs_data, schema, verbs

pytestmark = [pytest.mark.feature("SYN-1"), needs_data]

Element = ElementTree.Element
PARAMETERS = {"output_format", "display", "sort", "limit", "date", "language", "sendemail"}
# What a field of a format may look like; formats that are any text are not here.
FORMATS = {
    "isUnsignedId": r"\d*",
    "isNullOrUnsignedId": r"\d*",
    "isUnsignedInt": r"\d*",
    "isPositiveInt": r"\d*",
    "isInt": r"-?\d*",
    "isBool": r"[01]?",
    "isPrice": r"\d{0,10}(\.\d{1,9})?",
    "isNegativePrice": r"-?\d{0,10}(\.\d{1,9})?",
    "isUnsignedFloat": r"(\d+(\.\d+)?)?",
    "isFloat": r"-?(\d+(\.\d+)?)?",
    "isReference": r"[^<>;={}]*",
    "isCatalogName": r"[^<>;=#{}]*",
    "isGenericName": r"[^<>={}]*",
    "isLinkRewrite": r"[_a-zA-Z0-9-]*",
    "isEan13": r"\d{0,13}",
    "isUpc": r"\d{0,12}",
    "isTrackingNumber": r"[~:#,%&_=()\[\]\.\? +\-@\/a-zA-Z0-9]+",
    "isDate": r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)?",
}


def problems(asked: Asked) -> list[str]:
    """What of a request PrestaShop does not know."""
    _, _, resource, *rest = f"{asked.path}//".split("/")
    if not resource or resource == "images":
        return []
    found = [] if asked.method in verbs().get(resource, ()) else [f"{asked.method} {resource}"]
    found += _in_query(resource, asked.query)
    if asked.method in ("POST", "PUT", "PATCH"):
        found += _in_body(asked, resource, rest[0])
    return found


def _in_query(resource: str, query: dict[str, str]) -> Iterator[str]:
    known = {"id", *(child.tag for child in schema()[resource])}
    dated = False
    for name, value in query.items():
        filtered = re.fullmatch(r"filter\[(\w+)\]", name)
        used = [filtered[1]] if filtered else []
        if name == "sort":
            used = [re.sub("_(ASC|DESC)$", "", each) for each in value.strip("[]").split(",")]
        if name == "display" and value != "full":
            used = value.strip("[]").split(",")
        if not filtered and name not in PARAMETERS:
            yield f"parameter {name}"
        dated = dated or (name != "display" and any(each.startswith("date_") for each in used))
        yield from (f"{name} of {each}" for each in used if each not in known)
    if dated and query.get("date") != "1":
        yield "a date without date=1"


def _in_body(asked: Asked, resource: str, external_id: str) -> Iterator[str]:
    told = schema()[resource]
    (record,) = ElementTree.fromstring(asked.body)
    if record.tag != told.tag:
        yield f"<{record.tag}>"
    if (record.findtext("id") or "") != external_id:
        yield f"id {record.findtext('id')} at {asked.path}"
    for child in record:
        field = told.find(child.tag)
        if child.tag == "id":
            continue
        if field is None or field.get("readOnly"):
            yield f"<{child.tag}>"
        elif child.tag == "associations":
            yield from _in_lists(child, field)
        else:
            yield from _in_field(child, field)
    if asked.method != "PATCH":
        required = [child.tag for child in told if child.get("required")]
        yield from (f"{name} is required" for name in required if record.find(name) is None)


def _in_lists(associations: Element, told: Element) -> Iterator[str]:
    for listed in associations:
        known = told.find(listed.tag)
        if known is None:
            yield f"list {listed.tag}"
            continue
        for entry in listed:
            if entry.tag != known[0].tag or not {part.tag for part in entry} <= {part.tag for part in known[0]}:
                yield f"entry {entry.tag} of {listed.tag}"


def _in_field(child: Element, field: Element) -> Iterator[str]:
    languages = child.findall("language")
    if bool(field.findall("language")) != bool(languages):
        yield f"languages of {child.tag}"
    pattern, most = FORMATS.get(field.get("format", "")), int(field.get("maxSize") or 1 << 30)
    for each in languages or [child]:
        text = each.text or ""
        if len(text) > most or (pattern and not re.fullmatch(pattern, text)):
            yield f"{text[:50]!r} in {child.tag}"


@pytest.mark.parametrize("version", ["1.7.8.11", "8.2.1", "9.0.2"])
async def test_everything_that_is_sent_is_in_the_schema(prestashop: PrestaShop, version: str) -> None:
    prestashop.version = version
    await drive(prestashop)
    found = {problem: asked for asked in prestashop.requests for problem in problems(asked)}
    assert found == {}
    methods = {asked.method for asked in prestashop.requests}
    assert methods == {"GET", "POST", "DELETE", "PUT" if version.startswith("1.") else "PATCH"}
    deleted = [asked.path for asked in prestashop.requests if asked.method == "DELETE"]
    assert deleted == ["/api/images/products/1/1"]
    used = {(asked.method, asked.path.split("/")[2]) for asked in prestashop.requests}
    known = set(rights(can_patch=not version.startswith("1.")))
    assert used - {("GET", ""), ("DELETE", "images")} == known, "rights that are asked for are those that are used"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (Asked("DELETE", "/api/products/1", {}, b""), "DELETE products"),
        (Asked("POST", "/api/stock_availables", {}, b"<p><stock_available/></p>"), "id_product is required"),
        (Asked("GET", "/api/products", {"display": "[colour]"}, b""), "display of colour"),
        (Asked("GET", "/api/products", {"sort": "[date_upd_ASC]"}, b""), "a date without date=1"),
        (
            Asked("GET", "/api/combinations", {"filter[date_upd]": "[1,2]", "date": "1"}, b""),
            "filter[date_upd] of date_upd",
        ),
        (Asked("GET", "/api/products", {"ws_key": "SECRET"}, b""), "parameter ws_key"),
        (Asked("PATCH", "/api/products/1", {}, b"<p><product><id>2</id></product></p>"), "id 2 at /api/products/1"),
        (Asked("PATCH", "/api/products/1", {}, b"<p><product><quantity>2</quantity></product></p>"), "<quantity>"),
        (Asked("PATCH", "/api/products/1", {}, b"<p><product><price>1,5</price></product></p>"), "'1,5' in price"),
        (Asked("PATCH", "/api/products/1", {}, b"<p><product><name>A</name></product></p>"), "languages of name"),
    ],
)
def test_what_is_not_in_the_schema_is_seen(asked: Asked, problem: str) -> None:
    assert problem in problems(asked)
