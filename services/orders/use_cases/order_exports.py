"""Orders as rows of a file, oldest first, one row per line: imported again, every order is unchanged.

An order of a connection is told as the connection told it, with the time of its last change over there. Any other,
one of the storefront as one whose customer was erased or whose connection is gone, names `crossdock` as its connection
and has its own id: an import finds it here and leaves it as it is (order_files.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from services.orders.repository import imported, lists
from services.orders.use_cases import finding, listing, reading
from services.orders.use_cases.finding import Position
from shared import clock
from shared.contracts.orders.imported import RemoteOrder
from shared.contracts.orders.lists import OrderFilter
from shared.contracts.orders.shapes import Order
from shared.contracts.platform.exported import ReadRows
from shared.exported import ExportedGroup, Filter, headings_of
from shared.imports.order_rows import ADDRESS, OWN_ORDERS
from shared.money import Money
from shared.pagination import cursor_for, cursor_id, cursor_time, cursor_values
from shared.unit_of_work import UnitOfWork

_HEADINGS = headings_of("orders")
# An order has up to a thousand lines: after so many rows no more orders are read.
_MOST_ORDERS = 300
_ENOUGH_ROWS = 2000
# Stands for the goods of an order without lines.
_NOTHING = {"sku": "-", "quantity": "1", "unit_price": "0"}


def _asked(told: Filter) -> OrderFilter:
    return OrderFilter.model_validate(told or {})


async def _count(uow: UnitOfWork, told: Filter) -> int:
    """How many there are at most: words, and how orders stand on connections, narrow them further."""
    asked = _asked(told)
    question = lists.question_of(asked, await listing.windows_of(uow, asked))
    return sum(row["orders"] for row in await lists.count(uow, question))


async def _read(uow: UnitOfWork, after: str | None, _first: int, told: Filter) -> ReadRows:
    """Of the orders that there were when the first of them were asked for. Days are those of that moment."""
    asked = _asked(told)
    asked_at, position = _position(after)
    async with uow.beforehand() as earlier:
        windows = await listing.windows_of(earlier, asked, asked_at)
    found = await finding.find(uow, asked, windows, None, most=_MOST_ORDERS, after=position, oldest_first=True)
    question = lists.question_of(asked, windows)
    question.where("o.placed_at <= {}", asked_at)
    if found is not None:
        found.narrow(question)
    listed = await lists.list_ids(uow, question, position, _MOST_ORDERS)
    orders = await reading.list_whole(uow, [row["id"] for row in listed])
    rows, taken = await _rows(uow, orders)
    goes_on = None if found is None else found.goes_on
    if taken < len(listed) or len(listed) == _MOST_ORDERS:
        goes_on = listed[taken - 1]["placed_at"], listed[taken - 1]["id"]
    following = goes_on and cursor_for(asked_at.isoformat(), goes_on[0].isoformat(), str(goes_on[1]))
    return ReadRows(rows=rows, number=taken, next=following)


def _position(after: str | None) -> tuple[datetime, Position | None]:
    values = cursor_values(after, 3)
    if values is None:
        return clock.now(), None
    return cursor_time(values[0]), (cursor_time(values[1]), cursor_id(values[2]))


async def _rows(uow: UnitOfWork, orders: Sequence[Order]) -> tuple[list[list[str]], int]:
    """The rows of the first of these orders, and of how many they are."""
    remotes = await imported.remotes_of(uow, [order.id for order in orders])
    rows: list[list[str]] = []
    for number, order in enumerate(orders):
        if len(rows) >= _ENOUGH_ROWS:
            return rows, number
        remote = remotes.get(order.id)
        rows += _of_connection(remote) if remote is not None else _own(order)
    return rows, len(orders)


def _cells(whole: Mapping[str, str | None], lines: Sequence[Mapping[str, str | None]]) -> Iterator[list[str]]:
    for line in lines:
        said = {**whole, **line}
        yield [said.get(name) or "" for name in _HEADINGS]


def _of_connection(row: Mapping[str, Any]) -> Iterator[list[str]]:
    remote = RemoteOrder.model_validate(orjson.loads(row["remote"]))
    whole = {
        "external_id": row["external_id"],
        "connection": str(row["connection_id"]),
        "number": remote.number,
        "status": row["status"],
        "is_paid": _flag(row["is_paid"]),
        "placed_at": remote.placed_at.isoformat(),
        "updated_at": row["updated_at"].isoformat(),
        "currency": remote.total.currency,
        "total": _major(remote.total),
        **_charges("discount", remote.discounts),
        **_charges("tax", remote.taxes),
        **_people(remote.customer, remote.shipping_address),
    }
    included = [tax for tax in (*remote.taxes, *(tax for line in remote.lines for tax in line.taxes)) if tax.included]
    whole["tax_included"] = "true" if included else ""
    if remote.shipping is not None:
        price, method = _major(remote.shipping.price), remote.shipping.method
        whole |= {"shipping_price": price, "shipping_method": method, "shipping_title": remote.shipping.title}
    yield from _cells(
        whole,
        [
            {
                "sku": line.sku,
                "title": line.title,
                "quantity": str(line.quantity),
                "unit_price": _major(line.unit_price),
                "line_discount": _charges("line", line.discounts).get("line"),
                "line_tax": _charges("line", line.taxes).get("line"),
            }
            for line in remote.lines
        ],
    )


def _own(order: Order) -> Iterator[list[str]]:
    whole = {
        "external_id": str(order.id),
        "connection": OWN_ORDERS,
        "number": order.number,
        "status": order.status,
        "is_paid": _flag(order.paid.amount >= order.total.amount),
        "placed_at": order.placed_at.isoformat(),
        "updated_at": order.placed_at.isoformat(),
        "currency": order.currency,
        "total": _major(order.total),
        **_people(order.customer, order.shipping_address),
    }
    lines = [
        {"sku": line.sku, "title": line.title, "quantity": str(line.quantity), "unit_price": _major(line.unit_price)}
        for line in order.lines
    ]
    yield from _cells(whole, lines or [_NOTHING])


def _people(customer: Any, address: Any) -> dict[str, str | None]:
    said = {"customer_email": customer.email, "customer_name": customer.name} if customer else {}
    if address is None:
        return said
    return {**said, "ship_to": address.name, **{name: getattr(address, name) for name in ADDRESS}}


def _charges(name: str, charges: Sequence[Any]) -> dict[str, str | None]:
    """Several of a kind are one in a file, under the first one's name."""
    if not charges:
        return {}
    total = Money(amount=sum(each.amount.amount for each in charges), currency=charges[0].amount.currency)
    return {name: _major(total), f"{name}_name": charges[0].name}


def _major(money: Money) -> str:
    return str(money.major)


def _flag(value: bool) -> str:
    return "true" if value else "false"


EXPORTED = ExportedGroup("orders", _count, _read)
