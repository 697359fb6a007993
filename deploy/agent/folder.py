"""A folder of CSV files as a system.

    products.csv stock.csv orders.csv    what there is, with the headings of the platform `files`
    stock.csv                            stock is written into it
    out/                                 a file for each shipment

Whoever writes these files writes another one and renames it: a file is read when nobody has touched it for a second.
"""

import asyncio
import csv
import io
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson

from deploy.agent import records
from deploy.agent.memory import Memory
from deploy.agent.source import FIRST_RETRY_SECONDS, Item, NotNow, Refused, Source, person, stock_decision
from services.sync.platforms.base import Record, ShipmentWrite
from services.sync.platforms.files import mapping, outbox
from services.sync.platforms.files.reading import Reading
from shared.errors import CrossdockError
from shared.impex.source import CsvSource
from shared.imports.tables import TableLayout

T = TypeVar("T")
# When it was written to, in nanoseconds, its size and its number on the disk.
_Mark = tuple[int, int, int]
_READ = ("products", "stock", "orders")
# Nobody else's: whoever writes these files may call its own unfinished one `stock.csv.part`.
_UNFINISHED = ".crossdock-{}.part"
_SETTLED_SECONDS = 1.0
_MOST_LOOKS = 30


@dataclass
class _Open:
    """A file that is being given page by page."""

    name: str
    reading: Reading
    mark: _Mark


class FolderSource(Source):
    """The folder. `location` is the place of stock levels that name none."""

    def __init__(self, path: Path, *, currency: str = "EUR", location: str = "main") -> None:
        """Raises Refused."""
        if not path.is_dir():
            raise Refused(f"There is no folder '{path}'.")
        self._path = path
        self._settings = records.rules(currency, location)
        self._open: _Open | None = None
        # The stock file as it was written here: whole, so that the next write does not wait for it to settle.
        self._laid: _Mark | None = None

    async def hello(self) -> Item:
        return await self._apart(self._hello)

    async def page(self, asked: Mapping[str, Any]) -> Item:
        return await self._apart(self._page, asked)

    async def read(self, asked: Mapping[str, Any]) -> Item:
        return await self._apart(self._read, asked)

    async def write(self, name: str, item: Mapping[str, Any]) -> Item:
        if name not in ("stock", "shipments"):
            raise Refused(f"A folder takes no {name}.")
        return await self._apart(self._write_stock if name == "stock" else self._ship, item)

    async def close(self) -> None:
        self._open = None

    async def _apart(self, work: Callable[..., T], *arguments: Any) -> T:
        """In a thread, with what the disk says in words."""
        try:
            return await asyncio.to_thread(work, *arguments)
        except (OSError, sqlite3.Error) as error:
            raise NotNow(f"{self._path}: {error}", FIRST_RETRY_SECONDS) from error

    # --- reading

    def _hello(self) -> Item:
        settings = self._settings
        places = {settings.location: None}
        if self._file("stock").exists():
            known = records.all_of(self._opened("stock"))
            places |= {thing.fields["location"]: None for thing in known if isinstance(thing, Record)}
        can = [f"read:{name}" for name in _READ if self._file(name).exists()]
        if os.access(self._path, os.W_OK):
            can += ["write:shipments", *(["write:stock"] if self._file("stock").exists() else [])]
        return {
            "protocol": 1,
            "name": self._path.resolve().name,
            "currency": settings.currency,
            "can": can,
            "places": [{"id": place, "name": place} for place in places],
        }

    def _page(self, asked: Mapping[str, Any]) -> Item:
        """Where a file has changed since the page before, it is read from its beginning."""
        name = self._listed(asked)
        if asked["since"] is not None and self._changed_at(name) < datetime.fromisoformat(asked["since"]).timestamp():
            return records.listed(())
        digest, given = _place(asked["after"])
        known = self._open if self._open is not None and self._open.name == name else None
        current = known.reading if known is not None and known.mark == _mark(self._file(name)) else None
        if current is None or given < current.given or current.sha256 != digest:
            mark = _mark(self._file(name))
            current = self._opened(name)
            self._open = _Open(name, current, mark)
            given = given if current.sha256 == digest else 0
        things, has_more = records.some(current, asked["limit"], given)
        following = orjson.dumps([current.sha256, given + len(things)]).decode() if has_more else None
        if not has_more:
            self._open = None
        return records.listed(things, following)

    def _read(self, asked: Mapping[str, Any]) -> Item:
        wanted = set(asked["ids"])
        found = records.all_of(self._opened(self._listed(asked)))
        return records.listed([thing for thing in found if isinstance(thing, Record) and thing.external_id in wanted])

    def _listed(self, asked: Mapping[str, Any]) -> str:
        name: str = asked["list"]
        if name not in _READ or not self._file(name).exists():
            raise Refused(f"There is no '{name}.csv' in the folder.")
        return name

    def _file(self, name: str) -> Path:
        return self._path / f"{name}.csv"

    def _changed_at(self, name: str) -> float:
        """Also when another file was given its name."""
        seen = self._file(name).stat()
        return max(seen.st_mtime, seen.st_ctime)

    def _opened(self, name: str) -> Reading:
        """Raises NotNow, Refused."""
        return self._settled(name, lambda path, mark: records.opened(path, name, self._settings, mark[0]))[0]

    def _settled(self, name: str, read: Callable[[Path, _Mark], T]) -> tuple[T, _Mark]:
        """What is read of a file, and its mark, when nobody else has written to it for a second. Raises NotNow."""
        path = self._file(name)
        for _ in range(_MOST_LOOKS):
            mark = _mark(path)
            age = time.time() - mark[0] / 1e9
            if mark != self._laid and 0 <= age < _SETTLED_SECONDS:
                time.sleep(_SETTLED_SECONDS - age)
                continue
            found = read(path, mark)
            if _mark(path) == mark:
                return found, mark
        raise NotNow(f"'{name}.csv' is written to all the time.", FIRST_RETRY_SECONDS)

    # --- writing

    def _write_stock(self, item: Mapping[str, Any]) -> Item:
        """Into the one row of the file. Whoever wrote to it meanwhile is not written over."""
        path, key = self._file("stock"), item["operation_key"]
        if not path.exists():
            raise Refused("There is no 'stock.csv' in the folder.")
        with Memory(self._path).alone() as memory:
            if (known := memory.id_of(key)) is not None:
                return {"outcome": "ok", "id": known}
            table, mark = self._settled("stock", lambda path, _: _Table.read(path))
            row = table.find(item["sku"], item["location"], self._settings.location)
            if row is None:
                return person(f"'stock.csv' has no row of {item['sku']} at {item['location']}.")
            now = table.quantity(row)
            if now is None:
                return person(f"'stock.csv' has no quantity of {item['sku']} at {item['location']} that can be read.")
            if (decided := stock_decision(item, now)) is not None:
                return decided
            table.put(row, item["quantity"])
            _lay(path, table.content())
            if _mark(path) != mark:
                raise NotNow("'stock.csv' was written to meanwhile.", FIRST_RETRY_SECONDS)
            os.replace(_unfinished(path), path)
            self._laid = _mark(path)
            memory.note(key, item["id"])
        return {"outcome": "ok", "id": item["id"]}

    def _ship(self, item: Mapping[str, Any]) -> Item:
        """A file of its own: laid beside, noted, then given its name, so that it is there once whatever is killed."""
        key = item["operation_key"]
        path = self._path / "out" / f"shipment{outbox.shipment_named(key)[len('-shipment') :]}"
        part = _unfinished(path)
        with Memory(self._path).alone() as memory:
            if memory.id_of(key) is None:
                if not self._has_order(item["order_id"]):
                    return person(f"'orders.csv' has no order {item['order_id']}.")
                path.parent.mkdir(exist_ok=True)
                _lay(path, mapping.shipment_file(_shipment(item)))
                memory.note(key, key)
                memory.keep()
            if part.exists():
                os.replace(part, path)
        return {"outcome": "ok", "id": key}

    def _has_order(self, order_id: str) -> bool:
        if not self._file("orders").exists():
            return False
        found = records.all_of(self._opened("orders"))
        return any(isinstance(thing, Record) and thing.external_id == order_id for thing in found)


