"""What is kept on a person, told whole; and a person forgotten, while the books keep what they need."""

from uuid import UUID

from services.orders.errors import CustomerHasOpenOrders, OnlyForTheWhole
from services.orders.repository import customers as book
from services.orders.repository.customers import Erased, Sight
from services.orders.use_cases import customers, reading
from shared import clock
from shared.contracts.orders.customers import Customer, CustomerExport, EraseCustomer, ExportCustomer
from shared.contracts.orders.events import CustomerErased
from shared.contracts.payments.messages import GetPaymentRecords
from shared.imports import images
from shared.imports import rows as import_rows
from shared.pagination import cursor_for, cursor_id, cursor_time, cursor_values
from shared.unit_of_work import UnitOfWork

ORDERS_PER_EVENT = 1000


def _require_whole_sight(uow: UnitOfWork) -> None:
    if not Sight.of(uow).is_whole:
        raise OnlyForTheWhole("A person's data are of every shop; this caller sees some of them.")


async def export(uow: UnitOfWork, message: ExportCustomer) -> CustomerExport:
    """Raises CustomerNotFound, OnlyForTheWhole."""
    _require_whole_sight(uow)
    position = cursor_values(message.after, 2)
    after = (cursor_time(position[0]), cursor_id(position[1])) if position else None
    async with uow.beforehand() as earlier:
        await book.get(earlier, message.customer_id)
        found = await book.list_order_ids(earlier, message.customer_id, after, message.first + 1)
    page = found[: message.first]
    order_ids = [row["id"] for row in page]
    records = await uow.ask(GetPaymentRecords(order_ids=order_ids))
    if after is None:
        uow.audit("customer.export", "customer", message.customer_id)
    following = None
    if len(found) > message.first:
        following = cursor_for(page[-1]["placed_at"].isoformat(), str(page[-1]["id"]))
    return CustomerExport(
        customer=await customers.get(uow, message.customer_id),
        items=await reading.list_whole(uow, order_ids),
        payments=records.payments,
        next=following,
    )


async def erase(uow: UnitOfWork, message: EraseCustomer) -> Customer:
    """Forget a person, once. Raises CustomerNotFound, CustomerChangedSince, CustomerHasOpenOrders, OnlyForTheWhole."""
    _require_whole_sight(uow)
    row = await book.get(uow, message.customer_id, lock=True)
    if row["erased_at"] is None:
        customers.check_version(row, message.expected_version)
        await _check_orders(uow, message.customer_id, row["email"])
        await _replace(uow, message.customer_id, row["email"])
        uow.audit("customer.erase", "customer", message.customer_id, reason=message.reason)
    return await customers.get(uow, message.customer_id)


async def _check_orders(uow: UnitOfWork, customer_id: UUID, email: str) -> None:
    numbers = [*await book.list_open_numbers(uow, customer_id), *await book.list_waiting(uow, email)]
    if numbers:
        raise CustomerHasOpenOrders(
            "Complete or cancel the customer's orders first: " + ", ".join(numbers[:5]) + ".",
            [{"number": number} for number in numbers],
        )


async def _replace(uow: UnitOfWork, customer_id: UUID, email: str) -> None:
    erased = Erased(email=f"erased-{customer_id.hex}@erased.invalid")
    now = clock.now()
    values = {"email": erased.email, "name": erased.name, "phone": None, "customer_group": None, "notes": None}
    await book.put(uow, customer_id, {**values, "erased_at": now}, now)
    await book.put_addresses(uow, customer_id, [])
    order_ids = await book.erase_orders(uow, customer_id, erased, uow.caller.name or uow.caller.kind, now)
    await book.erase_quotes(uow, email)
    told = await book.erase_imported(uow, email, order_ids)
    named = await images.forget(uow, "customers", str(customer_id))
    await import_rows.forget_named(uow, "customers", [email, *named])
    for some in _in_portions([*order_ids, *(each for each in told if each not in set(order_ids))]):
        uow.record(CustomerErased(customer_id=customer_id, order_ids=some))


def _in_portions(order_ids: list[UUID]) -> list[list[UUID]]:
    """Orders in events of bounded size; one event also for somebody who never bought."""
    return [order_ids[at : at + ORDERS_PER_EVENT] for at in range(0, len(order_ids), ORDERS_PER_EVENT)] or [[]]
