"""Reading OAuth requests: a form, the client's credentials in one of two places, and nothing twice."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request

from gateway.oauth.errors import InvalidClient, InvalidRequest, InvalidScope
from shared.security import SecretText

_FORM = "application/x-www-form-urlencoded"
_MOST_BYTES = 64 * 1024
_MOST_FIELDS = 50
_LONGEST_CLIENT_ID = 200
_LONGEST_SECRET = 1000
# RFC 6749 §3.3: scope-token *( SP scope-token ).
_SCOPES = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")


class ClientCredentials(NamedTuple):
    """What a client says it is."""

    client_id: str
    client_secret: SecretText


async def form_of(request: Request) -> Mapping[str, str]:
    """The parameters of the body; those without a value count as left out (RFC 6749 §3.2). Raises InvalidRequest."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequest(f"Send the parameters as {_FORM} in the body.")
    if "client_secret" in request.query_params:
        raise InvalidRequest("Credentials do not belong into the address.")
    body = await request.body()
    if len(body) > _MOST_BYTES:
        raise InvalidRequest("The body is too large.")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InvalidRequest("The body is not a form in UTF-8.") from error
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise InvalidRequest("A parameter is there twice.")
        form[name] = value
    return {name: value for name, value in form.items() if value}


def credentials_of(request: Request, form: Mapping[str, str]) -> ClientCredentials:
    """From HTTP Basic or from the form, never both (RFC 6749 §2.3). Raises InvalidRequest, InvalidClient."""
    authorizations = request.headers.getlist("authorization")
    if len(authorizations) > 1:
        raise InvalidRequest("The Authorization header is there twice.")
    if authorizations:
        return _of_basic(authorizations[0], form)
    if "client_id" not in form or "client_secret" not in form:
        raise InvalidClient("Say who you are: HTTP Basic, or client_id and client_secret in the form.")
    return _checked(form["client_id"], form["client_secret"])


def scopes_of(form: Mapping[str, str]) -> list[str] | None:
    """The wanted scopes, or None for all that the client has. Raises InvalidScope."""
    scope = form.get("scope")
    if scope is None:
        return None
    if not _SCOPES.fullmatch(scope):
        raise InvalidScope("Scopes are separated by single spaces.")
    return scope.split(" ")


def _of_basic(authorization: str, form: Mapping[str, str]) -> ClientCredentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("Authenticate with HTTP Basic, or with client_id and client_secret in the form.")
    if "client_secret" in form:
        raise InvalidRequest("Send the client's credentials in one place.")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = text.partition(":")
        # Both are form-encoded before they are joined (RFC 6749 §2.3.1).
        client_id, secret = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (ValueError, binascii.Error) as error:
        raise InvalidClient("The Authorization header is not HTTP Basic.") from error
    if not colon:
        raise InvalidClient("The Authorization header is not HTTP Basic.")
    if form.get("client_id", client_id) != client_id:
        raise InvalidRequest("The form names another client than the Authorization header.")
    return _checked(client_id, secret)


def _checked(client_id: str, secret: str) -> ClientCredentials:
    if len(client_id) > _LONGEST_CLIENT_ID or len(secret) > _LONGEST_SECRET:
        raise InvalidClient("There is no such client, or its secret is another one.")
    return ClientCredentials(client_id, SecretText(secret))
