"""A SQL database as a system: the queries are the merchant's (queries.py), their columns headings as files have them.

A write and the memory of its key are one transaction: a key that is known was done, and one that is not was not.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Connection

from deploy.agent import records
from deploy.agent.database import Conflict, Database, execute, time_of
from deploy.agent.queries import ListQueries, Queries, StockQueries
from deploy.agent.source import FIRST_RETRY_SECONDS, Item, NotNow, Refused, Source, person, stock_decision
from services.sync.platforms.files.mapping import table
from services.sync.platforms.http import how_far_ahead

# What a record is known by, where a query has no column `cursor`.
_KEYS = {"products": "handle", "stock": "sku", "orders": "external_id"}
_CURSOR = "cursor"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_ROWS = 100_000
Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Rows:
    """Whole records, as rows, and behind what the next page begins; None: there are no more."""

    headings: Sequence[str]
    rows: Sequence[Row]
    following: Any


class _Untouched(Exception):
    """A statement has touched nothing: the transaction is not to be kept."""


class SqlSource(Source):
    """The database."""

    def __init__(self, database: Database, queries: Queries) -> None:
        """Raises Refused."""
        self._database, self._queries = database, queries
        self._settings = records.rules(queries.currency, queries.location)
        self._zone = ZoneInfo(queries.time_zone or "UTC")
        self._remembers = False

    async def hello(self) -> Item:
        queries = self._queries
        await self._database.run(lambda connection: execute(connection, "SELECT 1", {}))
        if any(right.startswith("write:") for right in queries.can):
            await self._remember()
        places = [place.model_dump() for place in queries.places] or [
            {"id": queries.location, "name": queries.location}
        ]
        same = {"name": queries.name, "currency": queries.currency, "time_zone": queries.time_zone}
        return {
            "protocol": 1,
            **same,
            "can": queries.can,
            "places": places,
            "order_statuses": queries.order_statuses,
        }

    async def page(self, asked: Mapping[str, Any]) -> Item:
        name, queries = self._listed(asked)
        since = _BEGINNING if asked["since"] is None else datetime.fromisoformat(asked["since"]).astimezone(self._zone)
        after = queries.after if asked["after"] is None else _after(asked["after"])
        found, told = await self._database.run(
            lambda connection: (_page(connection, name, queries, since, after, asked), time_of(connection))
        )
        self.ahead = how_far_ahead(told, self.ahead)
        following = None if found.following is None else orjson.dumps(found.following).decode()
        return self._listed_rows(name, found, following)

    async def read(self, asked: Mapping[str, Any]) -> Item:
        name, queries = self._listed(asked)
        if queries.read is None:
            raise Refused(f"There is no query that reads {name} by their ids: [{name}] read.")
        sql, values = queries.read, {"ids": _ids(name, asked["ids"])}
        found = await self._database.run(lambda connection: _fetched(execute(connection, sql, values)))
        wanted = set(asked["ids"])
        given = self._listed_rows(name, found, None)
        return given | {"items": [item for item in given["items"] if item["id"] in wanted]}

    async def write(self, name: str, item: Mapping[str, Any]) -> Item:
        if f"write:{name}" not in self._queries.can:
            raise Refused(f"There are no statements that write {name}.")
        await self._remember()
        work = self._write_stock if name == "stock" else self._ship
        try:
            return await self._database.run(lambda connection: work(connection, item), is_write=True)
        except _Untouched:
            return person("A statement of [shipments] touched nothing, and nothing of the shipment was kept.")
        except Conflict as error:
            if await self._database.run(lambda connection: self._id_of(connection, item)) is None:
                raise
            # Another agent has done the same meanwhile: the next look finds it.
            raise NotNow(error.message, FIRST_RETRY_SECONDS) from error

    async def close(self) -> None:
        await self._database.close()

    # --- reading

    def _listed(self, asked: Mapping[str, Any]) -> tuple[str, ListQueries]:
        name: str = asked["list"]
        queries: ListQueries | None = getattr(self._queries, name, None) if name in _KEYS else None
        if queries is None:
            raise Refused(f"There are no queries of {name}.")
        return name, queries

    def _listed_rows(self, name: str, found: _Rows, following: str | None) -> Item:
        if not found.rows:
            return records.listed((), following)
        headings = [heading for heading in found.headings if heading != _CURSOR]
        cells = [[_cell(row[heading], self._zone) for heading in headings] for row in found.rows]
        with tempfile.NamedTemporaryFile(prefix="crossdock-") as file:
            file.write(table(headings, cells))
            file.flush()
            moment = int(datetime.now(UTC).timestamp() * 1e9)
            opened = records.opened(Path(file.name), name, self._settings, moment)
        return records.listed(list(records.all_of(opened)), following)

    # --- writing

    async def _remember(self) -> None:
        """Make the table of the agent's own, once."""
        if not self._remembers:
            columns = "operation_key VARCHAR(100) PRIMARY KEY, id VARCHAR(200) NOT NULL"
            sql = f"CREATE TABLE IF NOT EXISTS {self._queries.memory} ({columns})"
            try:
                await self._database.run(lambda connection: execute(connection, sql, {}), is_write=True)
            except Conflict as error:
                # PostgreSQL, when another agent makes it in this very moment.
                raise NotNow(error.message, FIRST_RETRY_SECONDS) from error
            self._remembers = True

    def _write_stock(self, connection: Connection, item: Mapping[str, Any]) -> Item:
        stock = self._queries.stock
        assert isinstance(stock, StockQueries)
        assert stock.current is not None
        if (known := self._id_of(connection, item)) is not None:
            return {"outcome": "ok", "id": known}
        values = {name: item[name] for name in ("operation_key", "sku", "location", "quantity")}
        row = execute(connection, stock.current, values).first()
        if row is None or row[0] is None:
            return person(f"There is no stock of {item['sku']} at {item['location']}.")
        if (decided := stock_decision(item, int(row[0]))) is not None:
            return decided
        if not self._done(connection, stock.write, values | {"current": int(row[0])}):
            raise NotNow("The stock changed in this very moment.", FIRST_RETRY_SECONDS)
        self._note(connection, item, item["id"])
        return {"outcome": "ok", "id": item["id"]}

    def _ship(self, connection: Connection, item: Mapping[str, Any]) -> Item:
        shipments = self._queries.shipments
        assert shipments is not None
        if (known := self._id_of(connection, item)) is not None:
            return {"outcome": "ok", "id": known}
        values = {name: item[name] for name in ("operation_key", "order_id", "carrier", "tracking_url")}
        values["tracking_numbers"] = " ".join(item["tracking_numbers"])
        if execute(connection, shipments.order, values).first() is None:
            return person(f"There is no order {item['order_id']}.")
        done = [self._done(connection, shipments.write, values)]
        for line in item["lines"]:
            of_line = values | {"sku": line["sku"], "quantity": line["quantity"]}
            done.append(self._done(connection, shipments.line, of_line))
        if not all(done):
            raise _Untouched
        self._note(connection, item, item["operation_key"])
        return {"outcome": "ok", "id": item["operation_key"]}

    def _done(self, connection: Connection, statements: Sequence[str], values: Mapping[str, Any]) -> bool:
        """All of them. Whether each has touched something, as far as the database says."""
        counts = [execute(connection, sql, values).rowcount for sql in statements]
        return 0 not in counts

    def _id_of(self, connection: Connection, item: Mapping[str, Any]) -> str | None:
        sql = f"SELECT id FROM {self._queries.memory} WHERE operation_key = :key"  # noqa: S608
        row = execute(connection, sql, {"key": item["operation_key"]}).first()
        return None if row is None else str(row[0])

    def _note(self, connection: Connection, item: Mapping[str, Any], external_id: str) -> None:
        sql = f"INSERT INTO {self._queries.memory} (operation_key, id) VALUES (:key, :id)"  # noqa: S608
        execute(connection, sql, {"key": item["operation_key"], "id": external_id})


