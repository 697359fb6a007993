"""Real organizations and real credentials for HTTP tests: nothing here is known to the tests' own Identities."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deploy import topology
from shared.bus.envelope import service_envelope
from shared.contracts.accounts.messages import CreateApiClient, CreateOrganization, CreateShop
from shared.contracts.accounts.shapes import Shop
from shared.identifiers import new_id
from tests.doors import Client


@dataclass(frozen=True)
class Business:
    """An organization with its administrator's client."""

    process: topology.Surrounded
    id: UUID
    client_id: str
    client_secret: str

    @property
    def basic(self) -> tuple[str, str]:
        return self.client_id, self.client_secret

    async def ask(self, message: Any) -> Any:
        """As the installation would, for this organization."""
        return await self.process.bus.ask(message, service_envelope("deploy", self.id))

    async def client(self, *scopes: str, **more: Any) -> tuple[str, str]:
        """Id and secret of another client."""
        made = await self.ask(CreateApiClient(name="another", scopes=list(scopes), **more))
        return str(made.client_id), made.client_secret.reveal()

    async def shop(self, code: str, **more: Any) -> Shop:
        return await self.ask(CreateShop(**{"code": code, "name": code, "currency": "USD", "locale": "en", **more}))


async def founded(process: topology.Surrounded, name: str = "Lisbon Bicycles") -> Business:
    organization_id = new_id()
    made = await process.bus.ask(
        CreateOrganization(name=name, client_name="administrator"), service_envelope("deploy", organization_id)
    )
    administrator = made.administrator
    return Business(process, organization_id, str(administrator.client_id), administrator.client_secret.reveal())


async def token_of(client: Client, basic: tuple[str, str], scope: str | None = None) -> str:
    """An access token, as a client gets it."""
    form = {"grant_type": "client_credentials"} | ({} if scope is None else {"scope": scope})
    answer = await client.post("/oauth/token", data=form, auth=basic)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def bearer(credential: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}", **more}
