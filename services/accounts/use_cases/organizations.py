"""Organizations: made by the installation, changed by themselves."""

from uuid import UUID

import asyncpg
from sqlalchemy.exc import IntegrityError

from services.accounts import repository
from services.accounts.errors import LimitedToShops, MerchantHasShops, OrganizationExists, OrganizationNotFound
from services.accounts.models.organizations import OrganizationRow
from shared.contracts.accounts.messages import CreateOrganization
from shared.contracts.accounts.shapes import OrganizationChange
from shared.unit_of_work import UnitOfWork


async def create(uow: UnitOfWork, draft: CreateOrganization) -> OrganizationRow:
    """Make the organization that `uow` is confined to. Raises OrganizationExists."""
    organization = OrganizationRow(
        organization_id=uow.organization_id,
        name=draft.name,
        is_merchant=draft.is_merchant,
        is_supplier=draft.is_supplier,
        address=None if draft.address is None else draft.address.model_dump(mode="json"),
    )
    session = await uow.session()
    session.add(organization)
    try:
        await session.flush()
    except IntegrityError as error:
        if isinstance(error.orig.__cause__ if error.orig else None, asyncpg.UniqueViolationError):
            raise OrganizationExists("This organization is there already.") from error
        raise
    uow.audit("organization.create", "organization", organization.organization_id, after=_description(organization))
    return organization


async def get(uow: UnitOfWork, organization_id: UUID, *, lock: bool = False) -> OrganizationRow:
    """The caller's own organization. Raises OrganizationNotFound for every other."""
    if organization_id != uow.organization_id:
        raise OrganizationNotFound("There is no such organization.")
    return await repository.get_organization(uow, lock=lock)


async def change(
    uow: UnitOfWork, organization_id: UUID, change: OrganizationChange, expected_version: int | None
) -> OrganizationRow:
    """Raises OrganizationNotFound, VersionChanged, OrganizationDoesNothing, MerchantHasShops, LimitedToShops."""
    if uow.caller.shop_ids is not None:
        raise LimitedToShops("You are limited to some shops; the organization is not yours to change.")
    organization = await get(uow, organization_id, lock=True)
    organization.check_version(expected_version)
    before = _description(organization)
    organization.take(change.given())
    organization.check_does_something()
    if not organization.is_merchant and await repository.count_shops(uow):
        raise MerchantHasShops("Close the organization's shops before it stops being a merchant.")
    uow.audit("organization.change", "organization", organization_id, before=before, after=_description(organization))
    return organization


def _description(organization: OrganizationRow) -> dict[str, object]:
    return organization.model_dump(mode="json", exclude={"organization_id", "created_at"})
