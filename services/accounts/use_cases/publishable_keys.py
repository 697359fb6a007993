"""Publishable keys: safe in a browser, because they read one shop's offers and nothing else."""

from services.accounts import repository
from services.accounts.models.credentials import PublishableKeyRow
from services.accounts.use_cases import revocation
from shared import clock
from shared.contracts.accounts.messages import CreatePublishableKey, RevokePublishableKey
from shared.identifiers import new_id
from shared.security import digest, new_secret
from shared.unit_of_work import UnitOfWork


async def create(uow: UnitOfWork, draft: CreatePublishableKey) -> PublishableKeyRow:
    """Raises ShopNotFound."""
    shop = await repository.get_shop(uow, draft.shop_id)
    key = new_secret("cdp_", size=24)
    row = PublishableKeyRow(
        organization_id=uow.organization_id,
        id=new_id(),
        shop_id=shop.id,
        name=draft.name,
        key=key,
        digest=digest(key),
        allowed_origins=list(dict.fromkeys(draft.allowed_origins)),
    )
    session = await uow.session()
    session.add(row)
    await session.flush()
    after = row.model_dump(mode="json", include={"name", "shop_id", "allowed_origins"})
    uow.audit("publishable_key.create", "publishable_key", row.id, after=after)
    return row


async def revoke(uow: UnitOfWork, message: RevokePublishableKey) -> PublishableKeyRow:
    """Safe to repeat. Raises PublishableKeyNotFound."""
    row = await repository.get_publishable_key(uow, message.key_id)
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        await revocation.bump(uow)
        uow.audit("publishable_key.revoke", "publishable_key", row.id, reason=message.reason)
    return row
