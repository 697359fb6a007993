"""Who is there, and what the credentials may do: asked by reading one record of each kind, and by writing nothing.

Magento does not say what an integration may do. It answers 401 and the name of the right that is missing, to a request
without that right as well as to one without a known token; so a connection is refused only when all requests are.
"""

from urllib.parse import urlsplit

from services.sync.errors import CredentialsRefused
from services.sync.platforms.magento.client import Client, answered, criteria, said
from services.sync.platforms.magento.orders import PROPOSED
from services.sync.platforms.magento.shop import Shop
from shared.contracts.sync.shapes import Greeting, RemotePlace
from shared.outgoing import Answer

# What the API is called; Magento's own version is not told to everybody.
VERSION = "REST V1"
_READ = (
    "/products",
    "/categories/list",
    "/orders",
    "/shipments",
    "/inventory/sources",
    "/inventory/source-items",
    "/eav/attribute-sets/list",
)
# Refused for what they hold, once the right is there: no levels, and an order that there can not be.
_WRITTEN: tuple[tuple[str, object], ...] = (("/inventory/source-items", {"sourceItems": []}), ("/order/0/ship", {}))


async def greet(client: Client, shop: Shop) -> Greeting:
    """Raises CredentialsRefused, PlatformAway, PlatformRefused, AnswerNotUnderstood."""
    refused = []
    for path in _READ:
        answer = await client.send("GET", client.path(path, criteria(size=1)))
        if answer.status == 401:
            refused.append(_right(answer, path))
        else:
            answered(answer)
    if len(refused) == len(_READ):
        raise CredentialsRefused(said(answer))
    for path, body in _WRITTEN:
        answer = await client.send("POST", client.path(path), body)
        if answer.status == 401:
            refused.append(_right(answer, path))
        elif answer.status >= 429:
            answered(answer)
    facts = await shop.facts()
    places = [] if refused else [RemotePlace(external_id=each.code, name=each.name) for each in await shop.sources()]
    return Greeting(
        shop_name=urlsplit(facts.base_url).hostname or facts.base_url or "Magento",
        currency=facts.currency,
        time_zone=facts.time_zone,
        version=VERSION,
        places=places,
        order_statuses=list(PROPOSED),
        proposed_statuses=dict(PROPOSED),
        missing=list(dict.fromkeys(refused)),
    )


def _right(answer: Answer, path: str) -> str:
    """The right that is missing, by Magento's name for it."""
    body = answer.document
    parameters = body.get("parameters") if isinstance(body, dict) else None
    return str(parameters.get("resources")) if isinstance(parameters, dict) else path
