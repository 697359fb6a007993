"""Loads the demo business of `deploy/sample/` into a running installation, through the same messages clients send.

Every step carries an idempotency key of its own, and ids are derived from codes: after a crash between any two steps
the next start goes on where this one stopped. `credentials.json` comes last: where it is, all is loaded.
"""

import asyncio
import base64
import csv
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from deploy import topology
from deploy.callback_samples import test_certificate
from deploy.data_folder import write_secret
from shared import blobs
from shared.bus.ask import Bus
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.messages import CreateApiClient, CreateOrganization, CreateShop
from shared.contracts.accounts.people import CreateUser
from shared.contracts.base import Message
from shared.contracts.catalog.categories import CategoryDraft
from shared.contracts.catalog.messages import (
    AssignCategory,
    CreateCategory,
    CreatePriceList,
    ListProducts,
    SetPrices,
    SetProductText,
    UpdateProduct,
)
from shared.contracts.catalog.pricing import PriceDraft, PriceListDraft
from shared.contracts.catalog.shapes import ProductChange, ProductText
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    ChangeFulfilmentCentre,
    CreateFulfilmentCentre,
    ListFulfilmentCentres,
    UpdateStock,
)
from shared.contracts.payments.messages import CreatePaymentGateway
from shared.contracts.platform.imports import GetImport, StartImport, import_id_for
from shared.errors import CrossdockError
from shared.identifiers import derived_id
from shared.impex.cells import price
from shared.security import SecretText, new_secret
from shared.settings import settings

A = TypeVar("A")
SAMPLE = Path(__file__).parent / "sample"
_PATIENCE_SECONDS = 120.0
_ROWS_AT_ONCE = 1000


@dataclass
class Demo:
    """What clients of the demo business need to know, as `credentials.json` says it."""

    console: dict[str, str] = field(default_factory=dict)
    clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    payment_gateways: dict[str, dict[str, Any]] = field(default_factory=dict)


class Organization:
    """One organization of the sample, spoken to as its administrator."""

    def __init__(self, bus: Bus, description: dict[str, Any]) -> None:
        self.description = description
        self.code: str = description["code"]
        self.id = derived_id("demo organization", self.code)
        self.shops: dict[str, UUID] = {}
        self._bus = bus
        self._caller = Caller(
            kind="client",
            organization_id=self.id,
            id=derived_id("demo loader", self.code),
            name="demo loader",
            scopes=frozenset({"admin"}),
            permissions=frozenset({"clients:reveal", "users:manage"}),
        )

    async def ask(self, message: Message[A], step: str | None = None) -> A:
        """Ask as the administrator; a step that was taken before gives its first answer again."""
        key = None if step is None else f"demo {step}"
        return await self._bus.ask(message, envelope_for(self._caller, timeout_seconds=60, idempotency_key=key))

    async def create(self) -> None:
        """The organization itself, made by the installation."""
        kind = self.description["kind"]
        message = CreateOrganization(
            name=self.description["name"], is_merchant=kind == "merchant", is_supplier=kind == "supplier"
        )
        try:
            await self._bus.ask(message, service_envelope("deploy", self.id))
        except CrossdockError as error:
            if error.code != "organization_exists":
                raise


async def load(bus: Bus) -> Demo:
    """Load every organization of the sample. Raises what the services raise."""
    business = json.loads((SAMPLE / "business.json").read_text())
    demo = Demo()
    for number, description in enumerate(business["organizations"]):
        organization = Organization(bus, description)
        await organization.create()
        await _load_people(organization, demo if number == 0 else Demo())
        await _load_shops(organization)
        await _load_clients(organization, demo if number == 0 else Demo())
        await _load_centres(organization)
        categories = await _load_categories(organization)
        await _load_products(organization)
        await _load_product_details(organization, categories)
        await _load_prices(organization)
        await _load_stock(organization)
        await _load_payment_gateways(organization, demo if number == 0 else Demo())
    return demo


async def _load_people(organization: Organization, demo: Demo) -> None:
    owner = organization.description["owner"]
    password = _secret_of(organization.code, "owner")
    await organization.ask(
        CreateUser(email=owner["email"], name=owner["name"], role="owner", password=SecretText(password)), "owner"
    )
    demo.console = {"email": owner["email"], "password": password}


async def _load_shops(organization: Organization) -> None:
    for shop in organization.description["shops"]:
        message = CreateShop(
            code=shop["code"],
            name=shop["name"],
            currency=shop["currency"],
            locale=shop["locale"],
            time_zone=shop["time_zone"],
            parent_id=organization.shops.get(shop["parent"]),
            storefront_url=shop["storefront_url"],
        )
        organization.shops[shop["code"]] = (await organization.ask(message, f"shop {shop['code']}")).id


