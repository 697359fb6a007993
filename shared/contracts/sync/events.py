"""What sync announces. Bulk work records one event per chunk, with up to 1,000 ids."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Event
from shared.contracts.sync.shapes import ConnectionIdentity

MOST_IDS = 1000


class ConnectionChanged(Event):
    """A connection was made, or is called something else."""

    connection: ConnectionIdentity


class ConnectionRemoved(Event):
    """A connection was deleted: nothing comes by it any more. What came by it stays."""

    connection_id: UUID


class ListingsChanged(Event):
    """These products and orders stand otherwise than before on some connection."""

    product_ids: Annotated[list[UUID], Field(max_length=MOST_IDS)] = []
    order_ids: Annotated[list[UUID], Field(max_length=MOST_IDS)] = []
