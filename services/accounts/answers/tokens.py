"""Credentials and tokens; the gateway asks, in its own name."""

from services.accounts.errors import InvalidToken
from services.accounts.use_cases import identities, keys, revocation, sessions, tokens
from shared.contracts.accounts.messages import (
    AccessToken,
    AuthenticateClient,
    ClientAuthentication,
    GetRevocations,
    GetSigningKeys,
    IntrospectToken,
    IssueToken,
    ResolveCredential,
    Revocations,
    RevokeToken,
    SigningKeys,
    TokenDescription,
)
from shared.contracts.accounts.shapes import Identity
from shared.contracts.base import Done
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ResolveCredential, internal=True)
async def resolve_credential(message: ResolveCredential, uow: UnitOfWork) -> Identity:
    digest = bytes.fromhex(message.digest or "")
    match message.kind:
        case "access_token" if message.organization_id and message.client_id and message.token_id:
            return await identities.of_access_token(
                uow, message.organization_id, message.client_id, message.token_id, message.scopes
            )
        case "api_key":
            return await identities.of_api_key(uow, digest)
        case "publishable_key":
            return await identities.of_publishable_key(uow, digest)
        case "session":
            return await sessions.identify(uow, digest)
    raise InvalidToken("This is not a credential of ours.")


@answers(GetRevocations, internal=True, across_tenants=True)
async def get_revocations(message: GetRevocations, uow: UnitOfWork) -> Revocations:
    return await revocation.since(uow, message.since)


@answers(GetSigningKeys, internal=True)
async def get_signing_keys(message: GetSigningKeys, uow: UnitOfWork) -> SigningKeys:
    return SigningKeys(keys=await keys.public(uow))


@answers(AuthenticateClient, internal=True)
async def authenticate_client(message: AuthenticateClient, uow: UnitOfWork) -> ClientAuthentication:
    return await tokens.authenticate(uow, message.client_id, message.client_secret)


@answers(IssueToken, internal=True)
async def issue_token(message: IssueToken, uow: UnitOfWork) -> AccessToken:
    return await tokens.issue(uow, message.scopes)


@answers(IntrospectToken, internal=True)
async def introspect_token(message: IntrospectToken, uow: UnitOfWork) -> TokenDescription:
    return await tokens.describe(uow, message.token)


@answers(RevokeToken, internal=True)
async def revoke_token(message: RevokeToken, uow: UnitOfWork) -> Done:
    await tokens.revoke(uow, message.token)
    return Done()