async def _load_clients(organization: Organization, demo: Demo) -> None:
    for client in organization.description["clients"]:
        shop_ids = None if client["shop"] is None else [organization.shops[client["shop"]]]
        message = CreateApiClient(name=client["name"], scopes=client["scopes"], shop_ids=shop_ids)
        made = await organization.ask(message, f"client {client['code']}")
        demo.clients[client["code"]] = {
            "client_id": str(made.client_id),
            "client_secret": made.client_secret.reveal(),
            "scopes": client["scopes"],
        }


async def _load_centres(organization: Organization) -> None:
    """The default centre comes with the first shop, by event; the others are made here."""
    if not organization.shops:
        return
    default = await _until(lambda: _default_centre(organization))
    for centre in organization.description["fulfilment_centres"]:
        if centre["default"]:
            await organization.ask(ChangeFulfilmentCentre(centre_id=default, name=centre["name"], kind=centre["kind"]))
            continue
        made = await organization.ask(
            CreateFulfilmentCentre(code=centre["code"], name=centre["name"], kind=centre["kind"]),
            f"centre {centre['code']}",
        )
        for shop in organization.description["shops"]:
            if centre["code"] in shop["centres"]:
                preference = shop["centres"].index(centre["code"]) + 200
                await _once_known(
                    organization,
                    AssignFulfilmentCentre(centre_id=made.id, shop=shop["code"], preference=preference),
                )


async def _default_centre(organization: Organization) -> UUID | None:
    page = await organization.ask(ListFulfilmentCentres())
    return next((centre.id for centre in page.items if centre.is_default), None)


async def _load_categories(organization: Organization) -> dict[str, UUID]:
    """The ids of the sample's categories by path, parents before children, roots assigned to their shops."""
    found: dict[str, UUID] = {}
    for row in _rows(organization, "categories"):
        parent, _, slug = row["path"].rpartition("/")
        draft = CategoryDraft(
            name=row["name_en"],
            slug=slug,
            parent_id=found.get(parent),
            names={"en": row["name_en"], "de": row["name_de"]},
            position=int(row["position"]),
        )
        found[row["path"]] = (await organization.ask(CreateCategory(draft=draft), f"category {row['path']}")).id
    for shop in organization.description["shops"]:
        for path in shop["categories"]:
            if path in found:
                await _once_known(organization, AssignCategory(category_id=found[path], shops=[shop["code"]]))
    return found


async def _load_products(organization: Organization) -> None:
    source = organization.description["files"].get("products")
    if source is None:
        return
    content = (SAMPLE / source["file"]).read_bytes()
    import_id = import_id_for("products", derived_id("demo import", organization.id))
    key = f"imports/{import_id}/{source['file']}"
    await blobs.put(organization.id, key, content)
    message = StartImport(
        import_id=import_id,
        key=key,
        size=len(content),
        sha256=sha256(content).hexdigest(),
        file_name=source["file"],
        profile=source["profile"],
        shop=organization.description["shops"][0]["code"],
    )
    await _once_known(organization, message, "products")

    async def is_over() -> bool:
        state = (await organization.ask(GetImport(import_id=import_id))).state
        if state in ("failed", "cancelled"):
            raise RuntimeError(f"the import of {source['file']} has {state}")
        return state == "succeeded"

    await _until(is_over)


async def _load_product_details(organization: Organization, categories: dict[str, UUID]) -> None:
    """Categories and German texts, by handle."""
    of_product: dict[str, list[UUID]] = {}
    for row in _rows(organization, "categories"):
        for handle in filter(None, map(str.strip, row["products"].split("|"))):
            of_product.setdefault(handle, []).append(categories[row["path"]])
    for handle, ids in of_product.items():
        product = await _product(organization, handle)
        await organization.ask(
            UpdateProduct(product_id=product, change=ProductChange(category_ids=ids)), f"categories of {handle}"
        )
    for row in _rows(organization, "translations"):
        text = ProductText(locale="de", title=row["title"], description_html=row["description"])
        product = await _product(organization, row["handle"])
        await organization.ask(SetProductText(product_id=product, text=text), f"german {row['handle']}")


async def _product(organization: Organization, handle: str) -> UUID:
    page = await organization.ask(ListProducts(slug=handle))
    return page.items[0].id


