"""Who sent a request: every kind of credential, where it may be used from, and how fast it ends everywhere."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from deploy import topology
from gateway import revocations
from gateway.credentials import TwoCredentials, address_of, presented_in
from gateway.identity import BELIEVED_SECONDS, Identities, InvalidToken
from gateway.revocations import CredentialsCannotBeChecked
from shared.bus.envelope import Caller, Envelope, service_envelope
from shared.contracts.accounts.messages import (
    ChangeApiClient,
    ChangeShop,
    CreateApiKey,
    CreatePublishableKey,
    GetRevocations,
    RemoveShop,
    ResolveCredential,
    RevokeApiClient,
    RevokeApiKey,
    RevokePublishableKey,
)
from shared.contracts.accounts.shapes import ApiClientChange, ShopChange
from shared.contracts.base import Message
from shared.errors import CrossdockError, Overloaded, Unavailable
from shared.identifiers import new_id
from shared.redis_connection import RedisAddress
from shared.settings import Settings
from tests.doors import Client, eventually
from tests.gateway.credentials import Business, bearer, founded, token_of


@pytest.fixture(scope="module")
async def business(process: topology.Surrounded) -> Business:
    return await founded(process)


def request(headers: dict[str, str], address: str = "127.0.0.1", method: str = "GET") -> HTTPConnection:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "method": method, "headers": raw, "client": (address, 1)})


class CountingBus:
    """The real bus, with its questions counted, and silent when told to be."""

    def __init__(self, process: topology.Surrounded) -> None:
        self._process = process
        self.asked: list[Message[Any]] = []
        self.is_silent = False

    async def ask(self, message: Message[Any], envelope: Envelope) -> Any:
        if self.is_silent:
            raise Overloaded("The queue is full.")
        self.asked.append(message)
        return await self._process.bus.ask(message, envelope)

    def count(self, kind: type[Message[Any]]) -> int:
        return sum(isinstance(message, kind) for message in self.asked)


@pytest.fixture
async def counting(process: topology.Surrounded) -> CountingBus:
    return CountingBus(process)


@pytest.fixture
async def identities(process: topology.Surrounded, counting: CountingBus) -> AsyncIterator[Identities]:
    async with Identities(counting, topology.withdrawn_from(process)) as made:
        yield made


# --- remembered, and forgotten in time


@pytest.mark.feature("ACC-4", "ACC-6")
async def test_a_credential_is_resolved_once_and_then_costs_nothing(
    identities: Identities, counting: CountingBus, business: Business
) -> None:
    client_id, _ = await business.client("catalog:read")
    key = (await business.ask(CreateApiKey(client_id=client_id, name="till"))).key.reveal()
    speaking = request(bearer(key))
    first = await identities.caller(speaking)
    assert (first.kind, first.organization_id, first.id, first.scopes, first.address) == (
        "client",
        business.id,
        UUID(client_id),
        {"catalog:read"},
        "127.0.0.1",
    )
    for _ in range(100):
        assert await identities.caller(speaking) == first
    assert counting.count(ResolveCredential) == 1
    # Nothing is awaited: the coroutine ends at its first step.
    known = identities.caller(speaking)
    with pytest.raises(StopIteration):
        known.send(None)


@pytest.mark.feature("ACC-4", "ACC-5", "ACC-6", "ACC-11")
async def test_whatever_is_withdrawn_ends_within_a_second_in_every_process(
    client: Client, business: Business, configuration: Settings
) -> None:
    client_id, secret = await business.client("accounts:read")
    shop = await business.shop("withdrawn")
    token = await token_of(client, (client_id, secret))
    single = await token_of(client, (client_id, secret))
    key = await business.ask(CreateApiKey(client_id=client_id, name="till"))
    published = await business.ask(CreatePublishableKey(shop_id=shop.id, name="page"))
    other_process = topology.web_application()
    async with other_process.router.lifespan_context(other_process):
        doors = [client, _door(other_process)]
        open_with = {
            "token": bearer(token),
            "single": bearer(single),
            "key": bearer(key.key.reveal()),
            "published": {"X-Publishable-Key": published.key},
        }

        async def statuses(name: str) -> set[int]:
            answers = await asyncio.gather(*(door.get("/v1/shops", headers=open_with[name]) for door in doors))
            return {answer.status_code for answer in answers}

        async def ends(name: str) -> float:
            began = time.monotonic()

            async def has_ended() -> bool:
                return await statuses(name) == {401}

            await eventually(has_ended)
            return time.monotonic() - began

        assert {name: await statuses(name) for name in open_with} == {
            "token": {200},
            "single": {200},
            "key": {200},
            "published": {403},
        }
        revoked = await doors[0].post("/oauth/revoke", data={"token": single}, auth=(client_id, secret))
        assert revoked.status_code == 200
        took = {"single": await ends("single")}
        await business.ask(RevokePublishableKey(key_id=published.id))
        took["published"] = await ends("published")
        await business.ask(RevokeApiKey(client_id=client_id, key_id=key.id))
        took["key"] = await ends("key")
        assert await statuses("token") == {200}
        await business.ask(RevokeApiClient(client_id=client_id))
        took["token"] = await ends("token")
        await doors[1].aclose()
    # The promise is a second; the machine of a test run may be busy with other things for a while. Whoever is not told
    # believes what he knows for a minute.
    assert min(took.values()) < 3, took
    assert max(took.values()) < BELIEVED_SECONDS / 3, took


def _door(application: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://crossdock.test")


@pytest.fixture
def seldom_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process looks by itself: it has to be told."""
    monkeypatch.setattr(revocations, "_LOOK_EVERY_SECONDS", 3600.0)
    monkeypatch.setattr(revocations, "_FRESH_SECONDS", 3600.0)
    monkeypatch.setattr(revocations, "_BELIEVED_SECONDS", 3600.0)


