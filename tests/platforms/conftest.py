"""Every registered platform's fake shop, and a session with it.

A new platform adds its fake to FAKES; `test_contract.py` then holds it to what `base.py` promises.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.topology import Surrounded
from services.sync.platforms.base import Account, Page, Platform, Record, Scan, Session
from services.sync.platforms.http import IsHeld, connected, never_held
from services.sync.platforms.registry import PLATFORMS
from shared.contracts.sync.shapes import Entity, FeedKind
from shared.impex.cells import check_digit
from tests.doors import Client
from tests.fakes.agent import AgentShop
from tests.fakes.custom import SIGNING_SECRET, CustomShop
from tests.fakes.files import FilesShop, SftpShop
from tests.fakes.magento import MagentoShop
from tests.fakes.platforms import FakeShop
from tests.fakes.prestashop import PrestaShop
from tests.fakes.shopify import CLIENT_SECRET, ShopifyShop
from tests.fakes.woocommerce import WEBHOOK_SECRET, OldWooShop, WooShop

FAKES: dict[str, Callable[[], FakeShop]] = {
    "agent": AgentShop,
    "custom": CustomShop,
    "files": FilesShop,
    "files by SFTP": SftpShop,
    "magento": MagentoShop,
    "prestashop": PrestaShop,
    "shopify": ShopifyShop,
    "woocommerce": WooShop,
    "woocommerce before 10.3": OldWooShop,
}
# Platforms that answer nothing to what is written, and why.
ONE_WAY = {"files": "a file says nothing back: what becomes of it shows in the next file that comes in"}
# A webhook of each platform that has them: that orders changed, with the id of its event, and the secret.
Delivered = tuple[dict[str, str], bytes, str]
DELIVERIES: dict[str, Callable[[str], Delivered]] = {
    "custom": lambda event_id: (*CustomShop().webhook("orders.changed", event_id), SIGNING_SECRET),
    "shopify": lambda event_id: of_shopify(event_id),
    "woocommerce": lambda event_id: (*WooShop().webhook("order.updated", {"id": 1}, event_id), WEBHOOK_SECRET),
}
# More pages than any scan of these tests has: one that has more does not end.
MOST_PAGES = 200
Opened = Callable[[FakeShop], AbstractAsyncContextManager[Session]]


@dataclass
class Purse:
    """A budget without a limit, which notes what it was told."""

    spent: float = 0
    rested: list[float] = field(default_factory=list)
    learned: list[tuple[float, float, float]] = field(default_factory=list)

    async def take(self, points: float, is_held: IsHeld = never_held) -> None:
        self.spent += points

    async def learn(self, *, left: float, per_second: float, most: float) -> None:
        self.learned.append((left, per_second, most))

    async def rest(self, seconds: float) -> None:
        self.rested.append(seconds)


@pytest.fixture(params=sorted(FAKES))
async def shop(request: pytest.FixtureRequest, process: Surrounded, client: Client) -> AsyncIterator[FakeShop]:
    fake = FAKES[request.param]()
    if isinstance(fake, AgentShop):
        await fake.open_desk(process, client)
    await fake.start()
    yield fake
    await fake.stop()


@asynccontextmanager
async def session_with(shop: FakeShop, purse: Purse | None = None) -> AsyncIterator[Session]:
    """A session as the engine opens one: with nothing but settings and credentials, over connections of its own."""
    platform = PLATFORMS[shop.platform]
    platform.check_settings(shop.settings)
    async with connected(platform.base_url(shop.settings), purse or Purse(), allow_private=True) as http:
        beside = getattr(shop, "folder", None), getattr(shop, "desk", None)
        session = platform.session(Account(shop.settings, shop.credentials, *beside), http)
        yield _Attended(session, shop) if isinstance(shop, FilesShop) else session


class _Attended:
    """A session with a shop that takes what is written at once, instead of some time."""

    def __init__(self, session: Session, shop: FilesShop) -> None:
        self._session, self._shop = session, shop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._session, name)
        if name not in ("write_products", "write_stock", "confirm_shipments"):
            return method

        async def write(writes: Sequence[Any]) -> Any:
            written = await method(writes)
            self._shop.take_files()
            return written

        return write


@pytest.fixture
def opened() -> Opened:
    return session_with


def needs(shop: FakeShop, *feeds: FeedKind) -> Platform:
    """The platform; the test is skipped where it lacks one of the feeds, with its own words."""
    platform = PLATFORMS[shop.platform]
    for feed in feeds:
        if feed in platform.lacks:
            pytest.skip(platform.lacks[feed])
    return platform


def of_shopify(event_id: str) -> Delivered:
    headers, body = ShopifyShop().webhook("orders/updated", {"id": 1}, event_id=event_id)
    return {name.lower(): value for name, value in headers.items()}, body, CLIENT_SECRET


def needs_answers(shop: FakeShop) -> None:
    """Skip the test where writes are not answered."""
    if shop.platform in ONE_WAY:
        pytest.skip(ONE_WAY[shop.platform])


async def all_pages(
    session: Session,
    scan: Scan,
    between: Callable[[Page], Awaitable[None] | None] | None = None,
) -> list[Page]:
    """The pages of a scan to its end. `between` is called after each."""
    pages = []
    while True:
        page = await session.page(scan)
        pages.append(page)
        assert len(pages) < MOST_PAGES, "the scan does not end"
        if between is not None and (waiting := between(page)) is not None:
            await waiting
        if page.resume is None:
            return pages
        scan = Scan(scan.entity, scan.since, scan.until, page.resume)


async def all_records(session: Session, entity: Entity) -> dict[str, Record]:
    """All records of a full scan, by id, each as it was given last."""
    return {each.external_id: each for page in await all_pages(session, Scan(entity)) for each in page.records}


def ids(pages: Sequence[Page]) -> list[str]:
    return [record.external_id for page in pages for record in page.records]


def product(number: int, **changes: Any) -> tuple[str, dict[str, Any], dict[str, dict[str, Any]]]:
    """Id, fields and the one variant of a product: for `put_product`."""
    fields = {
        "handle": f"scarf-{number}",
        "title": f"Scarf {number}",
        "description_html": "<p>Warm.</p>",
        "brand": "Skerry",
        "product_type": "Scarves",
        "status": "active",
        "tags": ["warm", "winter"],
        "options": [],
        "images": [],
    }
    variant = {
        "sku": f"SCARF-{number}",
        "barcode": _gtin(f"4006381{number:05}"),
        "options": {},
        "price": {"amount": 1999, "currency": "EUR"},
        "list_price": None,
    }
    return str(number), fields | changes, {str(number * 10): variant}


def _gtin(digits: str) -> str:
    return digits + check_digit(digits)


def put_products(shop: FakeShop, count: int, first: int = 1) -> list[str]:
    """That many products, numbered on from `first`; their ids."""
    numbers = range(first, first + count)
    for number in numbers:
        shop.put_product(*product(number))
    return [str(number) for number in numbers]


def order(number: int, status: str = "paid", sku: str = "SCARF-1", quantity: int = 2) -> dict[str, Any]:
    """An order in the words of RemoteOrder."""
    return {
        "external_id": str(number),
        "number": f"W-{number}",
        "status": status,
        "is_paid": True,
        "placed_at": "2026-11-30T10:00:00Z",
        "updated_at": "2026-11-30T10:00:00Z",
        "lines": [
            {
                "sku": sku,
                "quantity": quantity,
                "unit_price": {"amount": 1999, "currency": "EUR"},
                "title": "Scarf",
                "discounts": [],
                "taxes": [],
            }
        ],
        "total": {"amount": 1999 * quantity, "currency": "EUR"},
        "discounts": [],
        "taxes": [],
        "shipping": None,
        "customer": {"email": "ada@example.com", "name": "Ada Lovelace"},
        "shipping_address": {"line1": "1 Quay", "city": "Portsea", "postal_code": "PO1 3AX", "country": "GB"},
    }
