"""What catalog hears from others."""

from services.catalog.repository import connections, shops
from services.catalog.use_cases.channel_content import DROP_CONTENT
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.catalog.events import ShopTermsChanged
from shared.contracts.sync.events import ConnectionChanged, ConnectionRemoved
from shared.service import listens
from shared.unit_of_work import UnitOfWork


@listens(ShopChanged)
async def keep_shop(event: ShopChanged, uow: UnitOfWork) -> None:
    """Take over a shop that is newer than the copy; tell when its heirs sell differently. Safe to repeat and reorder.

    Whoever asks about the shop itself waits for its version; that of its ancestors nobody knows to wait for.
    """
    taken = await shops.COPY.take(uow, event.shop)
    if taken is None or not shops.sells_differently(taken.before, event.shop):
        return
    if await shops.has_heirs(uow, event.shop.id):
        uow.record(ShopTermsChanged(shop_id=event.shop.id))


@listens(ShopRemoved)
async def forget_shop(event: ShopRemoved, uow: UnitOfWork) -> None:
    """A shop that is gone is gone for good. Safe to repeat and to reorder."""
    await shops.COPY.forget(uow, event.shop_id)


@listens(ConnectionChanged)
async def keep_connection(event: ConnectionChanged, uow: UnitOfWork) -> None:
    """Take over a connection that is newer than the copy. Safe to repeat and to reorder."""
    await connections.take(uow, [event.connection])


@listens(ConnectionRemoved)
async def forget_connection(event: ConnectionRemoved, uow: UnitOfWork) -> None:
    """It is gone for good, and what it has of products goes by a task. Safe to repeat and to reorder."""
    await connections.forget(uow, event.connection_id)
    uow.defer(DROP_CONTENT, {"connection_id": str(event.connection_id)})
