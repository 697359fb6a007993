"""OAuth 2.0 over HTTP: what RFC 6749, 7662, 7009 and 8414 promise, case by case."""

import asyncio
import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from deploy import topology
from shared import access_tokens, clock
from shared.access_tokens import Claims
from shared.bus.envelope import service_envelope
from shared.contracts.accounts.messages import ChangeApiClient, GetApiClient, RevokeApiClient
from shared.contracts.accounts.shapes import ApiClientChange
from shared.identifiers import new_id
from shared.settings import settings
from tests.doors import Client
from tests.gateway.credentials import Business, bearer, founded, token_of

FORM = {"grant_type": "client_credentials"}
IS_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TWICE = "grant_type=client_credentials&grant_type=client_credentials"
PASSWORD_GRANT = {"grant_type": "password", "username": "a", "password": "b"}


@pytest.fixture(scope="module")
async def business(process: topology.Surrounded) -> Business:
    return await founded(process)


@pytest.mark.feature("ACC-4")
async def test_a_client_gets_a_token_and_uses_it(client: Client, business: Business) -> None:
    answer = await client.post("/oauth/token", data=FORM, auth=business.basic)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    assert body | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "admin",
    }
    found = await client.get("/v1/organizations", headers=bearer(body["access_token"]))
    assert [one["id"] for one in found.json()["items"]] == [str(business.id)]


@pytest.mark.feature("ACC-4")
async def test_the_token_is_a_signed_jwt_that_anybody_can_verify(client: Client, business: Business) -> None:
    keys = await client.get("/.well-known/jwks.json")
    assert "max-age" in keys.headers["cache-control"]
    assert all("d" not in key for key in keys.json()["keys"])
    token = await token_of(client, business.basic, "catalog:read")
    decoded = jwt.decode(token, KeySet.import_key_set(keys.json()), registry=access_tokens._registry)
    claims = decoded.claims
    assert decoded.header["alg"] == "EdDSA"
    assert (claims["iss"], claims["sub"], claims["client_id"]) == (
        settings().base_url,
        business.client_id,
        business.client_id,
    )
    assert (claims["scope"], claims["org"], claims["exp"] - claims["iat"]) == ("catalog:read", str(business.id), 900)
    assert (
        claims["jti"]
        != jwt.decode(
            await token_of(client, business.basic), KeySet.import_key_set(keys.json()), registry=access_tokens._registry
        ).claims["jti"]
    )


