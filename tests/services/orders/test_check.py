"""`crossdock check`: quiet when stock, ledger, reservations and orders agree, and it says where they do not."""

from typing import Any

import pytest

from deploy import checking, topology
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-2", "INV-3")


async def test_what_does_not_agree_is_found(process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_PAUSE_SECONDS", 0.0)
    owner = Merchant(process)
    shop = await owner.open_shop()
    await owner.stocked({"A": 5})
    reservation: Any = await owner.reserve(shop, A=2)
    assert await checking.check(process) == []
    await owner.change("inventory", "UPDATE stock SET on_hand = 6 WHERE sku = 'A'")
    (line,) = await checking.check(process, [owner.organization_id])
    assert "A in" in line
    assert "on_hand is 6, not 5" in line
    await owner.change("inventory", "UPDATE stock SET on_hand = 5 WHERE sku = 'A'")
    confirmed = "UPDATE reservations SET state = 'confirmed', expires_at = NULL WHERE id = $1"
    await owner.change("inventory", confirmed, reservation.id)
    (line,) = await checking.check(process)
    assert f"stock is confirmed for order {reservation.id}, which is not there" in line
    stranger = Merchant(process)
    await stranger.open_shop()
    assert await checking.check(process, [stranger.organization_id]) == []
