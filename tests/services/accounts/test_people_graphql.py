"""People and lists through the GraphQL door, and signing in where accounts is a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy import topology
from shared.bus.envelope import Caller, envelope_for
from shared.contracts.accounts.people import SignIn
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.security import SecretText
from shared.settings import Settings
from tests.doors import Client, eventually
from tests.services.accounts.conftest import Speak, caller

PASSWORD = "correct horse battery"


async def graphql(client: Client, whose: Caller, query: str, **variables: Any) -> Any:
    body = {"query": query, "variables": variables}
    return (await client.post("/graphql", json=body, headers=client.speaking_as(whose))).json()


CREATE = """
mutation($email: String!, $role: UserRole!) {
  createUser(email: $email, name: "Grace", role: $role, password: "correct horse battery") {
    __typename ... on User { id email state } ... on Problem { code }
  }
}
"""
CHANGE = """
mutation($id: UUID!, $role: UserRole!) {
  updateUser(userId: $id, change: {role: $role, shopIds: null}) {
    __typename ... on User { role shopIds } ... on Problem { code }
  }
}
"""


@pytest.mark.feature("ACC-7")
async def test_people_by_graphql_are_the_people_of_rest(client: Client, founder: Caller, rival: Caller) -> None:
    schema = await graphql(client, founder, "{ __schema { mutationType { fields { name } } } }")
    fields = {field["name"] for field in schema["data"]["__schema"]["mutationType"]["fields"]}
    assert {"createUser", "updateUser", "withdrawUser", "restoreUser", "removeUser", "acknowledgeAlert"} <= fields
    made = await client.post(
        "/v1/users",
        json={"email": f"a.{new_id().hex[-8:]}@example.com", "name": "Ada", "role": "viewer", "password": PASSWORD},
        headers=client.speaking_as(founder),
    )
    listed = await graphql(client, founder, "{ users { nodes { email role state shopIds } } }")
    expected = {"email": made.json()["email"], "role": "VIEWER", "state": "ACTIVE", "shopIds": None}
    assert listed["data"]["users"]["nodes"] == [expected]
    address = f"g.{new_id().hex[-8:]}@example.com"
    created = (await graphql(client, founder, CREATE, email=address, role="OWNER"))["data"]["createUser"]
    assert (created["email"], created["state"]) == (address, "ACTIVE")
    taken = (await graphql(client, founder, CREATE, email=address, role="OWNER"))["data"]["createUser"]
    assert taken == {"__typename": "Problem", "code": "email_taken"}
    users = (await client.get("/v1/users?role=owner", headers=client.speaking_as(founder))).json()["items"]
    demoted = await graphql(client, founder, CHANGE, id=users[0]["id"], role="VIEWER")
    assert demoted["data"]["updateUser"] == {"__typename": "Problem", "code": "last_owner"}
    changed = await graphql(client, founder, CHANGE, id=made.json()["id"], role="MANAGER")
    assert changed["data"]["updateUser"] == {"__typename": "User", "role": "MANAGER", "shopIds": None}
    foreign = await graphql(client, rival, CHANGE, id=made.json()["id"], role="MANAGER")
    assert foreign["data"]["updateUser"]["code"] == "user_not_found"
    assert (await graphql(client, rival, "{ users { nodes { email } } }"))["data"]["users"]["nodes"] == []


@pytest.mark.feature("OPS-5", "ACC-10")
async def test_lists_by_graphql(client: Client, founder: Caller) -> None:
    assert founder.organization_id is not None

    async def logged() -> Any:
        found = await graphql(
            client, founder, '{ auditLog(action: "organization.*") { nodes { action actor { kind } } } }'
        )
        return found["data"]["auditLog"]["nodes"]

    assert (await eventually(logged))[0]["actor"]["kind"]
    empty = await graphql(client, founder, "{ jobs { nodes { id } } alerts(state: OPEN) { nodes { cause } } }")
    assert empty["data"] == {"jobs": {"nodes": []}, "alerts": {"nodes": []}}
    refused = await graphql(client, caller(founder.organization_id, "storefront"), "{ alerts { nodes { cause } } }")
    assert refused["errors"][0]["extensions"]["code"] == "missing_scope"


@pytest.fixture
async def remote(configuration: Settings) -> AsyncIterator[topology.Surrounded]:
    """A gateway's process, and accounts answering over Redis."""
    stopping = asyncio.Event()
    async with (
        topology.surrounded(answers_here=False, configuration=configuration) as gateway,
        topology.surrounded(answers_here=False, configuration=configuration) as accounts,
    ):
        work = asyncio.create_task(topology.answer_over_redis(topology.named("accounts")[0], accounts, stopping))
        yield gateway
        stopping.set()
        await work


@pytest.mark.feature("ACC-7")
async def test_signing_in_across_redis(
    remote: topology.Surrounded, ask: Speak, founder: Caller, client: Client
) -> None:
    """Accounts asks itself on the way: more at once than it answers at a time must neither block nor be mixed up."""
    emails = []
    for _ in range(3):
        emails.append(f"a.{new_id().hex[-8:]}@example.com")
        body = {"email": emails[-1], "name": "Ada", "role": "viewer", "password": PASSWORD}
        assert (await client.post("/v1/users", json=body, headers=client.speaking_as(founder))).status_code == 201

    async def attempt(number: int) -> Any:
        address = f"2001:db8:9:{number:x}::1"
        message = SignIn(email=emails[number % 3], password=SecretText(PASSWORD if number % 2 else "wrong one"))
        return await remote.bus.ask(message, envelope_for(Caller(address=address), timeout_seconds=30))

    answers = await asyncio.gather(*(attempt(number) for number in range(100)), return_exceptions=True)
    for number, answer in enumerate(answers):
        if isinstance(answer, CarriedError):
            assert answer.code in (("overloaded",) if number % 2 else ("overloaded", "wrong_credentials"))
        else:
            assert number % 2
            assert answer.user.email == emails[number % 3]  # type: ignore[union-attr]
    codes = [answer.code for answer in answers if isinstance(answer, CarriedError)]
    assert "overloaded" in codes
    assert len(codes) < 100
