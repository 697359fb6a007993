"""Which channel is meant: a shop by its code, or a connection by its id, which stands below its shop (CAT-4)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.catalog.errors import ConnectionNotFound
from services.catalog.repository import connections, shops
from services.catalog.repository.connections import KnownConnection
from services.catalog.repository.shops import KnownShop
from shared.contracts.catalog.channel_content import OfChannel
from shared.contracts.sync.standings import GetConnectionIdentities
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Channel:
    """A shop, or a connection of it."""

    shop: KnownShop
    connection_id: UUID | None = None

    @property
    def id(self) -> UUID:
        return self.connection_id or self.shop.id

    @property
    def has_parent(self) -> bool:
        """Whether it shows what another channel has, where it decided nothing."""
        return self.connection_id is not None or self.shop.parent_id is not None

    def line(self, shops_of_line: Sequence[KnownShop]) -> list[KnownShop]:
        """Itself, then whom it inherits from, nearest first; `shops_of_line` begins with its shop."""
        first = [] if self.connection_id is None else [connections.below(self.shop, self.connection_id)]
        return [*first, *shops_of_line]

    def told(self) -> dict[str, str]:
        """As the audit log tells it."""
        return {"shop": self.shop.code, **({"connection_id": str(self.connection_id)} if self.connection_id else {})}


async def get(uow: UnitOfWork, named: OfChannel, *, lock: bool = False) -> Channel:
    """With `lock` it is there until the transaction ends. Raises ShopNotFound, ConnectionNotFound.

    A connection that was not heard of yet is asked for, where this transaction has not begun.
    """
    if named.connection_id is None:
        assert named.shop is not None
        return Channel(await shops.get_by_code(uow, named.shop))
    if not uow.is_open:
        await _hear_of(uow, named.connection_id)
    known = await connections.find(uow, named.connection_id, lock=lock)
    if known is None or known.is_removed or known.shop_id is None or not uow.caller.sees_shop(known.shop_id):
        raise ConnectionNotFound("There is no such connection.")
    return Channel(await shops.get(uow, known.shop_id), known.id)


async def _hear_of(uow: UnitOfWork, connection_id: UUID) -> None:
    """Its announcement may still be on the way, or have been made before catalog kept any."""
    async with uow.beforehand() as earlier:
        known = await connections.find(earlier, connection_id)
    if known is None:
        told = (await uow.ask(GetConnectionIdentities())).connections
        if any(each.id == connection_id for each in told):
            await connections.take(uow, told)


class Book:
    """The channels that a file may name: shops by code, connections by id, or by a name that is one's alone."""

    def __init__(self, found: Sequence[KnownShop], named: Sequence[KnownConnection], usual: UUID | None) -> None:
        by_id = {shop.id: shop for shop in found}
        self.channels = [*map(Channel, found)]
        self._shops = {shop.code: Channel(shop) for shop in found}
        self._connections: dict[str, list[Channel]] = {}
        self._names: dict[UUID, str] = {}
        for each in named:
            if each.shop_id in by_id:
                channel = Channel(by_id[each.shop_id], each.id)
                self.channels.append(channel)
                self._names[each.id] = each.name
                for said in {str(each.id), each.name}:
                    self._connections.setdefault(said, []).append(channel)
        self._usual = Channel(by_id[usual]) if usual in by_id else None

    def find(self, shop: str | None, connection: str | None) -> Channel | tuple[str, str, str]:
        """The channel that a row names, or column, code and sentence of why there is none."""
        if shop is not None and shop not in self._shops:
            return "shop", "shop_not_found", f"There is no shop with the code '{shop[:100]}'."
        if connection is None:
            named = self._usual if shop is None else self._shops[shop]
            return named or ("shop", "channel_not_named", "The row names neither a shop nor a connection.")
        found = self._connections.get(connection, [])
        if shop is not None:
            found = [channel for channel in found if channel.shop.code == shop]
        if not found:
            return "connection", "connection_not_found", f"There is no connection '{connection[:100]}' here."
        if len(found) > 1:
            return "connection", "ambiguous_connection", "Several connections are called so: name it by its id."
        return found[0]

    def name(self, channel: Channel) -> str:
        """What a file calls a connection, so that it is found again: its name, or where others have it too its id."""
        if channel.connection_id is None:
            return ""
        name = self._names[channel.connection_id]
        return name if len(self._connections[name]) == 1 else str(channel.connection_id)


async def book(uow: UnitOfWork, shop_id: UUID | None, shop_ids: Collection[UUID] | None = None) -> Book:
    """Of all shops; of one alone, which a row need not name; or of these."""
    found = await shops.list_all(uow)
    if shop_id is not None:
        found = [shop for shop in found if shop.id == shop_id]
    if shop_ids is not None:
        found = [shop for shop in found if shop.id in shop_ids]
    return Book(found, await connections.list_all(uow), shop_id)