async def _load_prices(organization: Organization) -> None:
    rows = _rows(organization, "prices")
    if not rows:
        return
    wanted = organization.description["files"]["prices"]["price_list"]
    price_list = next(each for each in organization.description["price_lists"] if each["code"] == wanted)
    made = await organization.ask(
        CreatePriceList(draft=PriceListDraft(shop=price_list["shop"], name=price_list["name"])), "price list"
    )
    currency = price_list["currency"]
    drafts = [
        PriceDraft(
            sku=row["sku"],
            price=price(row["price"], currency),
            list_price=price(row["list_price"], currency) if row["list_price"] else None,
        )
        for row in rows
    ]
    for number, part in enumerate(_parts(drafts)):
        await organization.ask(SetPrices(price_list_id=made.id, prices=part), f"prices {number}")


async def _load_stock(organization: Organization) -> None:
    rows = [
        {"sku": row["sku"], "centre": row["centre"], "on_hand": int(row["on_hand"])}
        for row in _rows(organization, "stock")
    ]
    for number, part in enumerate(_parts(rows)):
        await organization.ask(UpdateStock(rows=part), f"stock {number}")


async def _load_payment_gateways(organization: Organization, demo: Demo) -> None:
    for account in organization.description["payment_gateways"]:
        provider = account["provider"]
        secret, given = await asyncio.to_thread(_gateway_secret, organization.code, provider)
        message = CreatePaymentGateway(
            shop=account["shop"],
            provider=provider,
            # PayPal has no secret of its own; ours is the key of a certificate that its gateway trusts in test mode.
            secrets=[] if provider == "paypal" else [SecretText(secret if isinstance(secret, str) else _json(secret))],
            mode=account["mode"],
            settings=account["settings"] | given,
        )
        made = await _once_known(organization, message, f"gateway {provider}")
        demo.payment_gateways[provider] = {"id": str(made.id), "secret": secret}


def _gateway_secret(code: str, provider: str) -> tuple[Any, dict[str, Any]]:
    """What signs a provider's callbacks, in the form that provider has, and what settings go with it."""
    if provider == "paypal":
        key, certificate = _remembered(f"{code} paypal", test_certificate)
        return key, {"test_certificate": certificate}
    secret = _secret_of(code, provider)
    digest = sha256(secret.encode())
    match provider:
        case "stripe":
            return f"whsec_{secret}", {}
        case "adyen":
            return digest.hexdigest().upper(), {}
        case "standard-webhooks":
            return f"whsec_{base64.b64encode(digest.digest()).decode()}", {}
        case "braintree":
            return {"private_key": secret, "public_key": digest.hexdigest()[:16]}, {}
        case _:
            return secret, {}


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


# --- small matters


def _rows(organization: Organization, group: str) -> list[dict[str, str]]:
    """The rows of one of the organization's files; none where it has no such file."""
    named = organization.description["files"].get(group)
    if named is None:
        return []
    name = named if isinstance(named, str) else named.get("file") or named["de"]
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _parts(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]


async def _once_known(organization: Organization, message: Message[A], step: str | None = None) -> A:
    """Ask as soon as the service has heard of the shop that accounts announced."""

    async def answer() -> tuple[A] | None:
        try:
            return (await organization.ask(message, step),)
        except CrossdockError as error:
            if error.code not in ("shop_not_found", "shop_not_named"):
                raise
            return None

    return (await _until(answer))[0]


async def _until(condition: Callable[[], Awaitable[A | None]]) -> A:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not (answer := await condition()):
            await asyncio.sleep(0.05)
    return answer


def _secret_of(*names: str) -> str:
    return str(_remembered(" ".join(names), lambda: new_secret(size=18)))


def _remembered(name: str, make: Callable[[], Any]) -> Any:
    """A secret made once for this data folder, and found again when loading goes on after a crash."""
    path = settings().data / "demo-secrets.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = make()
        write_secret(path, json.dumps(known))
    return known[name]


async def main() -> None:
    """Load the sample into the installation of this environment, unless it is there."""
    credentials = settings().data / "credentials.json"
    if credentials.exists():
        _move_to(credentials, settings().base_url)
        return
    async with topology.surrounded(answers_here=True) as process:
        demo = await load(process.bus)
    written = {
        "base_url": settings().base_url,
        "console": demo.console,
        "clients": demo.clients,
        "payment_gateways": demo.payment_gateways,
    }
    write_secret(credentials, json.dumps(written, indent=2) + "\n")


def _move_to(credentials: Path, base_url: str) -> None:
    """The same business may be served from another port than last time."""
    known = json.loads(credentials.read_text())
    if known["base_url"] != base_url:
        write_secret(credentials, json.dumps({**known, "base_url": base_url}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
