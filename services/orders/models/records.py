"""What happened to orders, as it was told: written once."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column
from sqlmodel import Field

from services.orders.models import Base, instant
from shared import clock
from shared.identifiers import new_id


class TimelineRow(Base, table=True):
    """Something that happened to an order. Never changed, but for the words of a note when somebody is forgotten."""

    __tablename__ = "order_timeline"

    organization_id: UUID = Field(primary_key=True)
    order_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True, default_factory=new_id)
    occurred_at: datetime = instant(default_factory=clock.now)
    kind: str
    before: str | None = None
    after: str | None = None
    actor: str
    text: str
    reason: str | None = None
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


class OrderShipmentRow(Base, table=True):
    """A shipment as inventory told of it."""

    __tablename__ = "order_shipments"

    organization_id: UUID = Field(primary_key=True)
    shipment_id: UUID = Field(primary_key=True)
    order_id: UUID
    shipment: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    shipped_at: datetime = instant()


class OrderReturnRow(Base, table=True):
    """Goods that came back, as inventory told of it."""

    __tablename__ = "order_returns"

    organization_id: UUID = Field(primary_key=True)
    return_id: UUID = Field(primary_key=True)
    order_id: UUID
    number: str
    lines: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    reason: str | None = None
    returned_at: datetime = instant()