@pytest.mark.feature("ACC-4")
async def test_credentials_come_as_basic_or_in_the_form(client: Client, business: Business) -> None:
    client_id, secret = business.basic
    in_form = await client.post("/oauth/token", data=FORM | {"client_id": client_id, "client_secret": secret})
    assert in_form.status_code == 200
    encoded = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()
    assert (await client.post("/oauth/token", data=FORM, headers={"Authorization": f"basic {encoded}"})).is_success
    named_too = await client.post("/oauth/token", data=FORM | {"client_id": client_id}, auth=business.basic)
    assert named_too.status_code == 200


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.feature("ACC-4")
@pytest.mark.parametrize(
    ("request_of", "status", "error"),
    [
        # No authentication, a wrong one, an unknown client: RFC 6749 §5.2 invalid_client.
        (lambda b: {"data": FORM}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "auth": (b.client_id, "wrong")}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "auth": (b.client_id, "")}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "auth": (str(new_id()), b.client_secret)}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "auth": ("nobody", "x")}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "auth": (b.client_id.upper(), b.client_secret)}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "auth": ("x" * 5000, "x")}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "auth": ("a\x00b", "x\x00")}, 401, "invalid_client"),
        (lambda b: {"data": FORM | {"client_id": b.client_id}}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "headers": {"Authorization": "Basic !!!"}}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "headers": basic("no colon")}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "headers": basic("%ff%fe:x")}, 401, "invalid_client"),
        (lambda b: {"data": FORM, "headers": {"Authorization": "Bearer x"}}, 401, "invalid_client"),
        # Both ways at once, twice the same, not a form: invalid_request.
        (lambda b: {"data": FORM | {"client_secret": b.client_secret}, "auth": b.basic}, 400, "invalid_request"),
        (lambda b: {"data": FORM | {"client_id": str(new_id())}, "auth": b.basic}, 400, "invalid_request"),
        (lambda b: {"data": {}, "auth": b.basic, "headers": IS_FORM}, 400, "invalid_request"),
        (lambda b: {"data": {"grant_type": ""}, "auth": b.basic}, 400, "invalid_request"),
        (lambda b: {"json": FORM, "auth": b.basic}, 400, "invalid_request"),
        (lambda b: {"content": TWICE, "auth": b.basic, "headers": IS_FORM}, 400, "invalid_request"),
        (lambda b: {"content": b"grant_type=\xff", "auth": b.basic, "headers": IS_FORM}, 400, "invalid_request"),
        (lambda b: {"data": {f"p{n}": "x" for n in range(99)}, "auth": b.basic}, 400, "invalid_request"),
        (lambda b: {"data": FORM, "auth": b.basic, "params": {"client_secret": "x"}}, 400, "invalid_request"),
        # Other grants.
        (lambda b: {"data": PASSWORD_GRANT, "auth": b.basic}, 400, "unsupported_grant_type"),
        (lambda b: {"data": {"grant_type": "authorization_code"}, "auth": b.basic}, 400, "unsupported_grant_type"),
        # Scopes: unknown, ungrammatical.
        (lambda b: {"data": FORM | {"scope": "everything"}, "auth": b.basic}, 400, "invalid_scope"),
        (lambda b: {"data": FORM | {"scope": "catalog:read  admin"}, "auth": b.basic}, 400, "invalid_scope"),
        (lambda b: {"data": FORM | {"scope": "catalog:read\x00"}, "auth": b.basic}, 400, "invalid_scope"),
        (lambda b: {"data": FORM | {"scope": 'a"b'}, "auth": b.basic}, 400, "invalid_scope"),
        (lambda b: {"data": FORM | {"scope": "installation"}, "auth": b.basic}, 400, "invalid_scope"),
    ],
)  # fmt: skip
async def test_errors_are_those_of_the_rfc(
    client: Client, business: Business, request_of: Any, status: int, error: str
) -> None:
    answer = await client.post("/oauth/token", **request_of(business))
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    assert ("www-authenticate" in answer.headers) == (status == 401)
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.feature("ACC-4")
async def test_the_token_endpoint_takes_post_alone(client: Client) -> None:
    assert (await client.get("/oauth/token")).status_code == 405


@pytest.mark.feature("ACC-4", "GAT-3")
async def test_a_narrower_scope_is_all_that_the_token_carries(client: Client, business: Business) -> None:
    reader = await business.client("catalog:write", "accounts:read")
    token = await token_of(client, reader, "catalog:read")
    refused = await client.get("/v1/shops", headers=bearer(token))
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert (await client.get("/v1/shops", headers=bearer(await token_of(client, reader)))).status_code == 200
    beyond = await client.post("/oauth/token", data=FORM | {"scope": "orders:read"}, auth=reader)
    assert (beyond.status_code, beyond.json()["error"]) == (400, "invalid_scope")


