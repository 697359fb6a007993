"""Writes as PrestaShop's webservice takes them: XML alone, with what it refuses and what it does without a word."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

from tests.fakes import prestashop_rows
from tests.fakes.prestashop_answers import Refused, node
from tests.fakes.prestashop_rows import LANGUAGES, Row
from tests.fakes.prestashop_state import Memory

Element = ElementTree.Element

REQUIRED = {
    "products": ("price",),
    "combinations": ("id_product", "minimal_quantity"),
    "stock_availables": ("id_product", "id_product_attribute", "quantity", "depends_on_stock", "out_of_stock"),
    "order_carriers": ("id_order", "id_carrier"),
    "order_histories": ("id_order", "id_order_state"),
    "manufacturers": ("name",),
    "tags": ("id_lang", "name"),
    "product_options": ("group_type", "name", "public_name"),
    "product_option_values": ("id_attribute_group", "name"),
}
_READ_ONLY = ("manufacturer_name", "quantity", "position_in_category")
_PRICE, _NEGATIVE = re.compile(r"\d+(\.\d{1,9})?"), re.compile(r"-?\d+(\.\d{1,9})?")
_NAME, _REFERENCE = re.compile(r"[^<>;=#{}]*"), re.compile(r"[^<>;={}]*")
_FORMATS = {
    ("products", "price"): (_PRICE, 20),
    ("products", "reference"): (_REFERENCE, 64),
    ("products", "name"): (_NAME, 128),
    ("products", "link_rewrite"): (re.compile(r"[_a-zA-Z0-9-]*"), 128),
    ("products", "ean13"): (re.compile(r"\d{0,13}"), 13),
    ("combinations", "price"): (_NEGATIVE, 20),
    ("stock_availables", "quantity"): (re.compile(r"-?\d+"), 11),
    ("order_carriers", "tracking_number"): (re.compile(r"[^<>;{}]*"), 255),
    ("manufacturers", "name"): (_NAME, 64),
    ("tags", "name"): (re.compile(r"[^<>={}]*"), 32),
}


def elements(body: bytes, resource: str) -> list[Element]:
    """The records in a body. Raises Refused, as PHP does for what is no XML."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        message = "[PHP Warning #2] SimpleXMLElement::__construct(): parser error (/shop/WebserviceRequest.php)"
        raise Refused(500, 3, message) from None
    return list(root.findall(node(resource)))


def made(memory: Memory, resource: str, element: Element) -> Row:
    """A new row."""
    if element.find("id") is not None:
        raise Refused(400, 91, "id is forbidden when adding a new resource")
    row = prestashop_rows.blank(resource)
    _take(resource, row, element)
    _check(resource, element, row)
    number = memory.add(resource, **{name: value for name, value in row.items() if not name.startswith("date_")})
    return memory.tables[resource][number]


def changed(memory: Memory, resource: str, method: str, element: Element) -> tuple[Row, bool]:
    """A row after a change, and whether it is another. The id in the body names it, whatever the address says."""
    number = element.findtext("id")
    if not number:
        raise Refused(400, 90, "id is required when modifying a resource")
    row = memory.tables[resource].get(int(number))
    if row is None:
        raise Refused(404, 92, "Invalid ID")
    read_only = _READ_ONLY if resource == "products" else ()
    for name in read_only:
        if element.find(name) is not None:
            message = f'parameter "{name}" not writable. Please remove this attribute of this XML'
            raise Refused(400, 93, message)
    wanted = {**row}
    if method == "PUT":
        wanted = _emptied(resource, row)
    _take(resource, wanted, element)
    _check(resource, element, wanted if method == "PATCH" else None)
    is_other = wanted != row
    row.update(wanted)
    if resource == "products" and element.find("associations/combinations") is not None:
        memory.keep_combinations(row)
    return row, is_other


def _emptied(resource: str, row: Row) -> Row:
    """What PUT leaves of what it does not name: translated texts, lists, and what the shop keeps by itself."""
    kept = ("id", "date_add", "date_upd", *_READ_ONLY, *prestashop_rows.translated(resource))
    lists = prestashop_rows.lists(resource)
    return {**prestashop_rows.blank(resource), **{name: row[name] for name in (*kept, *lists) if name in row}}


def _take(resource: str, row: Row, element: Element) -> None:
    """Fields that there are; unknown ones are ignored. Lists take the place of those before."""
    texts = prestashop_rows.translated(resource)
    for child in element:
        if child.tag in texts:
            row[child.tag] = _languages(row[child.tag], child)
        elif child.tag in prestashop_rows.plain(resource):
            row[child.tag] = (child.text or "").strip() if child.tag.startswith("id_") else child.text or ""
    associations = element.find("associations")
    for listed in associations if associations is not None else ():
        if listed.tag in prestashop_rows.lists(resource):
            row[listed.tag] = [{part.tag: part.text or "" for part in entry} for entry in listed]


def _languages(before: dict[int, str], child: Element) -> dict[int, str]:
    languages = child.findall("language")
    if not languages:
        return dict.fromkeys(LANGUAGES, child.text or "")
    return before | {int(each.get("id") or 0): each.text or "" for each in languages}


def _check(resource: str, element: Element, row: Row | None) -> None:
    for name in REQUIRED.get(resource, ()):
        is_there = element.find(name) is not None or (row is not None and row.get("id") and row[name] not in ("", None))
        if not is_there:
            raise Refused(400, 41, f'parameter "{name}" required')
    for child in element:
        found = _FORMATS.get((resource, child.tag))
        values: list[Any] = [each.text or "" for each in child.findall("language")] or [child.text or ""]
        for value in values:
            if found and (len(value) > found[1] or not found[0].fullmatch(value)):
                owner = node(resource).title().replace("_", "")
                raise Refused(400, 85, f'Validation error: "Property {owner}-&gt;{child.tag} is not valid"')
