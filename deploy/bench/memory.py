"""GraphQL with nothing behind it: fifty offers with ten variants each, from memory, through the gateway's door."""

from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.graphql.app import schema
from gateway.graphql.http import GraphqlEndpoint
from gateway.ready import ReadyAnswers
from shared.bus.ask import Asker, Bus
from shared.bus.envelope import Caller, Envelope
from shared.contracts.base import Message
from shared.contracts.search.shapes import FoundOffers, Offer, OfferFacets, OfferVariant, PriceFacet
from shared.identifiers import new_id
from shared.money import Money

QUERY = (
    'query { offers(shop: "main", first: 50) { nodes { slug title brand sku available availableQuantity'
    " price { amount currency } variants { sku available } } } }"
)


def _offer(number: int) -> Offer:
    price = Money(amount=1999 + number, currency="USD")
    variants = [
        OfferVariant(
            sku=f"MEMORY-{number:03}-{each}",
            price=price,
            available=True,
            available_quantity=each,
            options={"Size": str(each)},
        )
        for each in range(10)
    ]
    return Offer(
        id=f"item-{number}",
        slug=f"item-{number}",
        title=f"The item with the number {number}",
        brand="Bare",
        sku=variants[0].sku,
        price=price,
        list_price=None,
        available=True,
        available_quantity=number,
        image=None,
        categories=[],
        options={"Size": [str(each) for each in range(10)]},
        variants=variants,
    )


_FACETS = OfferFacets(category=[], brand=[], price=PriceFacet(minimum=None, maximum=None, ranges=[]), options=[])
_FOUND = FoundOffers(items=[_offer(number) for number in range(50)], next=None, total=50, facets=_FACETS)


class _Memory(Bus):
    """A bus whose every answer is there already."""

    async def ask(self, message: Message[Any], envelope: Envelope) -> Any:
        return _FOUND


class _Door:
    """The gateway's GraphQL, for somebody who is known already."""

    def __init__(self) -> None:
        self._endpoint = GraphqlEndpoint(schema())
        caller = Caller(kind="client", organization_id=new_id(), id=new_id(), scopes=frozenset({"storefront"}))
        self._asker = Asker(bus=_Memory(), caller=caller, request_id="bench")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["asker"] = self._asker
        await self._endpoint(scope, receive, send)


app = Starlette(routes=[Route("/graphql", _Door(), methods=["GET", "POST"])])
# Each is answered anew: what is measured is the answering.
app.state.ready = ReadyAnswers(lambda _organization_id, _shop: None, 0)
