"""Identifiers: UUIDv7 (RFC 9562 §5.7), made in Python, distinct types so that one cannot stand for another."""

import os
import struct
import threading
import time
from typing import NewType
from uuid import UUID, uuid5

from asyncpg.pgproto.pgproto import UUID as DatabaseUUID

OrganizationId = NewType("OrganizationId", UUID)
ShopId = NewType("ShopId", UUID)
UserId = NewType("UserId", UUID)
ApiClientId = NewType("ApiClientId", UUID)
EventId = NewType("EventId", UUID)
JobId = NewType("JobId", UUID)
ProductId = NewType("ProductId", UUID)
VariantId = NewType("VariantId", UUID)
CategoryId = NewType("CategoryId", UUID)
PriceListId = NewType("PriceListId", UUID)
ImportId = NewType("ImportId", UUID)
CentreId = NewType("CentreId", UUID)
ShipmentId = NewType("ShipmentId", UUID)
OrderId = NewType("OrderId", UUID)
QuoteId = NewType("QuoteId", UUID)
GatewayId = NewType("GatewayId", UUID)
CallbackId = NewType("CallbackId", UUID)
PaymentId = NewType("PaymentId", UUID)

_NAMESPACE = UUID("6f0c6e52-6a3f-5f0e-9a53-0d6f63726f73")
_pack = struct.Struct(">QQ").pack
_lock = threading.Lock()
_last_tick = 0
# Randomness in stock: asking the system for each id by itself costs more than the id, and gives other threads the turn.
_BYTES_IN_STOCK = 4096
_random = memoryview(b"")


def _forget_stock() -> None:
    """A forked process must not give out what its parent does."""
    global _random
    _random = memoryview(b"")


os.register_at_fork(after_in_child=_forget_stock)


def new_id() -> UUID:
    """A fresh UUIDv7, strictly increasing within this process even when the system clock steps back.

    48 bits of milliseconds, 12 bits that continue them (RFC 9562 §6.2, method 3), 62 random bits.
    """
    global _last_tick, _random
    with _lock:
        tick = max((time.time_ns() << 12) // 1_000_000, _last_tick + 1)
        _last_tick = tick
        if not _random:
            _random = memoryview(os.urandom(_BYTES_IN_STOCK))
        entropy, _random = _random[:8], _random[8:]
    milliseconds, fraction = tick >> 12, tick & 0xFFF
    random = int.from_bytes(entropy) & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=(milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random)


def new_ids(count: int) -> list[UUID]:
    """As many as `new_id` would make one after another, at a quarter of the cost each."""
    global _last_tick
    with _lock:
        first = max((time.time_ns() << 12) // 1_000_000, _last_tick + 1)
        _last_tick = first + count - 1
    random = struct.unpack(f">{count}Q", os.urandom(8 * count))
    return [
        DatabaseUUID(
            _pack(
                (tick >> 12 & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | tick & 0xFFF,
                0b10 << 62 | bits & 0x3FFF_FFFF_FFFF_FFFF,
            )
        )
        for tick, bits in enumerate(random, first)
    ]


def derived_id(*parts: object) -> UUID:
    """The id that these parts always give (UUIDv5): how a repeat finds what the first attempt made."""
    return uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts))