@pytest.mark.feature("ACC-4", "ACC-6", "ACC-8")
async def test_a_withdrawal_holds_at_once_where_it_came_in_and_soon_elsewhere(
    seldom_looking: None, client: Client, business: Business
) -> None:
    admin = bearer(await token_of(client, business.basic))
    client_id, secret = await business.client("accounts:read")
    single, token = await token_of(client, (client_id, secret)), await token_of(client, (client_id, secret))
    key = (await business.ask(CreateApiKey(client_id=client_id, name="till"))).key.reveal()
    [listed] = (await client.get(f"/v1/api-clients/{client_id}", headers=admin)).json()["keys"]
    one, other = topology.web_application(), topology.web_application()
    async with (
        one.router.lifespan_context(one),
        other.router.lifespan_context(other),
        _door(one) as here,
        _door(other) as there,
    ):

        async def ends(credential: str, path: str, **request: Any) -> None:
            for door in (here, there):
                assert (await door.get("/v1/shops", headers=bearer(credential))).status_code == 200
            assert (await here.post(path, **request)).status_code == 200
            assert (await here.get("/v1/shops", headers=bearer(credential))).status_code == 401

            async def is_refused() -> bool:
                return (await there.get("/v1/shops", headers=bearer(credential))).status_code == 401

            await eventually(is_refused)

        await ends(single, "/oauth/revoke", data={"token": single}, auth=(client_id, secret))
        await ends(key, f"/v1/api-clients/{client_id}/keys/{listed['id']}/revoke", headers=admin)
        await ends(token, f"/v1/api-clients/{client_id}/revoke", headers=admin)


@pytest.mark.feature("ACC-6", "GAT-7")
async def test_gateways_hear_each_other_again_after_redis_dropped_them(process: topology.Surrounded) -> None:
    heard: list[None] = []
    listening = revocations.Announcements(process.address)
    listening.listen(lambda: heard.append(None))

    async def hears_more_than(count: int) -> None:
        async def has_heard() -> bool:
            return len(heard) > count

        await eventually(has_heard)

    # Being let in counts as a word: one may have been missed before.
    await hears_more_than(0)
    async with process.address.connect() as redis:
        await redis.client_kill_filter(_type="pubsub")
    await hears_more_than(1)
    before = len(heard)
    await listening.announce()
    await hears_more_than(before)
    await listening.close()


