"""Shops and the tree they form. One change to it at a time: whoever makes one holds the organization's row."""

from uuid import UUID

from services.accounts import repository
from services.accounts.errors import (
    LimitedToShops,
    NotMerchant,
    ParentShopNotFound,
    ShopCodeTaken,
    ShopHasSubShops,
    ShopWouldBeItsOwnAncestor,
)
from services.accounts.models.organizations import ShopRow
from services.accounts.use_cases import revocation
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.accounts.messages import CreateShop
from shared.contracts.accounts.shapes import ShopChange
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


async def create(uow: UnitOfWork, draft: CreateShop) -> ShopRow:
    """Open a shop. Raises NotMerchant, ShopCodeTaken, ParentShopNotFound, LimitedToShops."""
    organization = await repository.get_organization(uow, lock=True)
    if not organization.is_merchant:
        raise NotMerchant("This organization is a supplier only; make it a merchant first.")
    await _check_code(uow, draft.code)
    await _check_parent(uow, draft.parent_id)
    values = draft.model_dump(mode="json", include={"address"}) | draft.model_dump(exclude={"address"})
    shop = ShopRow(organization_id=organization.organization_id, id=new_id(), **values)
    await _keep(uow, shop)
    uow.audit("shop.create", "shop", shop.id, after=_description(shop))
    return shop


async def change(uow: UnitOfWork, shop_id: UUID, change: ShopChange, expected_version: int | None) -> ShopRow:
    """Raises ShopNotFound, VersionChanged, ShopCodeTaken, ParentShopNotFound, ShopWouldBeItsOwnAncestor."""
    await repository.get_organization(uow, lock=True)
    shop = await repository.get_shop(uow, shop_id, lock=True)
    shop.check_version(expected_version)
    given, before = change.given(), _description(shop)
    if given.get("code", shop.code) != shop.code:
        await _check_code(uow, given["code"])
    if given.get("parent_id", shop.parent_id) != shop.parent_id:
        await _check_parent(uow, given["parent_id"])
        await _check_no_circle(uow, shop_id, given["parent_id"])
    shop.take(given)
    await _keep(uow, shop)
    uow.audit("shop.change", "shop", shop_id, before=before, after=_description(shop))
    return shop


async def remove(uow: UnitOfWork, shop_id: UUID, expected_version: int | None) -> None:
    """Raises ShopNotFound, VersionChanged, ShopHasSubShops."""
    await repository.get_organization(uow, lock=True)
    shop = await repository.get_shop(uow, shop_id, lock=True)
    shop.check_version(expected_version)
    if await repository.has_sub_shops(uow, shop_id):
        raise ShopHasSubShops("Close the sub-shops first, or give them another parent.")
    await (await uow.session()).delete(shop)
    await revocation.bump(uow)
    uow.audit("shop.remove", "shop", shop_id, before=_description(shop))
    uow.record(ShopRemoved(shop_id=shop_id))


async def _keep(uow: UnitOfWork, shop: ShopRow) -> None:
    """Store it, announce it, and let everybody who is limited to shops be looked up anew."""
    session = await uow.session()
    session.add(shop)
    await session.flush()
    await revocation.bump(uow)
    uow.record(ShopChanged(shop=shop.shape()))


async def _check_code(uow: UnitOfWork, code: str) -> None:
    if await uow.fetchval("SELECT EXISTS (SELECT FROM shops WHERE code = $1)", code):
        raise ShopCodeTaken(f"Another shop has the code '{code}'.")


async def _check_parent(uow: UnitOfWork, parent_id: UUID | None) -> None:
    """Somebody limited to some shops makes and moves shops below those alone."""
    if parent_id is None:
        if uow.caller.shop_ids is not None:
            raise LimitedToShops("You are limited to some shops; name one of them as the parent.")
        return
    if not uow.caller.sees_shop(parent_id) or not await repository.count_shops(uow, [parent_id]):
        raise ParentShopNotFound("The parent is not one of the organization's shops.")


async def _check_no_circle(uow: UnitOfWork, shop_id: UUID, parent_id: UUID | None) -> None:
    if parent_id in await repository.shops_with_their_sub_shops(uow, [shop_id]):
        raise ShopWouldBeItsOwnAncestor("A shop cannot be placed below itself or one of its own sub-shops.")


def _description(shop: ShopRow) -> dict[str, object]:
    return shop.model_dump(mode="json", exclude={"organization_id", "id", "created_at"})
