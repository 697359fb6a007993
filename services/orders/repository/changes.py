"""Changes of orders' lines, by the ids they were prepared under in inventory."""

from uuid import UUID

from shared.unit_of_work import UnitOfWork


async def list_amendments(uow: UnitOfWork, order_id: UUID) -> list[UUID]:
    rows = await uow.fetch("SELECT amendment_id FROM order_amendments WHERE order_id = $1 ORDER BY made_at", order_id)
    return [row["amendment_id"] for row in rows]


async def add_amendment(uow: UnitOfWork, order_id: UUID, amendment_id: UUID) -> None:
    await uow.execute(
        "INSERT INTO order_amendments (organization_id, order_id, amendment_id) VALUES ($1, $2, $3)",
        uow.organization_id,
        order_id,
        amendment_id,
    )