def _page(
    connection: Connection, name: str, queries: ListQueries, since: datetime, after: Any, asked: Mapping[str, Any]
) -> _Rows:
    """So many rows, without the last record, which may go on behind them; more where it is the only one."""
    limit: int = asked["limit"]
    while True:
        found = _fetched(execute(connection, queries.page, {"since": since, "after": after, "limit": limit}))
        if len(found.rows) < limit:
            return found
        column = _cursor_of(name, found.headings)
        whole = [list(rows) for _, rows in groupby(found.rows, key=lambda row: row[column])][:-1]
        if whole:
            following = whole[-1][-1][column]
            if following == after:
                raise Refused(f"The query of {name} gives again what stood before ':after'.")
            return _Rows(found.headings, [row for rows in whole for row in rows], following)
        if limit >= _MOST_ROWS:
            raise Refused(f"A record of {name} has more than {_MOST_ROWS} rows, or the query does not heed ':limit'.")
        limit = min(limit * 2, _MOST_ROWS)


def _cursor_of(name: str, headings: Sequence[str]) -> str:
    for column in (_CURSOR, _KEYS[name]):
        if column in headings:
            return column
    raise Refused(f"The query of {name} has no column '{_KEYS[name]}'.")


def _fetched(result: Any) -> _Rows:
    return _Rows(list(result.keys()), list(result.mappings()), None)


def _ids(name: str, ids: Sequence[str]) -> list[str]:
    """What the query looks for: of stock levels their SKUs."""
    return [each.split("/", 1)[-1] for each in ids] if name == "stock" else list(ids)


def _after(text: str) -> Any:
    """Raises Refused."""
    try:
        found = orjson.loads(text)
    except ValueError:
        raise Refused("'after' is none of ours.") from None
    if not isinstance(found, str | int):
        raise Refused("'after' is none of ours.")
    return found


def _cell(value: Any, zone: ZoneInfo) -> str:
    """A value as files have it; a time without a zone is one of `zone`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=zone)).isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)
