"""The id that an offer has everywhere, of its shop and its product: opaque to clients, the same for ever.

It is a node id of GraphQL as it is: what stands before its colon is the name of the type.
"""

import base64
import binascii
from uuid import UUID

_BEGINNING = b"Offer:"


def offer_id(shop_id: UUID, product_id: UUID) -> str:
    return base64.urlsafe_b64encode(_BEGINNING + shop_id.bytes + product_id.bytes).decode().rstrip("=")


def find_offer(id_: str) -> tuple[UUID, UUID] | None:
    """The ids of the shop and of the product; None where no offer has such an id."""
    try:
        raw = base64.b64decode(id_.encode() + b"=" * (-len(id_) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    own = raw.removeprefix(_BEGINNING)
    if len(raw) != len(own) + len(_BEGINNING) or len(own) != 32:
        return None
    return UUID(bytes=own[:16]), UUID(bytes=own[16:])
