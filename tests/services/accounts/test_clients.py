"""API clients: nobody gives or takes over more than they hold; revealing; the keys that sign."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from deploy import topology
from services.accounts.use_cases import keys, tokens
from shared import clock
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.accounts.messages import (
    AddClientSecret,
    ChangeApiClient,
    CreateApiClient,
    CreateApiKey,
    CreatePublishableKey,
    GetApiClient,
    ListApiClients,
    ListPublishableKeys,
    RetireClientSecret,
    RevealClientSecret,
    RevokeApiClient,
    RevokeApiKey,
    RevokePublishableKey,
)
from shared.contracts.accounts.people import CreateUser
from shared.contracts.accounts.shapes import SCOPES, ApiClientChange, NewApiClient, ShownSecret
from shared.contracts.platform.events import AuditRecorded
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.security import SecretText
from tests.services.accounts.conftest import Speak, caller
from tests.services.accounts.test_shops import draft as shop_draft
from tests.services.accounts.test_shops import events, refused

PASSWORD = "a long enough password"


def draft(*scopes: str, **more: Any) -> CreateApiClient:
    return CreateApiClient(name="till", scopes=list(scopes or ("catalog:read",)), **more)


async def owner(ask: Speak, organization: Caller) -> Caller:
    """A person of the organization who may reveal secrets."""
    message = CreateUser(email="owner@example.com", name="Owner", role="owner", password=SecretText(PASSWORD))
    user = await ask(message, Caller(
        kind="user",
        organization_id=organization.organization_id,
        id=new_id(),
        scopes=frozenset({"admin"}),
        permissions=frozenset({"users:invite", "owners:change"}),
    ))  # fmt: skip
    return Caller(
        kind="user",
        organization_id=organization.organization_id,
        id=user.id,
        scopes=frozenset({"admin"}),
        permissions=frozenset({"clients:reveal"}),
        address="127.0.0.1",
    )


@pytest.mark.feature("ACC-5")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scopes", []),
        ("scopes", ["everything"]),
        ("scopes", ["offers:read"]),
        ("scopes", ["installation"]),
        ("shop_ids", []),
        ("allowed_networks", ["192.0.2.1/24"]),
        ("allowed_networks", ["300.1.1.1"]),
        ("allowed_networks", ["example.com"]),
        ("expires_at", "2030-01-01T00:00:00"),
        ("name", ""),
    ],
)
def test_a_client_is_not_made_of_nonsense(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        CreateApiClient(**{"name": "till", "scopes": ["catalog:read"], field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.feature("ACC-5", "ACC-10")
async def test_a_client_is_kept_as_it_was_made(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    ends = clock.now() + timedelta(days=30)
    made: NewApiClient = await ask(
        draft(
            "orders:read",
            "catalog:read",
            "orders:read",
            allowed_networks=["192.0.2.7", "2001:DB8::/32"],
            expires_at=ends,
        ),
        founder,
    )
    found = await ask(GetApiClient(client_id=made.client_id), founder)
    assert found == made.client
    assert (found.scopes, found.shop_ids, found.expires_at) == (["catalog:read", "orders:read"], None, ends)
    assert found.allowed_networks == ["192.0.2.7/32", "2001:db8::/32"]
    assert len(found.secrets) == 1
    recorded = await events(process, founder, AuditRecorded.wire_name)
    [entry] = [one["entry"] for one in recorded if one["entry"]["action"] == "api_client.create"]
    assert entry["subject_id"] == str(made.client_id)
    assert entry["after"]["scopes"] == ["catalog:read", "orders:read"]


@pytest.mark.feature("ACC-5")
async def test_the_same_request_twice_makes_one_client_and_shows_the_same_secret(ask: Speak, founder: Caller) -> None:
    first = await ask(draft(), founder, key="once")
    again = await ask(draft(), founder, key="once")
    assert again.client_secret == first.client_secret
    assert len((await ask(ListApiClients(), founder)).items) == 1
    await refused("idempotency_key_reused", ask(draft("orders:read"), founder, key="once"))


@pytest.mark.feature("ACC-5", "GAT-3")
async def test_nobody_gives_more_than_they_hold(ask: Speak, founder: Caller) -> None:
    clerk = caller(founder.organization_id, "accounts:write", "catalog:write")
    assert (await ask(draft("catalog:read"), clerk)).client.scopes == ["catalog:read"]
    for scope in ("admin", "orders:read", "storefront"):
        assert (await refused("scope_beyond_yours", ask(draft(scope), clerk))).status == 403
    made = await ask(draft("catalog:read"), clerk)
    raised = ChangeApiClient(client_id=made.client_id, change=ApiClientChange(scopes=["admin"]))
    await refused("scope_beyond_yours", ask(raised, clerk))


@pytest.mark.feature("ACC-5", "GAT-3")
async def test_nobody_takes_over_a_client_that_holds_more(ask: Speak, founder: Caller) -> None:
    strong = await ask(draft("admin"), founder)
    clerk = caller(founder.organization_id, "accounts:write", permissions=frozenset({"clients:reveal"}))
    for message in (
        AddClientSecret(client_id=strong.client_id),
        CreateApiKey(client_id=strong.client_id, name="mine"),
        ChangeApiClient(client_id=strong.client_id, change=ApiClientChange(name="mine")),
        RetireClientSecret(client_id=strong.client_id, secret_id=strong.client.secrets[0].id),
        RevokeApiClient(client_id=strong.client_id),
    ):
        await refused("scope_beyond_yours", ask(message, clerk))


@pytest.mark.feature("ACC-3", "ACC-5")
async def test_somebody_limited_to_shops_makes_clients_within_them(ask: Speak, founder: Caller) -> None:
    mine, other = await ask(shop_draft("mine"), founder), await ask(shop_draft("other"), founder)
    limited = caller(founder.organization_id, shop_ids=frozenset({mine.id}))
    await refused("limited_to_shops", ask(draft(), limited))
    await refused("limited_to_shops", ask(draft(shop_ids=[mine.id, other.id]), limited))
    within = await ask(draft(shop_ids=[mine.id]), limited)
    beyond = await ask(draft(shop_ids=[mine.id, other.id]), founder)
    everywhere = await ask(draft(), founder)
    assert [one.id for one in (await ask(ListApiClients(), limited)).items] == [within.client_id]
    for client_id in (beyond.client_id, everywhere.client_id):
        await refused("api_client_not_found", ask(GetApiClient(client_id=client_id), limited))
        await refused("api_client_not_found", ask(AddClientSecret(client_id=client_id), limited))
    lifted = ChangeApiClient(client_id=within.client_id, change=ApiClientChange(shop_ids=None))
    await refused("limited_to_shops", ask(lifted, limited))
    await refused("unknown_shop", ask(draft(shop_ids=[new_id()]), founder))
    assert (await ask(lifted, founder)).shop_ids is None


@pytest.mark.feature("ACC-1", "ACC-5", "ACC-6", "ACC-11")
async def test_another_tenants_clients_and_keys_do_not_exist(ask: Speak, founder: Caller, rival: Caller) -> None:
    made = await ask(draft(), founder)
    key = await ask(CreateApiKey(client_id=made.client_id, name="till"), founder)
    shop = await ask(shop_draft(), founder)
    published = await ask(CreatePublishableKey(shop_id=shop.id, name="page"), founder)
    mine = await ask(draft(), rival)
    for message, code in (
        (GetApiClient(client_id=made.client_id), "api_client_not_found"),
        (ChangeApiClient(client_id=made.client_id, change=ApiClientChange(name="x")), "api_client_not_found"),
        (RevokeApiClient(client_id=made.client_id), "api_client_not_found"),
        (AddClientSecret(client_id=made.client_id), "api_client_not_found"),
        (CreateApiKey(client_id=made.client_id, name="x"), "api_client_not_found"),
        (RevokeApiKey(client_id=made.client_id, key_id=key.id), "api_client_not_found"),
        (RevokeApiKey(client_id=mine.client_id, key_id=key.id), "api_key_not_found"),
        (CreatePublishableKey(shop_id=shop.id, name="x"), "shop_not_found"),
        (RevokePublishableKey(key_id=published.id), "publishable_key_not_found"),
        (draft(shop_ids=[shop.id]), "unknown_shop"),
    ):
        await refused(code, ask(message, rival))
    assert [one.id for one in (await ask(ListApiClients(), rival)).items] == [mine.client_id]
    assert (await ask(ListPublishableKeys(), rival)).items == []


@pytest.mark.feature("ACC-5")
async def test_reveal_is_for_people_who_may_and_give_their_password_again(
    process: topology.Surrounded, ask: Speak, founder: Caller
) -> None:
    made = await ask(draft(), founder)
    person = await owner(ask, founder)
    question = {"client_id": made.client_id, "secret_id": made.client.secrets[0].id}
    right = RevealClientSecret(**question, password=SecretText(PASSWORD))
    assert (await ask(right, person)).client_secret == made.client_secret
    wrong = RevealClientSecret(**question, password=SecretText("not this one at all"))
    await refused("wrong_password", ask(wrong, person))
    await refused("forbidden", ask(right, founder))
    unknown = RevealClientSecret(client_id=made.client_id, secret_id=new_id(), password=SecretText(PASSWORD))
    await refused("client_secret_not_found", ask(unknown, person))
    recorded = await events(process, founder, AuditRecorded.wire_name)
    revealed = [one["entry"] for one in recorded if one["entry"]["action"] == "client_secret.reveal"]
    assert [entry["actor"]["id"] for entry in revealed] == [str(person.id)]
    assert made.client_secret.reveal() not in str(recorded)


@pytest.mark.feature("ACC-5", "GAT-1")
async def test_clients_are_listed_newest_first_page_by_page(ask: Speak, founder: Caller) -> None:
    made = [(await ask(draft(), founder)).client_id for _ in range(5)]
    seen, after = [], None
    while True:
        page = await ask(ListApiClients(first=2, after=after), founder)
        seen += [one.id for one in page.items]
        if (after := page.next) is None:
            break
    assert seen == made[::-1]
    await refused("invalid_cursor", ask(ListApiClients(after="WyJ4Il0"), founder))


@pytest.mark.feature("ACC-5")
async def test_a_stale_change_is_refused_and_a_revoked_client_stays_revoked(ask: Speak, founder: Caller) -> None:
    made = await ask(draft(), founder)
    change = ChangeApiClient(client_id=made.client_id, change=ApiClientChange(name="new"), expected_version=1)
    assert (await ask(change, founder)).version == 2
    assert (await refused("version_changed", ask(change, founder))).status == 412
    first = await ask(RevokeApiClient(client_id=made.client_id), founder)
    assert await ask(RevokeApiClient(client_id=made.client_id), founder) == first
    for message in (
        AddClientSecret(client_id=made.client_id),
        CreateApiKey(client_id=made.client_id, name="x"),
        ChangeApiClient(client_id=made.client_id, change=ApiClientChange(name="x")),
    ):
        await refused("api_client_revoked", ask(message, founder))


@pytest.mark.feature("ACC-4")
async def test_signing_keys_follow_each_other_with_overlap(process: topology.Surrounded) -> None:
    async def at(days: float, work: Any) -> Any:
        moment = present + timedelta(days=days)
        uow = process.surroundings.unit_of_work(
            "accounts", service_envelope("accounts", None), across_tenants=work is keys.rotate
        )
        with clock.replaced(lambda: moment):
            result = await work(uow)
            await uow.commit()
        return result

    present = clock.now()
    hour = 1 / 24
    first = (await at(0, keys.current)).kid
    await at(1, keys.rotate)
    assert [key["kid"] for key in await at(1, keys.public)] == [first]
    await at(31, keys.rotate)
    await at(31, keys.rotate)
    published = [key["kid"] for key in await at(31, keys.public)]
    assert len(published) == 2
    second = published[1]
    # Published an hour before it signs, and the old one stays for an hour after.
    assert (await at(31 + hour / 2, keys.current)).kid == first
    assert (await at(31 + 1.5 * hour, keys.current)).kid == second
    await at(31 + 1.5 * hour, keys.rotate)
    assert [key["kid"] for key in await at(31 + 1.5 * hour, keys.public)] == published
    await at(31 + 2.5 * hour, keys.rotate)
    assert [key["kid"] for key in await at(31 + 2.5 * hour, keys.public)] == [second]


@pytest.mark.feature("ACC-4")
async def test_what_has_no_meaning_any_more_is_forgotten(process: topology.Surrounded, founder: Caller) -> None:
    uow = process.surroundings.unit_of_work("accounts", service_envelope("accounts", founder.organization_id))
    for hours in (-2, 2):
        await uow.execute(
            "INSERT INTO revoked_tokens VALUES ($1, $2, $3)",
            founder.organization_id,
            new_id(),
            clock.now() + timedelta(hours=hours),
        )
    await uow.commit()
    sweep = process.surroundings.unit_of_work("accounts", service_envelope("accounts", None), across_tenants=True)
    await tokens.forget_expired(sweep)
    left = await sweep.fetchval("SELECT count(*) FROM revoked_tokens")
    await sweep.commit()
    assert left == 1


@pytest.mark.feature("ACC-5")
def test_every_scope_of_the_design_is_there() -> None:
    areas = "accounts catalog inventory orders payments sync search".split()
    assert set(SCOPES) == {f"{area}:{way}" for area in areas for way in ("read", "write")} | {"storefront", "admin"}


@pytest.mark.feature("ACC-5")
async def test_secrets_added_at_once_are_two_at_most(ask: Speak, founder: Caller) -> None:
    made = await ask(draft(), founder)
    adding = (ask(AddClientSecret(client_id=made.client_id), founder) for _ in range(4))
    results = await asyncio.gather(*adding, return_exceptions=True)
    assert sum(isinstance(result, ShownSecret) for result in results) == 1
    assert {result.code for result in results if isinstance(result, CarriedError)} == {"too_many_secrets"}
    first, second = (await ask(GetApiClient(client_id=made.client_id), founder)).secrets
    retiring = (
        ask(RetireClientSecret(client_id=made.client_id, secret_id=secret.id), founder) for secret in (first, second)
    )
    results = await asyncio.gather(*retiring, return_exceptions=True)
    assert [result.code for result in results if isinstance(result, CarriedError)] == ["last_secret"]
