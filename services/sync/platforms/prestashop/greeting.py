"""Who is there: the shop's name, money, zone and states, and which rights its key lacks."""

from collections.abc import Mapping
from itertools import chain

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.prestashop import xml
from services.sync.platforms.prestashop.client import Client, checked
from services.sync.platforms.prestashop.shop import Shop
from services.sync.platforms.prestashop.xml import Element
from shared.contracts.sync.shapes import Greeting, RemotePlace

_READ = (
    *("configurations", "currencies", "countries", "states"),
    *("products", "combinations", "product_options", "product_option_values", "categories", "tags", "manufacturers"),
    *("stock_availables", "suppliers", "product_suppliers", "images"),
    *("orders", "order_states", "order_carriers", "customers", "addresses"),
)
# `patch` is `put` where there is no patch.
_WRITE: Mapping[str, tuple[str, ...]] = {
    "products": ("post", "patch"),
    "combinations": ("post", "patch"),
    "product_options": ("post",),
    "product_option_values": ("post",),
    "tags": ("post",),
    "manufacturers": ("post",),
    "images": ("post",),
    "stock_availables": ("patch",),
    "order_carriers": ("post", "patch"),
    "order_histories": ("post",),
}


async def greet(shop: Shop) -> Greeting:
    """Changes nothing. Raises as `Session`. With no right to read what it needs, it says no more than that."""
    root = await _root(shop.client)
    missing = _missing(root, shop.client)
    found = Greeting(shop_name=root.get("shopName") or "PrestaShop", version=shop.client.version, missing=missing)
    if any(f"GET {name}" in missing for name in ("configurations", "currencies", "order_states")):
        return found
    units, told, states = await shop.units(), await shop.configuration(), await shop.states()
    place = RemotePlace(external_id=await shop.place(), name=found.shop_name)
    return found.model_copy(
        update={
            "currency": units.currency,
            "time_zone": shop.settings.time_zone or told.get("PS_TIMEZONE"),
            "places": [place],
            "order_statuses": [state.name for state in states.values()],
        }
    )


async def _root(client: Client) -> Element:
    """What the key may do, which is there in XML alone."""
    root = xml.parsed(checked(await client.ask("GET", "/api/")).body).find("api")
    if root is None:
        raise AnswerNotUnderstood("The address answers, but not as PrestaShop's webservice does.")
    return root


def _missing(root: Element, client: Client) -> list[str]:
    """Rights that the key lacks, as `PATCH products`."""
    wanted = chain(
        ((name, "get") for name in _READ),
        ((name, verb) for name, verbs in _WRITE.items() for verb in verbs),
    )
    found = []
    for name, verb in wanted:
        needed = "put" if verb == "patch" and not client.can_patch else verb
        allowed = root.find(name)
        if allowed is None or allowed.get(needed) != "true":
            found.append(f"{needed.upper()} {name}")
    return found
