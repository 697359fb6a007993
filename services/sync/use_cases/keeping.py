"""Records of a platform as they are kept."""

import orjson

from services.sync.platforms.base import Record
from services.sync.repository import listings
from services.sync.repository.listings import Seen


def as_kept(entity: str, record: Record, parent: str | None = None) -> list[Seen]:
    """A record and its parts, each as it is kept."""
    remote = listings.dumped(record.fields)
    seen = Seen(
        entity,
        record.external_id,
        parent,
        _text(record.fields.get("sku")),
        _text(record.fields.get("barcode")),
        remote,
        orjson.dumps(dict(record.references)).decode(),
        listings.digest(remote),
        record.updated_at,
    )
    return [seen, *(each for part in record.parts for each in as_kept("variant", part, record.external_id))]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