class _Table:
    """The stock file as it is written: its cells, delimiter and encoding stay as they are."""

    def __init__(self, source: CsvSource, rows: list[list[str]], ending: str) -> None:
        self._source, self._rows, self._ending = source, rows, ending
        columns, _ = mapping.TABLES["stock"]
        self._index = TableLayout.of(source.header, columns, "stock").index

    @classmethod
    def read(cls, path: Path) -> "_Table":
        """Raises Refused."""
        try:
            source = CsvSource.open(path)
            with path.open(encoding=source.encoding, newline="") as text:
                first = text.readline()
                text.seek(0)
                rows = list(csv.reader(text, delimiter=source.delimiter))
            return cls(source, rows, "\r\n" if first.endswith("\r\n") else "\n")
        except (CrossdockError, UnicodeError, csv.Error) as error:
            raise Refused(f"'{path.name}': {error}") from error

    def find(self, sku: str, location: str, usual: str) -> list[str] | None:
        place = self._index.get("location")
        for row in self._rows[1:]:
            if len(row) > max(self._index.values()) and row[self._index["sku"]].strip() == sku:
                there = row[place].strip() if place is not None else ""
                if (there or usual) == location:
                    return row
        return None

    def quantity(self, row: list[str]) -> int | None:
        try:
            return int(row[self._index["quantity"]])
        except ValueError:
            return None

    def put(self, row: list[str], quantity: int) -> None:
        row[self._index["quantity"]] = str(quantity)

    def content(self) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._source.delimiter, lineterminator=self._ending).writerows(self._rows)
        return text.getvalue().encode(self._source.encoding)


def _unfinished(path: Path) -> Path:
    return path.with_name(_UNFINISHED.format(path.name))


def _lay(path: Path, content: bytes) -> None:
    """Beside a file, whole and on the disk, what is to be it. Whoever lays is alone: what lies there was left by one
    that was killed."""
    part = _unfinished(path)
    part.unlink(missing_ok=True)
    with part.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _mark(path: Path) -> _Mark:
    """Different once somebody has written to a file, or given its name to another."""
    seen = path.stat()
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def _place(after: str | None) -> tuple[str, int]:
    """Raises Refused."""
    if after is None:
        return "", 0
    try:
        digest, given = orjson.loads(after)
        return str(digest), int(given)
    except (ValueError, TypeError):
        raise Refused("'after' is none of ours.") from None


def _shipment(item: Mapping[str, Any]) -> ShipmentWrite:
    lines = [(line["sku"], line["quantity"]) for line in item["lines"]]
    same = (item["carrier"], item["tracking_numbers"], item["tracking_url"])
    return ShipmentWrite(item["operation_key"], item["order_id"], lines, *same)