@pytest.mark.feature("ACC-4")
async def test_metadata_names_every_endpoint_as_it_is(client: Client) -> None:
    found = (await client.get("/.well-known/oauth-authorization-server")).json()
    assert found["issuer"] == settings().base_url
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        path = found[name].removeprefix(found["issuer"])
        assert (await client.post(path)).json()["error"] == "invalid_request"
    assert (await client.get(found["jwks_uri"].removeprefix(found["issuer"]))).status_code == 200
    assert found["grant_types_supported"] == ["client_credentials"]
    assert found["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]


# --- tokens that do not hold


def forged(business: Business, **changes: Any) -> Claims:
    now = int(clock.now().timestamp())
    honest = {
        "issuer": settings().base_url,
        "organization_id": business.id,
        "client_id": business.client_id,
        "token_id": new_id(),
        "scopes": ("admin",),
        "issued_at": now,
        "expires_at": now + 900,
    }
    return Claims(**honest | changes)


@pytest.mark.feature("ACC-4")
async def test_a_token_that_is_not_ours_opens_nothing(client: Client, business: Business) -> None:
    real = await token_of(client, business.basic)
    header, payload, signature = real.split(".")
    key = access_tokens.new_key()
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
    # The last character of a signature carries padding bits that mean nothing: change the first.
    damaged = ("B" if signature[0] == "A" else "A") + signature[1:]
    for token in (
        access_tokens.signed(forged(business), key),
        f"{unsigned}.{payload}.",
        f"{header}.{payload}.{damaged}",
        f"{header}.{payload[:-4]}AAAA.{signature}",
        f"{header}.{payload}",
        "x",
        "a.b.c",
        "é.é.é".encode().decode("latin-1"),
        "x" * 5000,
        "cdk_" + "x" * 43,
        "cds_" + "x" * 43,
        "cdi_" + "x" * 43,
        "cdp_" + "x" * 32,
    ):
        answer = await client.get("/v1/shops", headers=[(b"authorization", b"Bearer " + token.encode("latin-1"))])
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token"), token
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.feature("ACC-4")
async def test_requests_without_a_usable_credential(client: Client, business: Business) -> None:
    nobody = await client.get("/v1/shops")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
    assert nobody.headers["www-authenticate"] == 'Bearer realm="crossdock"'
    token = await token_of(client, business.basic)
    for value in (f"Basic {token}", "Bearer", "Bearer ", token):
        answer = await client.get("/v1/shops", headers={"Authorization": value})
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token"), value
    two = await client.get("/v1/shops", headers=bearer(token, **{"X-Publishable-Key": "cdp_x"}))
    assert (two.status_code, two.json()["code"]) == (400, "two_credentials")
    assert (await client.get(f"/v1/shops?access_token={token}")).status_code == 401


@pytest.mark.feature("ACC-4")
async def test_a_token_ends_after_its_quarter_of_an_hour(client: Client, business: Business) -> None:
    before = clock.now()
    token = await token_of(client, business.basic)
    after = clock.now()
    assert (await client.get("/v1/shops", headers=bearer(token))).status_code == 200
    # Tokens count in whole seconds: it was made in the second of `before` at the earliest.
    with clock.replaced(lambda: before + timedelta(seconds=898.9)):
        assert (await client.get("/v1/shops", headers=bearer(token))).status_code == 200
    with clock.replaced(lambda: after + timedelta(seconds=901)):
        answer = await client.get("/v1/shops", headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        described = await client.post("/oauth/introspect", data={"token": token}, auth=business.basic)
        assert described.json() == {"active": False}


@pytest.mark.feature("ACC-5")
async def test_an_expired_client_gets_nothing_and_its_tokens_end(client: Client, business: Business) -> None:
    ends = clock.now() + timedelta(minutes=5)
    basic_of = await business.client("accounts:read", expires_at=ends)
    token = await token_of(client, basic_of)
    assert (await client.get("/v1/shops", headers=bearer(token))).status_code == 200
    with clock.replaced(lambda: ends + timedelta(seconds=1)):
        assert (await client.get("/v1/shops", headers=bearer(token))).status_code == 401
        answer = await client.post("/oauth/token", data=FORM, auth=basic_of)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert "has expired" in answer.json()["error_description"]
        assert "Basic" in answer.headers["www-authenticate"]
        guessed = await client.post("/oauth/token", data=FORM, auth=(basic_of[0], "a guess"))
        assert (guessed.status_code, guessed.json()["error"]) == (401, "invalid_client")
        assert "expired" not in guessed.text


@pytest.mark.feature("ACC-5")
async def test_a_revoked_client_is_not_said_to_have_expired(client: Client, business: Business) -> None:
    ends = clock.now() + timedelta(minutes=5)
    basic_of = await business.client("accounts:read", expires_at=ends)
    await business.ask(RevokeApiClient(client_id=basic_of[0]))
    with clock.replaced(lambda: ends + timedelta(seconds=1)):
        answer = await client.post("/oauth/token", data=FORM, auth=basic_of)
        assert (answer.status_code, "expired" in answer.text) == (401, False)


@pytest.mark.feature("ACC-5")
async def test_a_client_cannot_be_made_or_changed_to_have_ended(client: Client, business: Business) -> None:
    headers = bearer(await token_of(client, business.basic))
    past = (clock.now() - timedelta(seconds=1)).isoformat()
    body = {"name": "till", "scopes": ["catalog:read"], "expires_at": past}
    refused = await client.post("/v1/api-clients", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "expiry_in_the_past"), refused.text
    assert refused.json()["errors"][0]["pointer"] == "/expires_at"
    ends = clock.now() + timedelta(minutes=5)
    client_id, _ = await business.client("accounts:read", expires_at=ends)
    path = f"/v1/api-clients/{client_id}"
    refused = await client.patch(path, json={"expires_at": past}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "expiry_in_the_past")
    with clock.replaced(lambda: ends + timedelta(seconds=1)):
        headers = bearer(await token_of(client, business.basic))
        renamed = await client.patch(path, json={"name": "old till", "expires_at": ends.isoformat()}, headers=headers)
        assert (renamed.status_code, renamed.json()["name"]) == (200, "old till"), renamed.text
        later = (ends + timedelta(days=1)).isoformat()
        assert (await client.patch(path, json={"expires_at": later}, headers=headers)).status_code == 200


# --- introspection and revocation


@pytest.mark.feature("ACC-4")
async def test_introspection_tells_the_organizations_own_tokens_apart(
    client: Client, business: Business, process: topology.Surrounded
) -> None:
    token = await token_of(client, business.basic, "catalog:read orders:read")
    described = (await client.post("/oauth/introspect", data={"token": token}, auth=business.basic)).json()
    assert described["active"] is True
    assert described["scope"] == "catalog:read orders:read"
    assert described["client_id"] == described["sub"] == business.client_id
    assert described["token_type"] == "Bearer"
    assert described["exp"] - described["iat"] == 900
    stranger = await founded(process, "Stranger")
    for unknown, basic_of in ((token, stranger.basic), ("nonsense", business.basic)):
        answer = await client.post("/oauth/introspect", data={"token": unknown}, auth=basic_of)
        assert answer.json() == {"active": False}
    assert (await client.post("/oauth/introspect", data={"token": token})).json()["error"] == "invalid_client"
    missing = await client.post("/oauth/introspect", data={"x": "y"}, auth=business.basic)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")


@pytest.mark.feature("ACC-4")
async def test_revocation_ends_ones_own_token_and_is_never_an_error_for_unknown_ones(
    client: Client, business: Business
) -> None:
    token = await token_of(client, business.basic)
    other = await business.client("accounts:read")
    refused = await client.post("/oauth/revoke", data={"token": token}, auth=other)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    for again in range(2):
        answer = await client.post("/oauth/revoke", data={"token": token}, auth=business.basic)
        assert (answer.status_code, answer.content) == (200, b""), again
    described = await client.post("/oauth/introspect", data={"token": token}, auth=business.basic)
    assert described.json() == {"active": False}
    unknown = await client.post("/oauth/revoke", data={"token": "nonsense"}, auth=business.basic)
    assert unknown.status_code == 200
    key = await client.post("/oauth/revoke", data={"token": "cdk_x"}, auth=business.basic)
    assert key.json()["error"] == "unsupported_token_type"
    assert (await client.post("/oauth/revoke", data={"token": token})).status_code == 401


# --- clients


@pytest.mark.feature("ACC-5")
async def test_two_secrets_live_at_once_so_that_rotation_interrupts_nobody(client: Client, business: Business) -> None:
    client_id, old = await business.client("accounts:read")
    headers = bearer(await token_of(client, business.basic))
    path = f"/v1/api-clients/{client_id}/secrets"
    new = (await client.post(path, headers=headers)).json()
    for secret in (old, new["client_secret"]):
        assert await token_of(client, (client_id, secret))
    third = await client.post(path, headers=headers)
    assert (third.status_code, third.json()["code"]) == (409, "too_many_secrets")
    listed = (await client.get(f"/v1/api-clients/{client_id}", headers=headers)).json()["secrets"]
    assert new["id"] in [secret["id"] for secret in listed]
    first = next(secret["id"] for secret in listed if secret["id"] != new["id"])
    token = await token_of(client, (client_id, old))
    assert (await client.post(f"{path}/{first}/retire", headers=headers)).status_code == 200
    assert (await client.post("/oauth/token", data=FORM, auth=(client_id, old))).status_code == 401
    assert await token_of(client, (client_id, new["client_secret"]))
    assert (await client.get("/v1/shops", headers=bearer(token))).status_code == 200
    last = await client.post(f"{path}/{new['id']}/retire", headers=headers)
    assert (last.status_code, last.json()["code"]) == (409, "last_secret")


@pytest.mark.feature("ACC-5")
async def test_secrets_rest_sealed_and_are_never_listed(client: Client, business: Business) -> None:
    client_id, secret = await business.client("accounts:read")
    headers = bearer(await token_of(client, business.basic))
    assert secret not in (await client.get(f"/v1/api-clients/{client_id}", headers=headers)).text
    assert secret not in (await client.get("/v1/api-clients", headers=headers)).text
    uow = business.process.surroundings.unit_of_work("accounts", service_envelope("accounts", business.id))
    rows = await uow.fetch("SELECT to_json(t)::text AS row FROM client_secrets t")
    rows += await uow.fetch("SELECT to_json(t)::text AS row FROM audit_entries t")
    rows += await uow.fetch("SELECT payload::text AS row FROM outbox")
    await uow.rollback()
    assert len(rows) > 2
    assert not any(secret in row["row"] for row in rows)


@pytest.mark.feature("ACC-5")
async def test_guessing_is_slowed_where_it_comes_from_and_nowhere_else(
    client: Client, business: Business, application: Any
) -> None:
    client_id, secret = await business.client("accounts:read")
    guesses = [await client.post("/oauth/token", data=FORM, auth=(client_id, "guess")) for _ in range(11)]
    assert [guess.status_code for guess in guesses] == [401] * 10 + [429]
    assert guesses[-1].json()["error"] == "invalid_client"
    assert 0 < int(guesses[-1].headers["retry-after"]) <= 300
    # From here it has to wait, even with the right secret; from elsewhere, and for other clients here, it works.
    assert (await client.post("/oauth/token", data=FORM, auth=(client_id, secret))).status_code == 429
    async with Client(application, client.identities, address="192.0.2.7") as elsewhere:
        assert await token_of(elsewhere, (client_id, secret))
    assert await token_of(client, business.basic)
    later = clock.now() + timedelta(minutes=6)
    with clock.replaced(lambda: later):
        assert await token_of(client, (client_id, secret))


@pytest.mark.feature("ACC-5")
async def test_guesses_at_once_are_all_counted(client: Client, business: Business) -> None:
    client_id, _ = await business.client("accounts:read")
    attempts = (client.post("/oauth/token", data=FORM, auth=(client_id, "guess")) for _ in range(20))
    statuses = [answer.status_code for answer in await asyncio.gather(*attempts)]
    assert set(statuses) <= {401, 429}
    assert (await client.post("/oauth/token", data=FORM, auth=(client_id, "guess"))).status_code == 429


@pytest.mark.feature("ACC-5")
async def test_the_last_use_is_noted(client: Client, business: Business) -> None:
    client_id, secret = await business.client("accounts:read")
    assert (await business.ask(GetApiClient(client_id=client_id))).last_used_at is None
    await token_of(client, (client_id, secret))
    noted = (await business.ask(GetApiClient(client_id=client_id))).last_used_at
    assert noted is not None
    assert abs(clock.now() - noted) < timedelta(seconds=30)


@pytest.mark.feature("ACC-5")
async def test_a_revoked_client_gets_no_token(client: Client, business: Business) -> None:
    client_id, secret = await business.client("accounts:read")
    await business.ask(RevokeApiClient(client_id=client_id, reason="lost"))
    answer = await client.post("/oauth/token", data=FORM, auth=(client_id, secret))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    change = ChangeApiClient(client_id=client_id, change=ApiClientChange(name="back"))
    with pytest.raises(Exception, match="revoked for good"):
        await business.ask(change)


@pytest.mark.feature("ACC-5")
async def test_a_client_is_used_from_its_networks_alone(client: Client, business: Business, application: Any) -> None:
    client_id, secret = await business.client("accounts:read", allowed_networks=["192.0.2.0/24", "2001:db8::/32"])
    refused = await client.post("/oauth/token", data=FORM, auth=(client_id, secret))
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    for address in ("192.0.2.7", "2001:db8::1", "::ffff:192.0.2.9"):
        async with Client(application, client.identities, address=address) as inside:
            token = await token_of(inside, (client_id, secret))
            assert (await inside.get("/v1/shops", headers=bearer(token))).status_code == 200
    outside = await client.get("/v1/shops", headers=bearer(token, **{"X-Forwarded-For": "192.0.2.7"}))
    assert (outside.status_code, outside.json()["code"]) == (403, "address_not_allowed")
