"""The tests' own doors: what every other HTTP test stands on."""

from shared.bus.envelope import Caller
from tests.doors import Client


async def test_health_answers_and_names_the_request(client: Client) -> None:
    answer = await client.get("/healthz", headers={"X-Request-Id": "given-by-client"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["x-request-id"] == "given-by-client"


async def test_a_caller_of_the_test_is_known_by_its_header(client: Client, merchant: Caller) -> None:
    headers = client.speaking_as(merchant, Idempotency_Key="k")
    assert headers["Idempotency-Key"] == "k"
    assert client.identities._callers[headers["Authorization"]] == merchant
