"""For whom a storefront asks: whether a shop knows the customer group, and who may ask for one."""

from services.search.errors import UnknownCustomerGroup
from services.search.use_cases.reading import Reader
from shared.contracts.catalog.messages import GetOfferParts
from shared.unit_of_work import UnitOfWork

# What a group pays is not for everybody who looks at a page: a publishable key does not ask for it.
MAY_ASK = ("storefront", "search:read")


async def check(uow: UnitOfWork, reader: Reader, group: str | None) -> None:
    """Raises MissingScope, UnknownCustomerGroup.

    A group whose lists change no price, as those that begin later, has no offers of its own; catalog knows it.
    """
    if group is None:
        return
    uow.caller.require(*MAY_ASK)
    if reader.index.has_group(group):
        return
    known = (await uow.ask(GetOfferParts(shop_id=reader.shop.id, product_ids=[]))).customer_groups
    if group not in known:
        told = f"No price list of the shop is for the customer group '{group}'."
        raise UnknownCustomerGroup(
            told, [{"pointer": "/customer_group", "code": UnknownCustomerGroup.code, "message": told}]
        )