@pytest.mark.feature("ACC-6", "GAT-7")
async def test_without_redis_a_withdrawal_holds_at_once_where_it_came_in(
    seldom_looking: None, process: topology.Surrounded, business: Business
) -> None:
    client_id, _ = await business.client("accounts:read")
    made = await business.ask(CreateApiKey(client_id=client_id, name="till"))
    nowhere = revocations.Announcements(RedisAddress("redis://127.0.0.1:1/0"))
    async with Identities(process.bus, topology.withdrawn_from(process), nowhere) as alone:
        speaking = request(bearer(made.key.reveal()))
        await alone.caller(speaking)
        await business.ask(RevokeApiKey(client_id=client_id, key_id=made.id))
        await alone.withdrawn()
        with pytest.raises(CrossdockError) as refused:
            await alone.caller(speaking)
        assert refused.value.code == "invalid_token"


@pytest.mark.feature("ACC-5")
async def test_a_changed_client_is_seen_with_the_token_it_has(client: Client, business: Business) -> None:
    basic = await business.client("accounts:read", "catalog:read")
    token = await token_of(client, basic)
    assert (await client.get("/v1/shops", headers=bearer(token))).status_code == 200
    await business.ask(ChangeApiClient(client_id=basic[0], change=ApiClientChange(scopes=["catalog:read"])))

    async def is_refused() -> bool:
        answer = await client.get("/v1/shops", headers=bearer(token))
        return answer.status_code == 403 and answer.json()["code"] == "missing_scope"

    await eventually(is_refused)


@pytest.mark.feature("ACC-3", "ACC-5")
async def test_a_client_limited_to_a_shop_sees_its_sub_shops_and_no_other(client: Client, business: Business) -> None:
    mine, other = await business.shop("mine"), await business.shop("other")
    below = await business.shop("below", parent_id=mine.id)
    basic = await business.client("accounts:read", shop_ids=[mine.id])
    headers = bearer(await token_of(client, basic))

    async def seen() -> list[str]:
        return [shop["code"] for shop in (await client.get("/v1/shops", headers=headers)).json()["items"]]

    assert await seen() == ["below", "mine"]
    hidden = await client.get(f"/v1/shops/{other.id}", headers=headers)
    assert (hidden.status_code, hidden.json()["code"]) == (404, "shop_not_found")
    unknown = await client.get(f"/v1/shops/{new_id()}", headers=headers)
    assert {**unknown.json(), "request_id": ""} == {**hidden.json(), "request_id": ""}
    await business.ask(ChangeShop(shop_id=below.id, change=ShopChange(parent_id=other.id)))

    async def sees_it_no_more() -> bool:
        return await seen() == ["mine"]

    await eventually(sees_it_no_more)
    # A limit to a shop that is gone is a limit to nothing, never to everything.
    await business.ask(RemoveShop(shop_id=mine.id))

    async def sees_nothing() -> bool:
        return await seen() == []

    await eventually(sees_nothing)


@pytest.mark.feature("ACC-5")
async def test_a_withdrawal_that_commits_late_is_not_missed(
    identities: Identities, counting: CountingBus, business: Business, process: topology.Surrounded
) -> None:
    """Transaction numbers are not in the order of commits: a look between them must not lose the slow one."""
    client_id, _ = await business.client("catalog:read")
    key = (await business.ask(CreateApiKey(client_id=client_id, name="till"))).key.reveal()
    slow = process.surroundings.unit_of_work("accounts", service_envelope("accounts", business.id))
    await slow.execute("UPDATE api_clients SET revoked_at = now() WHERE id = $1", UUID(client_id))
    await slow.execute(
        "INSERT INTO revocations (organization_id, version, transaction) VALUES ($1, 1, pg_current_xact_id())"
        " ON CONFLICT (organization_id) DO UPDATE SET version = revocations.version + 1,"
        " transaction = EXCLUDED.transaction",
        business.id,
    )
    await founded(process, "A later transaction that commits first")
    speaking = request(bearer(key))
    await identities.caller(speaking)
    looks = counting.count(GetRevocations)

    async def has_looked_again() -> bool:
        return counting.count(GetRevocations) >= looks + 2

    await eventually(has_looked_again)
    assert (await identities.caller(speaking)).id == UUID(client_id)
    await slow.commit()

    async def is_refused() -> bool:
        try:
            await identities.caller(speaking)
        except Exception as error:
            return getattr(error, "code", "") == "invalid_token"
        return False

    await eventually(is_refused)


