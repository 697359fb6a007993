"""Tokens for clients: issue, describe, withdraw; and what a library needs to find all that by itself."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.credentials import is_within
from gateway.identity import caller_of, networks_of
from gateway.oauth.errors import (
    NOT_STORED,
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    OAuthRoute,
    TooManyAttempts,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedTokenType,
)
from gateway.oauth.requests import credentials_of, form_of, scopes_of
from gateway.request import bus, identities
from shared.access_tokens import SCHEME
from shared.access_tokens import issuer as issued_by
from shared.bus.envelope import Caller, envelope_for
from shared.contracts.accounts.messages import (
    AuthenticateClient,
    GetSigningKeys,
    IntrospectToken,
    IssueToken,
    RevokeToken,
)
from shared.contracts.accounts.shapes import SCOPES
from shared.contracts.base import Message
from shared.errors import CarriedError
from shared.security import SecretText

router = APIRouter(tags=["oauth"], route_class=OAuthRoute)

GRANT_TYPE = "client_credentials"
# Less than the hour that a new key is published before it signs.
_KEYS_ARE_KEPT_SECONDS = 300
_PREFIXES_OF_OTHER_CREDENTIALS = ("cdk_", "cdp_", "cds_", "cdi_")


_TEXT = {"type": "string"}
_ERROR: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["error"],
            "properties": {"error": _TEXT, "error_description": _TEXT},
        }
    }
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request, its grant or its scope is refused (RFC 6749 §5.2).", "content": _ERROR},
    401: {"description": "The client is not who it says (`invalid_client`).", "content": _ERROR},
    429: {"description": "Too many wrong secrets; wait for `Retry-After` seconds.", "content": _ERROR},
}


def _form(required: list[str], **fields: str) -> dict[str, Any]:
    """A form for OpenAPI; credentials may come as HTTP Basic instead."""
    described = fields | {"client_id": "Unless HTTP Basic is used.", "client_secret": "Unless HTTP Basic is used."}
    schema = {
        "type": "object",
        "required": required,
        "properties": {name: {"type": "string", "description": text} for name, text in described.items()},
    }
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}, "security": [{"basic": []}]}


@router.post(
    "/oauth/token", openapi_extra=_form(["grant_type"], grant_type=GRANT_TYPE, scope="Fewer scopes."), responses=_ERRORS
)
async def issue_token(request: Request) -> Response:
    """An access token of 15 minutes for an API client (RFC 6749 §4.4).

    Authenticate with HTTP Basic or with `client_id` and `client_secret` in the form. `scope` asks for fewer scopes than
    the client has. Errors are those of RFC 6749 §5.2.
    """
    form = await form_of(request)
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise InvalidRequest("The parameter grant_type is missing.")
    client = await _authenticated(request, form)
    if grant_type != GRANT_TYPE:
        raise UnsupportedGrantType(f"Only {GRANT_TYPE} is supported.")
    try:
        token = await _ask(request, client, IssueToken(scopes=scopes_of(form)))
    except CarriedError as error:
        if error.code == "invalid_scope":
            raise InvalidScope(error.detail) from error
        raise
    body = {"access_token": token.access_token.reveal(), "token_type": SCHEME, "expires_in": token.expires_in}
    return JSONResponse(body | {"scope": token.scope}, headers=NOT_STORED)


@router.post("/oauth/introspect", openapi_extra=_form(["token"], token="The access token."), responses=_ERRORS)  # noqa: S106
async def introspect_token(request: Request) -> Response:
    """What an access token of your organization stands for (RFC 7662): `{"active": false}` for any other."""
    form = await form_of(request)
    client = await _authenticated(request, form)
    described = await _ask(request, client, IntrospectToken(token=_token(form)))
    return JSONResponse(described.model_dump(mode="json", exclude_none=True), headers=NOT_STORED)


@router.post(
    "/oauth/revoke",
    openapi_extra=_form(["token"], token="The access token."),  # noqa: S106
    responses=_ERRORS,
    response_class=Response,
)
async def revoke_token(request: Request) -> Response:
    """Withdraw one of your own access tokens, everywhere within a second (RFC 7009); 200 for an unknown one, too."""
    form = await form_of(request)
    client = await _authenticated(request, form)
    token = _token(form)
    if token.reveal().startswith(_PREFIXES_OF_OTHER_CREDENTIALS):
        raise UnsupportedTokenType("Keys and sessions are withdrawn where they are managed, not here.")
    try:
        await _ask(request, client, RevokeToken(token=token))
    except CarriedError as error:
        if error.code == "token_of_another_client":
            raise UnauthorizedClient(error.detail) from error
        raise
    await identities(request).withdrawn()
    return Response(status_code=200, headers=NOT_STORED)


@router.get("/.well-known/jwks.json")
async def list_signing_keys(request: Request) -> Response:
    """The public keys that access tokens are signed with (RFC 7517), the coming one included."""
    found = await _ask(request, Caller(kind="service", name="gateway"), GetSigningKeys())
    headers = {"Cache-Control": f"public, max-age={_KEYS_ARE_KEPT_SECONDS}"}
    return JSONResponse({"keys": found.keys}, headers=headers)


@router.get("/.well-known/oauth-authorization-server")
async def describe_server() -> Response:
    """Where everything is and what it supports (RFC 8414)."""
    issuer = issued_by()
    methods = ["client_secret_basic", "client_secret_post"]
    return JSONResponse(
        {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/oauth/token",
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint": f"{issuer}/oauth/introspect",
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "revocation_endpoint_auth_methods_supported": methods,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "grant_types_supported": [GRANT_TYPE],
            # Required by RFC 8414 §2; there is no authorization endpoint, hence none.
            "response_types_supported": [],
            "scopes_supported": list(SCOPES),
            "service_documentation": f"{issuer}/docs",
        }
    )


async def _authenticated(request: Request, form: Any) -> Caller:
    """The client that asks. Raises InvalidClient, TooManyAttempts, UnauthorizedClient, InvalidRequest."""
    client_id, secret = credentials_of(request, form)
    address = identities(request).address_of(request)
    nobody = Caller(kind="service", name="gateway", address=address)
    answer = await _ask(request, nobody, AuthenticateClient(client_id=client_id, client_secret=secret))
    if answer.retry_after_seconds is not None:
        raise TooManyAttempts(
            "Too many wrong secrets from this address; wait.", retry_after_seconds=answer.retry_after_seconds
        )
    if answer.is_expired:
        raise InvalidClient("This client has expired: give it a later expires_at, or make a new one.")
    if answer.identity is None:
        raise InvalidClient("There is no such client, or its secret is another one.")
    networks = networks_of(answer.identity)
    if networks and not is_within(address, networks):
        raise UnauthorizedClient("This client may not be used from this address.")
    return caller_of(answer.identity, address=address)


async def _ask(request: Request, caller: Caller, message: Message[Any]) -> Any:
    """Ask in the gateway's own name: these messages are nobody else's to ask."""
    envelope = envelope_for(caller, request_id=request.state.request_id, asking_service="gateway")
    return await bus(request).ask(message, envelope)


def _token(form: Any) -> SecretText:
    if "token" not in form:
        raise InvalidRequest("The parameter token is missing.")
    return SecretText(form["token"])
