"""Many products at once: locked to be changed, and put into categories."""

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from services.catalog.models import ProductRow
from shared.unit_of_work import UnitOfWork


async def lock_rows(uow: UnitOfWork, product_ids: Sequence[UUID]) -> list[ProductRow]:
    """Those of these that there are, by id."""
    question = select(ProductRow).where(col(ProductRow.id).in_(product_ids)).order_by(col(ProductRow.id))
    return list((await (await uow.session()).scalars(question.with_for_update())).all())


async def add_to_category(uow: UnitOfWork, product_ids: Sequence[UUID], category_id: UUID) -> set[UUID]:
    """Returns those that were not in it."""
    rows = await uow.fetch(
        "INSERT INTO product_categories (organization_id, product_id, category_id)"
        " SELECT $1, id, $3 FROM unnest($2::uuid[]) AS p (id) ON CONFLICT DO NOTHING RETURNING product_id",
        uow.organization_id,
        list(product_ids),
        category_id,
    )
    return {row["product_id"] for row in rows}


async def remove_from_category(uow: UnitOfWork, product_ids: Sequence[UUID], category_id: UUID) -> set[UUID]:
    """Returns those that were in it."""
    rows = await uow.fetch(
        "DELETE FROM product_categories WHERE product_id = ANY($1) AND category_id = $2 RETURNING product_id",
        list(product_ids),
        category_id,
    )
    return {row["product_id"] for row in rows}


async def find_last(uow: UnitOfWork) -> UUID | None:
    """The id of the product that was made last."""
    found: UUID | None = await uow.fetchval("SELECT id FROM products ORDER BY id DESC LIMIT 1")
    return found