@pytest.mark.feature("ACC-5", "GAT-7")
async def test_postgresql_tells_when_the_queue_is_silent(
    identities: Identities, counting: CountingBus, business: Business
) -> None:
    client_id, _ = await business.client("catalog:read")
    key = (await business.ask(CreateApiKey(client_id=client_id, name="till"))).key.reveal()
    speaking = request(bearer(key))
    await identities.caller(speaking)
    counting.is_silent = True
    for _ in range(3):
        assert (await identities.caller(speaking)).id == UUID(client_id)
        await asyncio.sleep(0)
    await business.ask(RevokeApiClient(client_id=client_id))

    async def is_forgotten() -> bool:
        # It has to be asked for again, and the queue is silent.
        try:
            await identities.caller(speaking)
        except Overloaded:
            return True
        return False

    await eventually(is_forgotten)


@pytest.mark.feature("ACC-5")
async def test_nothing_is_believed_when_nobody_can_tell(counting: CountingBus, business: Business) -> None:
    client_id, _ = await business.client("catalog:read")
    key = (await business.ask(CreateApiKey(client_id=client_id, name="till"))).key.reveal()

    async def gone(_: str | None) -> Any:
        raise Unavailable("The database is gone.")

    async with Identities(counting, gone) as identities:
        speaking = request(bearer(key))
        await identities.caller(speaking)
        counting.is_silent = True

        async def is_closed() -> bool:
            try:
                await identities.caller(speaking)
            except CredentialsCannotBeChecked as error:
                return error.status == 503 and error.retry_after_seconds == 1
            return False

        await eventually(is_closed)
        counting.is_silent = False
        assert (await identities.caller(speaking)).id == UUID(client_id)


@pytest.mark.feature("ACC-5")
async def test_a_database_restored_from_a_backup_makes_everything_be_asked_again(process: topology.Surrounded) -> None:
    envelope = service_envelope("gateway", None)
    first = await process.bus.ask(GetRevocations(), envelope)
    assert (first.versions, first.everything) == ({}, False)
    restored = await process.bus.ask(GetRevocations(since=str(int(first.cursor) + 10_000)), envelope)
    assert restored.everything


# --- kinds of credentials


@pytest.mark.feature("ACC-6")
async def test_a_static_key_is_its_client(client: Client, business: Business) -> None:
    admin = bearer(await token_of(client, business.basic))
    client_id, _ = await business.client("accounts:read")
    made = await client.post(f"/v1/api-clients/{client_id}/keys", json={"name": "till"}, headers=admin)
    assert made.status_code == 201
    key = made.json()["key"]
    assert key.startswith("cdk_")
    assert (await client.get("/v1/shops", headers=bearer(key))).status_code == 200
    refused = await client.post("/v1/shops", json={}, headers=bearer(key))
    assert refused.status_code in (403, 422)
    listed = (await client.get(f"/v1/api-clients/{client_id}", headers=admin)).json()["keys"]
    assert [(one["name"], one["ending"]) for one in listed] == [("till", key[-4:])]
    assert key not in (await client.get("/v1/api-clients", headers=admin)).text
    uow = business.process.surroundings.unit_of_work("accounts", service_envelope("accounts", business.id))
    stored = await uow.fetchval("SELECT string_agg(to_json(k)::text, '') FROM api_keys k")
    await uow.rollback()
    assert key not in stored
    path = f"/v1/api-clients/{client_id}/keys/{made.json()['id']}/revoke"
    assert (await client.post(path, headers=admin)).json()["keys"][0]["revoked_at"] is not None


