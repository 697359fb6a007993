"""Order files: what another system exports, one row per line. They go the way of orders that a connection sends.

| heading | what it holds |
|---|---|
| `external_id` | the order's id over there: in every row of the order, wherever these stand |
| `connection` | whose orders they are: the id of a connection, or its name; where there is one only, it is meant |
| | `crossdock`: an order that is here, by its id, as exports have them: it stays as it is, whatever its row says |
| `status`, `is_paid`, `placed_at`, `currency`, `total` | of the order; the status by the connection's map |
| `updated_at` | when it changed over there: then in every order |
| `number` | what people call it over there |
| `discount`, `discount_name`, `tax`, `tax_name`, `tax_included` | of the order as a whole; tax is added, or included |
| `shipping_price`, `shipping_method`, `shipping_title` | how it travels, the method by its code; free without a price |
| `customer_email`, `customer_name` | who buys |
| `ship_to`, `company`, `line1`, `line2`, `city`, `region`, `postal_code`, `country`, `phone` | where it goes |
| `sku`, `title`, `quantity`, `unit_price` | of the line |
| `line_discount`, `line_tax` | of all its units |

What is said of the order is said in one of its rows at least; rows that say it, too, must agree. With one error none of
its rows is taken. The newer `updated_at` counts; in a file without such a column an order is newer when it says
something else than is known. An order that is here already is followed by its status alone.

A chunk is kept by a few statements whatever is in it. What becomes of the orders is then decided one by one, by the
tasks that connections have, too: each asks for prices and reserves stock. So an import that is through has kept the
orders, and they are absorbed after it, at a pace at which whatever else there is to do is not kept waiting.

Which connection is a column, so that a corrected file, one that is fetched and one that is run again all say it
themselves; `shop` keeps a file to the connections of a shop. What an import wrote is not taken back: orders are in the
books, and stock was reserved for them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, repeat
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import UUID

import asyncpg

from services.orders.errors import OrderConnectionNotNamed
from services.orders.repository import imported, shops
from services.orders.repository.imported import Taking
from services.orders.use_cases import absorbing, connections
from shared import clock
from shared.bus.envelope import ShopNotFound
from shared.contracts.platform.imports import ImportOptions, ImportSample, SampleField, SampleKind
from shared.impex.arranging import ArrangedSource
from shared.impex.rows import Notice, RowError
from shared.imports.errors import ShopNotNamed, UnsupportedProfile
from shared.imports.groups import MOST_SAMPLES, Group, GroupFile, Opening
from shared.imports.order_rows import (
    COLUMNS,
    KEY,
    OWN_ORDERS,
    Assembly,
    Connections,
    FileOrder,
    OrderArrangement,
    OrderRows,
    gathered,
)
from shared.imports.tables import TableFile
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

CHUNK_ROWS = 2000
# What is due together lies in one queue with everybody's tasks and events. So many orders of a file are taken at once,
# of the others so many a second: two busy cores absorb 35.
AT_ONCE = 200
EACH_SECOND = 25.0
# Where a job's checkpoint keeps until when its orders are spread out.
_SPREAD_UNTIL = "spread_until"


async def check(uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """The shop whose connections are meant; None: any shop's. Raises ShopNotFound, ShopNotNamed, UnsupportedProfile."""
    if options.profile not in (None, "crossdock"):
        names = ", ".join(column.name for column in COLUMNS)
        raise UnsupportedProfile(f"A file of orders has the columns {names}; name no profile.")
    seen = uow.caller.shop_ids
    if options.shop is not None:
        shop = await shops.SHOPS.find_by_code(uow, options.shop)
        if shop is None or not uow.caller.sees_shop(shop["id"]):
            raise ShopNotFound(f"There is no shop with the code '{options.shop}'.")
        shop_id: UUID = shop["id"]
        return shop_id
    if seen is None or len(seen) == 1:
        return None if seen is None else next(iter(seen))
    raise ShopNotNamed("Say with ?shop= which of your shops the orders are for.")


async def prepare(uow: UnitOfWork, row: asyncpg.Record) -> Connections:
    """What the file may name."""
    return Connections(await imported.list_connections_of(uow, row["shop_id"]))


@dataclass(slots=True)
class OrderChunk:
    """Whole orders, and rows of others that are refused."""

    orders: list[FileOrder] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    rows: int = 0
    # Crossdock's own orders that the file has.
    own: list[OrderRows] = field(default_factory=list)


