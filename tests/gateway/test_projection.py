"""Lists of objects are written in a loop of their own: whatever lies in them, and however deep (FEATURES GAT-2)."""

from typing import Any

import orjson
import pytest

from gateway.graphql.app import schema
from gateway.graphql.compiled import plan
from shared.contracts.search.shapes import Offer, OfferVariant
from shared.money import Money
from tests.gateway.test_compiled import asking, run

pytestmark = pytest.mark.feature("GAT-2")

TEXT = """{ offers(shop: "main") { nodes { slug variants { sku available price { amount } } categories { path }
    options } edges { node { variants { options sku } } } facets { options { name values { value count } } } } }"""


def variant(**other: Any) -> dict[str, Any]:
    return {"sku": "A", "available": True, "price": {"amount": 1}, "options": {}} | other


class Answering:
    """Gives one answer, whatever is asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def ask(self, message: Any, envelope: Any) -> Any:
        return self.answer


def page(*variants: Any, **other: Any) -> dict[str, Any]:
    offer = {"slug": "a", "variants": list(variants), "categories": [{"path": ["x", "y"]}], "options": {"b": ["c"]}}
    values = [{"value": "x", "count": 3}]
    return {"items": [offer | other], "next": None, "facets": {"options": [{"name": "Size", "values": values}]}}


AS_SHAPE = OfferVariant(
    sku="B", price=Money(amount=2, currency="USD"), available=False, available_quantity=1, options={}
)
FIT = {
    "objects": page(variant(), variant(sku="B", price=None)),
    "nothing": page(),
    "a shape among mappings": page(variant(), AS_SHAPE, variant()),
    "shapes": page(AS_SHAPE, AS_SHAPE),
    "a tuple": page(variant(), categories=({"path": ("x",)},)),
}
UNFIT = {
    "null in a list": page(variant(), None),
    "null for a list": page(variants=None),
    "a text for a list": page(variants="abc"),
    "a mapping for a list": page(variants={"a": 1}),
    "a text for an object": page(variant(), "abc"),
    "a number for a text": page(variant(sku=7)),
    "a text for a truth": page(variant(available="yes")),
    "null for a text": page(variant(sku=None)),
    "another shape": page(variant(), Money(amount=2, currency="USD")),
}

EVERY_CHARACTER = "".join(chr(each) for each in (*range(0x300), 0x2028, 0x2029, 0xFFFD, 0xFFFF, 0x1F600, 0x10FFFF))
DIRECT = """{ offers(shop: "main") { nodes { title: slug slug: title variants { sku available } } edges { node { number:
    availableQuantity variants { title: sku price { amount currency } sku } } } } }"""


def offer(**other: Any) -> Offer:
    fields = dict.fromkeys(Offer.model_fields) | {"slug": "s", "title": "t", "available_quantity": 3}
    return Offer.model_construct(None, **fields | {"variants": [AS_SHAPE]} | other)


OFFERS = {
    "shapes": [offer(), offer(slug="u")],
    "mappings": [offer().model_dump()],
    "mappings among shapes": [offer(), offer().model_dump()],
    "mappings in shapes": [offer(variants=[AS_SHAPE.model_dump()])],
    "every character": [offer(title=EVERY_CHARACTER)],
    "a half of a character": [offer(title="\ud800")],
    "a tuple": (offer(),),
    "nothing": [],
    "null": [None],
    "null for a text": [offer(title=None)],
    "null for a list": [offer(variants=None)],
    "null in a list": [offer(variants=[None])],
    "a number for a text": [offer(title=7)],
    "a truth for a number": [offer(available_quantity=True)],
    "a number beyond 32 bits": [offer(available_quantity=2**31)],
    "a fraction for a number": [offer(available_quantity=3.0)],
    "an amount beyond 64 bits": [
        offer(variants=[AS_SHAPE.model_copy(update={"price": Money.model_construct(amount=2**63, currency="USD")})])
    ],
    "another shape": [Money(amount=2, currency="USD")],
}


@pytest.mark.parametrize("items", OFFERS.values(), ids=OFFERS)
async def test_a_list_that_is_written_at_once_is_written_as_the_ordinary_executor_does(items: Any) -> None:
    bus = Answering({"items": items, "next": None})
    answers: list[Any] = []
    for is_compiled in (True, False):
        try:
            answers.append(await run(DIRECT, None, bus, is_compiled=is_compiled))
        except TypeError as error:
            # Half a character is no text in any encoding; whoever sends it is told of a defect.
            answers.append(str(error))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("answer", FIT.values(), ids=FIT)
async def test_what_fits_is_written_without_the_ordinary_executor(answer: Any) -> None:
    made = plan(schema(), schema().documents.of(TEXT), None)
    assert made is not None
    assert await made.answer(asking(Answering(answer)).ask, None) is not None


@pytest.mark.parametrize("answer", [*FIT.values(), *UNFIT.values()], ids=[*FIT, *UNFIT])
@pytest.mark.parametrize("is_ready", [False, True], ids=["objects", "ready JSON"])
async def test_what_lies_in_a_list_is_written_as_the_ordinary_executor_does(answer: Any, is_ready: bool) -> None:
    def as_json(value: Any) -> Any:
        return value.model_dump(mode="json")

    given = orjson.dumps(answer, default=as_json) if is_ready else answer
    one = await run(TEXT, None, Answering(given))
    other = await run(TEXT, None, Answering(given), is_compiled=False)
    assert one == other