@pytest.mark.feature("ACC-11")
async def test_a_publishable_key_reads_offers_of_its_shop_on_its_pages(
    client: Client, identities: Identities, business: Business
) -> None:
    admin = bearer(await token_of(client, business.basic))
    shop = await business.shop("published")
    draft = {"shop_id": str(shop.id), "name": "page", "allowed_origins": ["https://Shop.example:443"]}
    key = (await client.post("/v1/publishable-keys", json=draft, headers=admin)).json()
    assert key["allowed_origins"] == ["https://shop.example"]
    at_home = {"X-Publishable-Key": key["key"], "Origin": "https://shop.example"}
    caller = await identities.caller(request(at_home))
    assert (caller.scopes, caller.shop_ids) == ({"offers:read"}, {shop.id})
    for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        answer = await client.get("/v1/shops", headers={"X-Publishable-Key": key["key"], **origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    for path in ("/v1/shops", "/v1/organizations", "/v1/api-clients", "/v1/products"):
        answer = await client.get(path, headers=at_home)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert (await client.get("/v1/publishable-keys?shop_id=" + str(shop.id), headers=admin)).json()["items"] == [key]


@pytest.mark.feature("ACC-1")
async def test_the_installations_key_makes_organizations_and_nothing_else(
    application: FastAPI, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "cdi_" + "k" * 40
    draft = {"name": "Porto Tools", "is_supplier": True, "client_name": "first"}
    without = await client.post("/v1/organizations", json=draft, headers=bearer(key))
    assert (without.status_code, without.json()["code"]) == (401, "invalid_token")
    monkeypatch.setitem(os.environ, "CROSSDOCK_INSTALLATION_KEY", key)
    installed = topology.web_application()
    async with installed.router.lifespan_context(installed), _door(installed) as door:
        wrong = await door.post("/v1/organizations", json=draft, headers=bearer(key[:-1] + "x"))
        assert wrong.status_code == 401
        once = bearer(key, **{"Idempotency-Key": "porto"})
        made = await door.post("/v1/organizations", json=draft, headers=once)
        assert made.status_code == 201
        again = await door.post("/v1/organizations", json=draft, headers=once)
        assert again.json() == made.json()
        second = await door.post("/v1/organizations", json=draft, headers=bearer(key))
        assert second.json()["organization"]["id"] != made.json()["organization"]["id"]
        for path in ("/v1/organizations", "/v1/shops", "/v1/api-clients"):
            assert (await door.get(path, headers=once)).status_code == 403
        basic = made.json()["administrator"]
    token = await token_of(client, (basic["client_id"], basic["client_secret"]))
    [own] = (await client.get("/v1/organizations", headers=bearer(token))).json()["items"]
    assert own == made.json()["organization"]
    refused = await client.post("/v1/organizations", json=draft, headers=bearer(token))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


# --- where it is found


@pytest.mark.feature("ACC-7")
@pytest.mark.parametrize(
    ("method", "headers", "is_honoured"),
    [
        ("GET", {}, True),
        ("POST", {}, False),
        ("DELETE", {"Origin": "https://evil.example"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, False),
        ("POST", {"Sec-Fetch-Site": "same-site"}, False),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"X-Crossdock-Console": "1"}, True),
    ],
)
def test_a_sessions_cookie_changes_nothing_for_other_sites(
    method: str, headers: dict[str, str], is_honoured: bool
) -> None:
    sent = request({"Cookie": "a=b; crossdock_session=cds_x; c=d", **headers}, method=method)
    presented = presented_in(sent.scope)
    assert (presented is not None and presented.value == b"cds_x") == is_honoured


@pytest.mark.feature("ACC-4")
def test_a_request_carries_one_credential() -> None:
    with pytest.raises(TwoCredentials):
        presented_in(request({"Authorization": "Bearer a", "X-Publishable-Key": "b"}).scope)
    twice = [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]
    with pytest.raises(TwoCredentials):
        presented_in({"headers": twice})
    beside_cookie = presented_in(request({"Authorization": "Bearer a", "Cookie": "crossdock_session=b"}).scope)
    assert beside_cookie is not None
    assert beside_cookie.place == "authorization"


@pytest.mark.feature("ACC-7")
async def test_a_cookie_that_does_not_hold_is_nobody(identities: Identities) -> None:
    for value in ("cds_unknown", "", "é", "x" * 5000, "cdi_" + "x" * 40):
        headers = [(b"cookie", f"crossdock_session={value}".encode())]
        sent = HTTPConnection({"type": "http", "method": "GET", "headers": headers, "client": ("192.0.2.1", 1)})
        assert await identities.caller(sent) == Caller(address="192.0.2.1")


@pytest.mark.feature("ACC-5")
@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("192.0.2.7", "10.0.0.1", "192.0.2.7"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_a_proxys_word_counts_as_far_as_it_is_trusted(peer: str, forwarded: str, address: str) -> None:
    from ipaddress import ip_network

    sent = request({"X-Forwarded-For": forwarded}, address=peer)
    assert address_of(sent.scope, (ip_network("10.0.0.0/8"),)) == address
    assert address_of(sent.scope, ()) == peer


@pytest.mark.feature("ACC-4")
async def test_forged_tokens_do_not_make_the_gateway_ask(
    identities: Identities, counting: CountingBus, client: Client, business: Business
) -> None:
    real = await token_of(client, business.basic)
    await identities.caller(request(bearer(real)))
    asked = len(counting.asked)
    for number in range(50):
        with pytest.raises(InvalidToken):
            await identities.caller(request(bearer(f"{real[: -20 - number]}forged")))
    assert len(counting.asked) - counting.count(GetRevocations) <= asked


@pytest.fixture
async def distributed(configuration: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that asks over Redis, and accounts answering there."""
    stopping = asyncio.Event()
    async with topology.surrounded(answers_here=False, configuration=configuration) as accounts:
        work = asyncio.create_task(topology.answer_over_redis(topology.named("accounts")[0], accounts, stopping))
        gateway = topology.gateway_application()
        async with gateway.router.lifespan_context(gateway), _door(gateway) as door:
            yield door
        stopping.set()
        await work


@pytest.mark.feature("ACC-4", "ACC-5", "GAT-7")
async def test_credentials_work_the_same_across_redis(
    distributed: httpx.AsyncClient, client: Client, business: Business
) -> None:
    client_id, secret = await business.client("accounts:write")
    form = {"grant_type": "client_credentials"}
    refused = await distributed.post("/oauth/token", data=form, auth=(client_id, "wrong"))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    beyond = await distributed.post("/oauth/token", data=form | {"scope": "admin"}, auth=(client_id, secret))
    assert (beyond.status_code, beyond.json()["error"]) == (400, "invalid_scope")
    token = (await distributed.post("/oauth/token", data=form, auth=(client_id, secret))).json()["access_token"]
    shop = {"code": "afar", "name": "Afar", "currency": "USD", "locale": "en", "settings": {"a": None}}
    made = await distributed.post(
        "/v1/shops", json=shop | {"storefront_url": "https://a.example"}, headers=bearer(token)
    )
    assert made.status_code == 201
    change = {"storefront_url": None}
    changed = await distributed.patch(f"/v1/shops/{made.json()['id']}", json=change, headers=bearer(token))
    assert changed.json() == made.json() | {"storefront_url": None, "version": 2}
    own = {"name": "own", "scopes": ["accounts:read"]}
    shown = (await distributed.post("/v1/api-clients", json=own, headers=bearer(token))).json()
    assert await token_of(client, (shown["client_id"], shown["client_secret"]))
    invalid = await distributed.get("/v1/shops", headers=bearer("cdk_" + "x" * 43))
    assert (invalid.status_code, invalid.json()["code"]) == (401, "invalid_token")
    # Revoked through the other process, refused here.
    await client.post("/oauth/revoke", data={"token": token}, auth=(client_id, secret))

    async def is_refused() -> bool:
        return (await distributed.get("/v1/shops", headers=bearer(token))).status_code == 401

    await eventually(is_refused)
