"""A person who is signed in."""

from uuid import UUID

from deploy.topology import Surrounded
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.people import CreateUser, SignIn
from shared.identifiers import new_id
from shared.security import SecretText

_PASSWORD = SecretText("correct horse battery")


async def make(process: Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """A person of this organization with a session; the organization is made by accounts' factory."""
    email = f"ada.{new_id().hex[-10:]}@example.com"
    hiring = CreateUser(email=email, name="Ada Lovelace", role="manager", password=_PASSWORD)
    user = await process.bus.ask(hiring, service_envelope("deploy", organization_id))
    nobody = envelope_for(Caller(address="192.0.2.7"))
    signed = await process.bus.ask(SignIn(email=email, password=_PASSWORD), nobody)
    return {"user_id": user.id, "session_id": signed.id, "password": _PASSWORD.reveal()}
