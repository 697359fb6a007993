"""A connection is forgotten with what hangs on it; what came by it stays, and nothing comes any more."""

import pytest

from shared.contracts.orders.imported import ImportOrders, RemoteOrder
from shared.errors import CrossdockError
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import order
from tests.services.sync.test_orders_and_stock import processing, set_up

pytestmark = pytest.mark.feature("SYN-16", "ORD-5")


async def test_a_connection_that_is_deleted_brings_no_more_orders_and_leaves_those_that_came(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake)
    fake.put_order(order(501))
    await connected.run("import_orders")
    await eventually(lambda: processing(connected), 30)
    assert [each["id"] for each in (await connected.get("/v1/order-connections"))["items"]] == [connected.id]
    preview = await connected.get(f"/v1/connections/{connected.id}/deletion-preview")
    assert preview["counts"]["listings"] > 0

    async def deleted() -> bool:
        """Feeds that run by the clock hold it up."""
        answer = await connected.client.delete(f"/v1/connections/{connected.id}", headers=connected.headers)
        return answer.status_code == 204

    await eventually(deleted, 30)

    async def is_gone() -> bool:
        return (await connected.get("/v1/order-connections"))["items"] == []

    await eventually(is_gone, 30)
    (ours,) = (await connected.get("/v1/orders"))["items"]
    assert (ours["status"], ours["total"]["amount"]) == ("processing", 3998)
    (imported,) = (await connected.get("/v1/imported-orders"))["items"]
    assert (imported["state"], imported["order_id"]) == ("imported", ours["id"])
    known = await connected.get(f"/v1/order-connections/{connected.id}")
    assert known["gone_at"] is not None
    again = ImportOrders(connection_id=known["id"], orders=[RemoteOrder.model_validate(order(502))])
    with pytest.raises(CrossdockError) as refused:
        await connected.ask(again)
    assert refused.value.code == "order_connection_not_found"
    for path in (f"/v1/connections/{connected.id}", f"/v1/connections/{connected.id}/stats"):
        assert (await connected.client.get(path, headers=connected.headers)).status_code == 404
