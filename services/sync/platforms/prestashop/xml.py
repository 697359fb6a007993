"""XML as PrestaShop takes and gives it: `<prestashop><product>…</product></prestashop>`. Nothing in it is expanded."""

import codecs
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.sync.errors import AnswerNotUnderstood

Element = ElementTree.Element
# What may not stand in XML 1.0 at all (https://www.w3.org/TR/xml/#charsets).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_ASCII = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HREF = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True, slots=True)
class Translated:
    """A text in one of the shop's languages; those in its other languages are left as they are."""

    language: int
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """What is written of a record: fields, and lists of ids by their name and that of their entries."""

    node: str
    fields: Mapping[str, str | Translated]
    lists: Mapping[tuple[str, str], Sequence[str]]


def row(
    node: str, fields: Mapping[str, str | Translated], lists: Mapping[tuple[str, str], Sequence[str]] | None = None
) -> Row:
    """A record of this node. Each list is all that there is to be of it."""
    return Row(node, fields, lists or {})


def document(written: Row) -> bytes:
    """A record as it is sent."""
    root = ElementTree.Element("prestashop")
    record = ElementTree.SubElement(root, written.node)
    put(record, written)
    return encoded(root)


def put(record: Element, written: Row) -> None:
    """Have fields and lists in a record in the place of those of the same names."""
    for name, value in written.fields.items():
        child = _child(record, name)
        if isinstance(value, Translated):
            _put_language(child, value)
        else:
            child.clear()
            child.text = _NOT_XML.sub("", value)
    if written.lists:
        associations = _child(record, "associations")
        for (name, entry), ids in written.lists.items():
            _put_ids(_child(associations, name), entry, ids)


def encoded(root: Element) -> bytes:
    """A tree as it is sent, without the addresses that PrestaShop has put into it."""
    for each in root.iter():
        each.attrib.pop(_HREF, None)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def parsed(body: bytes) -> Element:
    """The root of an answer. Raises AnswerNotUnderstood, also for one that declares a document type.

    It is to be in a code that has ASCII in it as it is, so that a declaration is seen: UTF-16 and UTF-32 are refused.
    """
    if body.startswith(_NOT_ASCII) or b"\0" in body:
        raise AnswerNotUnderstood("The shop's XML is in UTF-16 or has zero bytes in it; it is to be UTF-8.")
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise AnswerNotUnderstood("The shop's XML declares a document type; none is read.")
    try:
        # No document type can be declared (see above): there are no entities to expand.
        root = ElementTree.fromstring(body)  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        raise AnswerNotUnderstood(f"This is not XML: {body[:200].decode(errors='replace')}") from None
    if root.tag != "prestashop":
        raise AnswerNotUnderstood(f"The shop answered with <{root.tag[:50]}>.")
    return root


def texts(elements: Iterable[Element], name: str) -> list[str]:
    """The texts of a child of each."""
    return [(each.findtext(name) or "").strip() for each in elements]


def _child(parent: Element, name: str) -> Element:
    found = parent.find(name)
    return ElementTree.SubElement(parent, name) if found is None else found


def _put_language(child: Element, value: Translated) -> None:
    number = str(value.language)
    languages = [each for each in child.findall("language") if each.get("id") == number]
    language = languages[0] if languages else ElementTree.SubElement(child, "language", id=number)
    language.text = _NOT_XML.sub("", value.text)


def _put_ids(listed: Element, entry: str, ids: Sequence[str]) -> None:
    """Exactly these entries."""
    listed.clear()
    for external_id in ids:
        ElementTree.SubElement(ElementTree.SubElement(listed, entry), "id").text = external_id
