"""People over HTTP: sessions as token and as cookie, roles, limits to shops, the last owner."""

import asyncio
from typing import Any

import pytest

from deploy import topology
from shared.bus.envelope import Caller, envelope_for
from shared.contracts.accounts.messages import CreateShop
from shared.identifiers import new_id
from tests.doors import Client, eventually
from tests.services.accounts.conftest import Speak

PASSWORD = "correct horse battery"
CONSOLE = {"X-Crossdock-Console": "1"}
pytestmark = pytest.mark.feature("ACC-7")


def email() -> str:
    return f"ada.{new_id().hex[-10:]}@example.com"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def hired(client: Client, boss: Caller, **draft: Any) -> dict[str, Any]:
    body = {"email": email(), "name": "Ada", "role": "owner", "password": PASSWORD, **draft}
    answer = await client.post("/v1/users", json=body, headers=client.speaking_as(boss))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def signed_in(client: Client, address: str, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/sessions", json={"email": address, "password": PASSWORD, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def shop(ask: Speak, founder: Caller, code: str, **more: Any) -> Any:
    draft = CreateShop(**{"code": code, "name": code, "currency": "USD", "locale": "en-US", **more})
    return await ask(draft, founder)


async def ended(client: Client, credential: dict[str, str]) -> Any:
    """The refusal that a credential meets soon after it was taken away, long before it would be read again."""

    async def refusal() -> Any:
        answer = await client.get("/v1/users", headers=credential)
        return answer if answer.status_code == 401 else None

    return await eventually(refusal, timeout_seconds=30)


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# --- sessions


async def test_a_session_from_begin_to_end(client: Client, founder: Caller) -> None:
    user = await hired(client, founder)
    assert "password" not in str(user)
    signed = await signed_in(client, user["email"])
    assert signed["token"].startswith("cds_")
    assert (signed["role"], signed["scopes"], signed["user"]["id"]) == ("owner", ["admin"], user["id"])
    me = await client.get("/v1/sessions/current", headers=bearer(signed["token"]))
    assert (me.status_code, me.json()["user"]["email"]) == (200, user["email"])
    sessions = (await client.get("/v1/sessions", headers=bearer(signed["token"]))).json()
    assert [session["id"] for session in sessions["items"]] == [signed["id"]]
    assert sessions["items"][0]["address"] == "127.0.0.1"
    assert (await client.delete("/v1/sessions/current", headers=bearer(signed["token"]))).status_code == 204
    after = await ended(client, bearer(signed["token"]))
    assert problem(after) == (401, "invalid_token")
    assert after.headers["www-authenticate"].startswith("Bearer")


async def test_wrong_credentials_and_malformed_ones(client: Client, founder: Caller) -> None:
    user = await hired(client, founder)
    for body, expected in (
        ({"email": user["email"], "password": "not it at all"}, (401, "wrong_credentials")),
        ({"email": email(), "password": PASSWORD}, (401, "wrong_credentials")),
        ({"email": user["email"], "password": "x" * 1025}, (422, "validation_failed")),
        ({"email": "ada@example.com\r\nBcc: eve@example.com", "password": PASSWORD}, (422, "validation_failed")),
        ({"email": "ada\u0000@example.com", "password": PASSWORD}, (422, "validation_failed")),
        ({"email": user["email"]}, (422, "validation_failed")),
        ({"email": user["email"], "password": PASSWORD, "extra": 1}, (422, "validation_failed")),
        ({"email": user["email"], "password": 17}, (422, "validation_failed")),
    ):
        answer = await client.post("/v1/sessions", json=body)
        assert problem(answer) == expected, body
        assert PASSWORD not in answer.text
        assert "set-cookie" not in answer.headers


async def test_half_a_character_in_a_password_is_refused(client: Client) -> None:
    body = b'{"email": "ada@example.com", "password": "half \\ud83d of it"}'
    answer = await client.post("/v1/sessions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


async def test_too_many_attempts_say_when_to_come_back(client: Client, founder: Caller) -> None:
    user = await hired(client, founder)
    body = {"email": user["email"], "password": "not it at all"}
    answers = [await client.post("/v1/sessions", json=body) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert problem(answers[-1]) == (429, "too_many_attempts")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 900


async def test_signing_out_everywhere_ends_every_session(client: Client, founder: Caller) -> None:
    user = await hired(client, founder)
    one, other = [(await signed_in(client, user["email"]))["token"] for _ in range(2)]
    assert (await client.delete("/v1/sessions", headers=bearer(one))).status_code == 204
    for token in (one, other):
        assert problem(await ended(client, bearer(token))) == (401, "invalid_token")


# --- the cookie


async def test_only_our_own_page_gets_a_cookie(client: Client, founder: Caller) -> None:
    user = await hired(client, founder)
    body = {"email": user["email"], "password": PASSWORD}
    plain = await client.post("/v1/sessions", json=body, headers={"Sec-Fetch-Site": "cross-site"})
    assert "set-cookie" not in plain.headers
    ours = await client.post("/v1/sessions", json=body, headers=CONSOLE)
    client.cookies.clear()
    cookie = ours.headers["set-cookie"]
    assert cookie.startswith(f"crossdock_session={ours.json()['token']};")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))


async def test_a_cookie_changes_nothing_for_another_site(client: Client, founder: Caller) -> None:
    """CSRF: a browser sends the cookie along from any page, but only ours can add the header."""
    token = (await signed_in(client, (await hired(client, founder))["email"]))["token"]
    cookie = {"Cookie": f"crossdock_session={token}"}
    draft = {"email": email(), "name": "Eve", "role": "owner", "password": PASSWORD}
    assert (await client.get("/v1/users", headers=cookie)).status_code == 200
    for foreign in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        answer = await client.post("/v1/users", json=draft, headers=cookie | foreign)
        assert problem(answer) == (401, "unauthenticated")
    for ours in (CONSOLE, {"Sec-Fetch-Site": "same-origin"}):
        answer = await client.post("/v1/users", json=draft | {"email": email()}, headers=cookie | ours)
        assert answer.status_code == 201
    out = await client.delete("/v1/sessions/current", headers=cookie | CONSOLE)
    assert out.status_code == 204
    assert 'crossdock_session=""' in out.headers["set-cookie"]
    assert problem(await ended(client, cookie)) == (401, "unauthenticated")


async def test_a_stale_cookie_does_not_keep_anybody_from_signing_in(client: Client, founder: Caller) -> None:
    user = await hired(client, founder)
    token = (await signed_in(client, user["email"]))["token"]
    body = {"email": user["email"], "password": PASSWORD}
    for credential in (
        {"Cookie": "crossdock_session=cds_old"} | CONSOLE,
        {"Cookie": f"crossdock_session={token}"} | CONSOLE,
        bearer("cds_old"),
    ):
        assert (await client.post("/v1/sessions", json=body, headers=credential)).status_code == 201
        client.cookies.clear()


# --- roles


@pytest.mark.parametrize(
    ("role", "reads", "writes", "manages"),
    [("owner", 200, 201, 201), ("admin", 200, 201, 201), ("manager", 200, 201, 403), ("viewer", 200, 403, 403)],
)
async def test_what_each_role_may_do(
    client: Client, founder: Caller, role: str, reads: int, writes: int, manages: int
) -> None:
    token = bearer((await signed_in(client, (await hired(client, founder, role=role))["email"]))["token"])
    assert (await client.get("/v1/users", headers=token)).status_code == reads
    made = await client.post("/v1/categories", json={"name": f"Tools {new_id().hex}"}, headers=token)
    assert made.status_code == writes, made.text
    draft = {"email": email(), "name": "New", "role": "viewer", "password": PASSWORD}
    assert (await client.post("/v1/users", json=draft, headers=token)).status_code == manages


async def test_an_admin_governs_no_owner(client: Client, founder: Caller) -> None:
    owner = await hired(client, founder)
    admin = bearer((await signed_in(client, (await hired(client, founder, role="admin"))["email"]))["token"])
    draft = {"email": email(), "name": "New", "role": "owner", "password": PASSWORD}
    path = f"/v1/users/{owner['id']}"
    for answer in (
        await client.post("/v1/users", json=draft, headers=admin),
        await client.patch(path, json={"email": email()}, headers=admin),
        await client.post(f"{path}/withdraw", headers=admin),
        await client.post(f"{path}/sign-out", headers=admin),
        await client.delete(path, headers=admin),
    ):
        assert problem(answer) == (403, "forbidden")
    assert (await client.get(path, headers=admin)).json() == owner


async def test_a_client_gives_nobody_more_than_it_holds(client: Client, founder: Caller) -> None:
    assert founder.organization_id is not None
    clerk = Caller(
        kind="client",
        organization_id=founder.organization_id,
        id=new_id(),
        scopes=frozenset({"accounts:write", "catalog:read"}),
    )
    for role in ("owner", "admin", "manager", "viewer"):
        draft = {"email": email(), "name": "New", "role": role, "password": PASSWORD}
        answer = await client.post("/v1/users", json=draft, headers=client.speaking_as(clerk))
        assert problem(answer) == (403, "may_not_grant")


async def test_a_new_role_holds_from_the_next_request_on(client: Client, founder: Caller) -> None:
    user = await hired(client, founder, role="manager")
    token = bearer((await signed_in(client, user["email"]))["token"])
    assert (await client.post("/v1/categories", json={"name": new_id().hex}, headers=token)).status_code == 201
    change = await client.patch(f"/v1/users/{user['id']}", json={"role": "viewer"}, headers=client.speaking_as(founder))
    assert change.json()["role"] == "viewer"

    async def is_refused() -> bool:
        answer = await client.post("/v1/categories", json={"name": new_id().hex}, headers=token)
        return answer.status_code == 403

    await eventually(is_refused, timeout_seconds=30)


async def test_withdrawn_is_out_and_restored_is_back(client: Client, founder: Caller) -> None:
    user = await hired(client, founder)
    await hired(client, founder)
    token = bearer((await signed_in(client, user["email"]))["token"])
    boss, path = client.speaking_as(founder), f"/v1/users/{user['id']}"
    withdrawn = await client.post(f"{path}/withdraw", json={"reason": "left"}, headers=boss)
    assert (withdrawn.status_code, withdrawn.json()["state"]) == (200, "withdrawn")
    await ended(client, token)
    refused = await client.post("/v1/sessions", json={"email": user["email"], "password": PASSWORD})
    assert problem(refused) == (401, "wrong_credentials")
    assert (await client.post(f"{path}/restore", headers=boss)).json()["state"] == "active"
    assert await signed_in(client, user["email"])


# --- the last owner


async def test_the_last_owner_stays(client: Client, founder: Caller) -> None:
    owner = await hired(client, founder)
    await hired(client, founder, role="admin")
    invited = await client.post(
        "/v1/users", json={"email": email(), "name": "Later", "role": "owner"}, headers=client.speaking_as(founder)
    )
    assert invited.json()["state"] == "invited"
    boss, path = client.speaking_as(founder), f"/v1/users/{owner['id']}"
    for answer in (
        await client.patch(path, json={"role": "admin"}, headers=boss),
        await client.post(f"{path}/withdraw", headers=boss),
        await client.delete(path, headers=boss),
    ):
        assert problem(answer) == (409, "last_owner")
    assert (await client.get(path, headers=boss)).json() == owner
    await hired(client, founder)
    assert (await client.delete(path, headers=boss)).status_code == 204
    assert problem(await client.get(path, headers=boss)) == (404, "user_not_found")


@pytest.mark.parametrize("way", ["demote", "withdraw", "remove"])
async def test_two_owners_do_not_remove_each_other_at_once(client: Client, founder: Caller, way: str) -> None:
    owners = [await hired(client, founder) for _ in range(4)]
    boss = client.speaking_as(founder)

    async def end(user_id: str) -> int:
        match way:
            case "demote":
                answer = await client.patch(f"/v1/users/{user_id}", json={"role": "viewer"}, headers=boss)
            case "withdraw":
                answer = await client.post(f"/v1/users/{user_id}/withdraw", headers=boss)
            case _:
                answer = await client.delete(f"/v1/users/{user_id}", headers=boss)
        return answer.status_code

    statuses = sorted(await asyncio.gather(*(end(owner["id"]) for owner in owners)))
    assert statuses == [204 if way == "remove" else 200] * 3 + [409]
    left = await client.get("/v1/users?role=owner&state=active", headers=boss)
    assert len(left.json()["items"]) == 1


# --- limits to shops


async def test_a_limit_to_shops_includes_their_sub_shops(
    client: Client, process: topology.Surrounded, ask: Speak, founder: Caller
) -> None:
    main = await shop(ask, founder, "main")
    below = await shop(ask, founder, "below", parent_id=main.id)
    other = await shop(ask, founder, "other")
    user = await hired(client, founder, role="manager", shop_ids=[str(main.id)])
    assert user["shop_ids"] == [str(main.id)]
    token = bearer((await signed_in(client, user["email"]))["token"])
    seen = await client.get("/v1/shops", headers=token)
    assert {item["id"] for item in seen.json()["items"]} == {str(main.id), str(below.id)}
    assert (await client.get(f"/v1/shops/{other.id}", headers=token)).status_code == 404
    lifted = await client.patch(f"/v1/users/{user['id']}", json={"shop_ids": None}, headers=client.speaking_as(founder))
    assert lifted.json()["shop_ids"] is None

    async def sees_all() -> bool:
        return len((await client.get("/v1/shops", headers=token)).json()["items"]) == 3

    await eventually(sees_all, timeout_seconds=30)


async def test_a_limit_to_a_shop_that_is_removed_becomes_a_limit_to_none(
    client: Client, process: topology.Surrounded, ask: Speak, founder: Caller
) -> None:
    kept, gone = await shop(ask, founder, "kept"), await shop(ask, founder, "gone")
    user = await hired(client, founder, role="viewer", shop_ids=[str(gone.id)])
    uow = process.surroundings.unit_of_work("accounts", envelope_for(founder))
    await uow.execute("DELETE FROM shops WHERE id = $1", gone.id)
    await uow.commit()
    token = bearer((await signed_in(client, user["email"]))["token"])
    assert (await client.get("/v1/shops", headers=token)).json()["items"] == []
    assert (await client.get(f"/v1/shops/{kept.id}", headers=token)).status_code == 404


async def test_who_governs_is_not_limited_and_unknown_shops_are_refused(
    client: Client, ask: Speak, founder: Caller, rival: Caller
) -> None:
    mine, theirs = await shop(ask, founder, "mine"), await shop(ask, rival, "theirs")
    boss = client.speaking_as(founder)
    user = await hired(client, founder, role="manager", shop_ids=[str(mine.id)])
    draft = {"email": email(), "name": "New", "password": PASSWORD}
    for role, shop_id, refusal in (
        ("admin", mine.id, (422, "limit_needs_role")),
        ("owner", mine.id, (422, "limit_needs_role")),
        ("viewer", theirs.id, (404, "unknown_shop")),
        ("viewer", new_id(), (404, "unknown_shop")),
    ):
        body = draft | {"role": role, "shop_ids": [str(shop_id)]}
        assert problem(await client.post("/v1/users", json=body, headers=boss)) == refusal
    promoted = await client.patch(f"/v1/users/{user['id']}", json={"role": "admin"}, headers=boss)
    assert problem(promoted) == (422, "limit_needs_role")
    both = await client.patch(f"/v1/users/{user['id']}", json={"role": "admin", "shop_ids": None}, headers=boss)
    assert (both.status_code, both.json()["shop_ids"]) == (200, None)
    empty = await client.post("/v1/users", json=draft | {"role": "viewer", "shop_ids": []}, headers=boss)
    assert problem(empty) == (422, "validation_failed")


# --- lists, changes, tenants


async def test_people_are_listed_page_by_page(client: Client, founder: Caller) -> None:
    made = sorted([(await hired(client, founder, role="viewer"))["email"] for _ in range(5)])
    boss, found, after = client.speaking_as(founder), [], None
    while True:
        query = {"first": 2} | ({"after": after} if after else {})
        page = (await client.get("/v1/users", params=query, headers=boss)).json()
        found += [user["email"] for user in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == made
    assert problem(await client.get("/v1/users?after=nonsense", headers=boss)) == (400, "invalid_cursor")
    assert problem(await client.get("/v1/users?role=king", headers=boss)) == (422, "validation_failed")


async def test_an_address_is_taken_once_also_at_once(client: Client, founder: Caller, rival: Caller) -> None:
    address, boss = email(), client.speaking_as(founder)
    draft = {"name": "Ada", "role": "viewer", "password": PASSWORD}
    bodies = [draft | {"email": address}, draft | {"email": address.upper()}]
    answers = await asyncio.gather(*(client.post("/v1/users", json=body, headers=boss) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    other = await hired(client, founder, role="viewer")
    taken = await client.patch(f"/v1/users/{other['id']}", json={"email": address}, headers=boss)
    assert problem(taken) == (409, "email_taken")
    assert (await hired(client, rival, email=address))["email"] == address


async def test_another_tenants_people_are_not_there(client: Client, founder: Caller, rival: Caller) -> None:
    user = await hired(client, founder)
    stranger, path = client.speaking_as(rival), f"/v1/users/{user['id']}"
    for answer in (
        await client.get(path, headers=stranger),
        await client.patch(path, json={"name": "Mine"}, headers=stranger),
        await client.post(f"{path}/withdraw", headers=stranger),
        await client.post(f"{path}/restore", headers=stranger),
        await client.post(f"{path}/sign-out", headers=stranger),
        await client.delete(path, headers=stranger),
    ):
        assert problem(answer) == (404, "user_not_found")
    assert (await client.get(path, headers=client.speaking_as(founder))).json() == user


async def test_a_repeated_creation_makes_one_person(client: Client, founder: Caller) -> None:
    draft = {"email": email(), "name": "Ada", "role": "viewer", "password": PASSWORD}
    headers = client.speaking_as(founder, Idempotency_Key="once")
    answers = [await client.post("/v1/users", json=draft, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    other = await client.post("/v1/users", json=draft | {"password": PASSWORD + "!"}, headers=headers)
    assert problem(other) == (422, "idempotency_key_reused")


async def test_names_hold_no_control_characters(client: Client, founder: Caller) -> None:
    for name in ("Ada\r\nBcc: eve@example.com", "nul\u0000", "", "   ", "x" * 201):
        body = {"email": email(), "name": name, "role": "viewer"}
        answer = await client.post("/v1/users", json=body, headers=client.speaking_as(founder))
        assert problem(answer) == (422, "validation_failed")


@pytest.mark.feature("ACC-10")
async def test_what_changes_rights_is_audited_with_before_and_after(client: Client, founder: Caller) -> None:
    user = await hired(client, founder, role="viewer")
    boss, path = client.speaking_as(founder), f"/v1/users/{user['id']}"
    await client.patch(path, json={"role": "manager"}, headers=boss)
    await client.post(f"{path}/withdraw", json={"reason": "left"}, headers=boss)
    await client.delete(path, headers=boss)

    async def entries() -> list[Any]:
        answer = await client.get("/v1/audit-log", params={"subject": f"user:{user['id']}"}, headers=boss)
        found: list[Any] = answer.json()["items"]
        return found if len(found) == 4 else []

    found = await eventually(entries)
    assert [entry["action"] for entry in found] == ["user.remove", "user.withdraw", "user.change", "user.create"]
    assert (found[2]["before"]["role"], found[2]["after"]["role"]) == ("viewer", "manager")
    assert found[1]["reason"] == "left"
    assert PASSWORD not in str(found)
    assert "argon2" not in str(found)
