"""What a process remembers of gateways and certificates: nothing that anybody may post makes what is genuine wait."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from services.payments import gateway_book
from services.payments.gateway_book import GatewayBook, KnownGateway
from shared.identifiers import new_id
from tests.factories import gateways as g
from tests.services.payments.conftest import Till
from tests.waiting import until

pytestmark = pytest.mark.feature("PAY-2", "PAY-3")


async def test_a_known_gateway_is_read_again_while_unknown_ones_are_looked_up(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up, never, asked = GatewayBook._look_up, asyncio.Event(), 0

    async def slow_for_strangers(self: GatewayBook, gateway_id: UUID) -> KnownGateway | None:
        nonlocal asked
        asked += 1
        if gateway_id != till.gateway.id:
            await never.wait()
        return await look_up(self, gateway_id)

    monkeypatch.setattr(gateway_book, "LIFETIME_SECONDS", 0.0)
    assert (await till.post(b"1")).status_code == 200
    monkeypatch.setattr(GatewayBook, "_look_up", slow_for_strangers)
    flood = [asyncio.create_task(till.door.post(f"/callbacks/{new_id()}", content=b"x")) for _ in range(20)]

    async def stand_at_the_door() -> bool:
        return asked >= gateway_book._LOOKUPS_AT_ONCE

    await until(stand_at_the_door)
    before = asked
    assert (await till.post(b"2")).status_code == 200
    assert (asked, [each.done() for each in flood]) == (before + 1, [False] * 20)
    never.set()
    assert {answer.status_code for answer in await asyncio.gather(*flood)} == {404}


async def test_made_up_certificates_ask_the_database_once(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await g.open_gateway(till.process, till.organization_id, "paypal", settings={"webhook_id": "WH-TESTS"})
    real, asked = gateway_book.intake_transaction, 0

    def counted(database: Any) -> Any:
        nonlocal asked
        asked += 1
        return real(database)

    monkeypatch.setattr(gateway_book, "intake_transaction", counted)
    monkeypatch.setattr(gateway_book, "LIFETIME_SECONDS", 60.0)
    told = g.sender(gateway, "X-1").say("captured")

    async def post(number: int) -> int:
        url = f"https://api.sandbox.paypal.com/v1/notifications/certs/CERT-{number}"
        headers = told.headers | {"Paypal-Cert-Url": url}
        return (await till.door.post(f"/callbacks/{gateway.id}", content=told.body, headers=headers)).status_code

    assert {await post(number) for number in range(20)} == {200}
    # The gateway and the tenant's certificates.
    assert asked == 2