class OrderFile(GroupFile):
    """A file of orders."""

    def __init__(self, opening: Opening) -> None:
        self._file = TableFile(opening.source, COLUMNS, "orders", ())
        self.layout: Any = self._file.layout
        self._connections: Connections = opening.prepared
        self._arrangement = OrderArrangement(self.layout.index[KEY], self.layout.index.get("connection"))
        self._source = ArrangedSource(opening.source, self._arrangement, Path(gettempdir()))
        self._check_is_named()
        self._assembly = Assembly(self._file, self._connections, opening.row["created_at"])
        self._mode: str = opening.row["mode"]
        self._is_dry: bool = opening.row["dry_run"]
        self._samples: list[ImportSample] = []

    def _check_is_named(self) -> None:
        """Raises OrderConnectionNotNamed where nobody can tell whose orders these are."""
        if not self._connections.rows and not self._arrangement.has_own:
            raise OrderConnectionNotNamed("There is no connection yet: make one, which says what its statuses mean.")
        if self._connections.only is None and self.layout.heading("connection") is None:
            several = len(self._connections.rows)
            raise OrderConnectionNotNamed(f"Add a column headed 'connection': {several} could be meant.")

    # --- reading

    def chunks(self) -> Iterator[OrderChunk]:
        chunk = OrderChunk(notices=self._file.notices())
        for rows in gathered(self._source, self._file):
            self._put(chunk, rows)
            if chunk.rows >= CHUNK_ROWS:
                yield chunk
                chunk = OrderChunk()
        if chunk.rows:
            yield chunk

    def _put(self, chunk: OrderChunk, rows: OrderRows) -> None:
        chunk.rows += len(rows.numbers)
        if not rows.external_id:
            chunk.errors += rows.errors
            return
        if any(item.values.get("connection") == OWN_ORDERS for item in rows.items):
            chunk.own.append(rows)
            return
        order = self._assembly.order(rows, self._arrangement.doubt_about(rows.row))
        if order is None:
            chunk.errors += rows.refused()
        else:
            chunk.orders.append(order)

    # --- writing

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: OrderChunk, _number: int) -> None:
        self._samples = []
        due = _due(job)
        counts = dict.fromkeys(("inserted", "updated", "unchanged", "skipped"), 0)
        for connection, orders in self._by_connection(chunk):
            known = await _known(uow, connection, orders)
            wanted = [order for order in orders if self._is_wanted(order, known)]
            remotes = [order.remote for order in wanted]
            kept = await connections.keep(uow, connection["id"], remotes, self._taking, due)
            made = sum(row["is_new"] for row in kept.values())
            counts["inserted"] += made
            counts["updated"] += len(kept) - made
            counts["unchanged"] += len(wanted) - len(kept)
            counts["skipped"] += len(orders) - len(wanted)
            changed = [order for order in wanted if order.remote.external_id in kept]
            chunk.notices += _notices(connection, changed, known)
            if self._is_dry:
                self._samples += [_sample(connection, order, known) for order in changed[:MOST_SAMPLES]]
        counts["skipped" if self._mode == "insert-only" else "unchanged"] += await _leave_own(uow, chunk)
        for outcome, number in counts.items():
            job.count(f"orders_{outcome}", number)

    @property
    def _taking(self) -> Taking:
        if self._mode == "insert-only":
            return "new"
        return "different" if self.layout.heading("updated_at") is None else "newer"

    def _by_connection(self, chunk: OrderChunk) -> Iterator[tuple[asyncpg.Record, list[FileOrder]]]:
        """In one order, so that two files at once wait for each other and do not lock crosswise."""
        rows = {row["id"]: row for row in self._connections.rows}
        orders = sorted(chunk.orders, key=lambda order: order.connection_id)
        for connection_id, group in groupby(orders, key=lambda order: order.connection_id):
            yield rows[connection_id], list(group)

    def _is_wanted(self, order: FileOrder, known: Mapping[str, Any]) -> bool:
        is_known = order.remote.external_id in known
        return not (self._mode == "insert-only" and is_known) and not (self._mode == "update-only" and not is_known)

    # --- a dry run

    async def skipped(self, uow: UnitOfWork, chunk: OrderChunk, most: int) -> list[ImportSample]:
        left: list[str] = []
        for connection, orders in self._by_connection(chunk) if self._mode != "merge" else ():
            known = await _known(uow, connection, orders)
            left += [order.remote.external_id for order in orders if not self._is_wanted(order, known)]
        return [ImportSample(kind="skip", part="orders", name=name, fields=[]) for name in left[:most]]

    async def samples(self, _uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        found: list[ImportSample] = []
        for kind in ("insert", "update"):
            found += [sample for sample in self._samples if sample.kind == kind][: wanted.get(kind, 0)]
        return found


def _due(job: RunningJob) -> Iterator[datetime | None]:
    """When the job's next orders are absorbed, one after the other; None: at once.

    From now on and behind those before: a job that was taken up again after a pause makes up for nothing.
    """
    at_once = AT_ONCE - job.counters.get("orders_inserted", 0) - job.counters.get("orders_updated", 0)
    yield from repeat(None, max(at_once, 0))
    until = job.checkpoint.get(_SPREAD_UNTIL)
    following = clock.now() if until is None else datetime.fromisoformat(until)
    while True:
        due_at = max(following, clock.now())
        following = due_at + timedelta(seconds=1 / EACH_SECOND)
        job.checkpoint[_SPREAD_UNTIL] = following.isoformat()
        yield due_at


async def _known(uow: UnitOfWork, connection: asyncpg.Record, orders: Sequence[FileOrder]) -> dict[str, asyncpg.Record]:
    return await imported.find_known(uow, connection["id"], [order.remote.external_id for order in orders])


async def _leave_own(uow: UnitOfWork, chunk: OrderChunk) -> int:
    """Crossdock's own orders stay as they are: how many there are; what is none of them is refused."""
    ids = {rows.row: _order_id(rows.external_id) for rows in chunk.own}
    statuses = await imported.statuses_of(uow, [id_ for id_ in ids.values() if id_ is not None]) if ids else {}
    found = 0
    for rows in chunk.own:
        status = statuses.get(ids[rows.row] or _NOBODY)
        if status is None:
            message = f"There is no order of Crossdock's own with the id {rows.external_id[:100]!r}."
            chunk.errors += [RowError(row, None, None, "unknown_order", message) for row in rows.numbers]
            continue
        found += 1
        said = next((item.values["status"] for item in rows.items if item.values.get("status")), status)
        if said != status:
            message = f"The order is {status!r} and stays so: orders of Crossdock's own do not change by files."
            chunk.notices.append(Notice(rows.row, None, said, "own_order_stays", message))
    return found


_NOBODY = UUID(int=0)


def _order_id(external_id: str) -> UUID | None:
    try:
        return UUID(external_id)
    except ValueError:
        return None


def _is_here(order: FileOrder, known: Mapping[str, asyncpg.Record]) -> bool:
    """Whether it was imported already, so that nothing but its status is looked at."""
    before = known.get(order.remote.external_id)
    return before is not None and before["order_id"] is not None


def _notices(
    connection: asyncpg.Record, orders: Sequence[FileOrder], known: Mapping[str, asyncpg.Record]
) -> Iterator[Notice]:
    """Which orders will wait, as far as the file shows it."""
    for order in orders:
        aside = None if _is_here(order, known) else absorbing.foreseen(connection, order.remote)
        if aside is not None:
            message = f"The order {order.remote.external_id!r} is kept and waits: {aside.detail}"
            yield Notice(order.row, None, None, aside.reason, message)


def _sample(connection: asyncpg.Record, order: FileOrder, known: Mapping[str, asyncpg.Record]) -> ImportSample:
    """What the file says and is not known yet; `action` is what the connection's map says of the status."""
    remote, before = order.remote, known.get(order.remote.external_id)
    said = {
        "status": remote.status,
        "is_paid": remote.is_paid,
        "action": absorbing.action_for(connection, remote.status),
    }
    if before is None:
        said |= {
            "connection": connection["name"],
            "customer_email": remote.customer.email,
            "total": f"{remote.total.major} {remote.total.currency}",
            "lines": len(remote.lines),
        }
    had = {} if before is None else {**before, "action": absorbing.action_for(connection, before["status"])}
    fields = [
        SampleField(field=name, before=had.get(name), after=value)
        for name, value in said.items()
        if before is None or had[name] != value
    ]
    return ImportSample(
        kind="insert" if before is None else "update", part="orders", name=remote.external_id, fields=fields
    )


GROUP = Group(
    name="orders",
    modes=("merge", "insert-only", "update-only"),
    open=OrderFile,
    check=check,
    prepare=prepare,
    without={
        "replace": "An order that is here is followed by its status alone.",
        "delete": "Orders are cancelled, and stay: payments and shipments belong to them.",
    },
)
