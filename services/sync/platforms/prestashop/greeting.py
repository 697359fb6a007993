"""Who is there: the shop's name, money, zone and states, and which rights its key lacks."""

from collections.abc import Sequence

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.prestashop import xml
from services.sync.platforms.prestashop.client import Client, checked
from services.sync.platforms.prestashop.shop import Shop, State
from services.sync.platforms.prestashop.xml import Element
from shared.contracts.orders.imported import OrderAction
from shared.contracts.sync.shapes import Greeting, RemotePlace

_READ = (
    *("configurations", "currencies", "countries", "states"),
    *("products", "combinations", "product_options", "product_option_values", "categories", "tags", "manufacturers"),
    *("stock_availables", "suppliers", "product_suppliers", "images"),
    *("orders", "order_states", "order_carriers", "customers", "addresses"),
)
# PATCH is PUT where there is no PATCH.
_WRITE: Sequence[tuple[str, tuple[str, ...]]] = (
    ("products", ("POST", "PATCH")),
    ("combinations", ("POST", "PATCH")),
    ("product_options", ("POST",)),
    ("product_option_values", ("POST",)),
    ("tags", ("POST",)),
    ("manufacturers", ("POST",)),
    ("images", ("POST",)),
    ("stock_availables", ("PATCH",)),
    ("order_carriers", ("POST", "PATCH")),
    ("order_histories", ("POST",)),
)


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
            "proposed_statuses": {state.name: proposed(state) for state in states.values()},
        }
    )


async def _root(client: Client) -> Element:
    """What the key may do, which is there in XML alone."""
    root = xml.parsed(checked(await client.ask("GET", "/api/")).body).find("api")
    if root is None:
        raise AnswerNotUnderstood("The address answers, but not as PrestaShop's webservice does.")
    return root


def proposed(state: State) -> OrderAction:
    """What could be done with orders in a state, by its flags."""
    if state.is_cancelled:
        return "import_and_cancel"
    if state.is_shipped:
        return "import_and_complete"
    return "import" if state.is_paid else "set_aside"


def rights(*, can_patch: bool) -> list[tuple[str, str]]:
    """Verb and resource of every right that the adapter uses, but for that to take pictures away."""
    reading = (("GET", name) for name in _READ)
    writing = ((verb if can_patch or verb != "PATCH" else "PUT", name) for name, verbs in _WRITE for verb in verbs)
    return [*reading, *writing]


def _missing(root: Element, client: Client) -> list[str]:
    """Rights that the key lacks, as `PATCH products`."""
    found = []
    for verb, name in rights(can_patch=client.can_patch):
        allowed = root.find(name)
        if allowed is None or allowed.get(verb.lower()) != "true":
            found.append(f"{verb} {name}")
    return found
