"""A running system as one of its clients speaks to it: with the credentials that `crossdock up` wrote, or a token."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx


class Refused(Exception):
    """The system did not do what it was asked; the message says why. `code` is the problem's, where it had one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Access:
    """Which system, and as whom: a client of the credentials, or whoever has the token."""

    credentials: Path
    base_url: str | None = None
    party: str = "admin"
    token: str | None = None


def opened(access: Access) -> httpx.Client:
    """A client of the system that is known there already. Raises Refused, httpx.HTTPError."""
    credentials: dict[str, Any] = {}
    if access.token is None or access.base_url is None:
        try:
            credentials = json.loads(access.credentials.read_text())
        except (OSError, ValueError) as error:
            raise Refused(
                f"{access.credentials} cannot be read ({error}): start a system with `deploy/up`, or give --url and "
                "the environment variable CROSSDOCK_TOKEN."
            ) from None
    http = httpx.Client(base_url=access.base_url or credentials["base_url"], timeout=600)
    token = access.token or _token(http, credentials, access.party)
    http.headers["Authorization"] = f"Bearer {token}"
    return http


def _token(http: httpx.Client, credentials: dict[str, Any], party: str) -> str:
    client = credentials["clients"].get(party)
    if client is None:
        raise Refused(f"The credentials have no client '{party}'; there are {', '.join(credentials['clients'])}.")
    answer = http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(client["client_id"], client["client_secret"]),
    )
    if answer.status_code != 200:
        raise Refused(f"{http.base_url} gives no token: {answer.text[:300]}")
    token: str = answer.json()["access_token"]
    return token


def checked(answer: httpx.Response) -> Any:
    """The body of a good answer. Raises Refused with the problem's detail and code."""
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
    except ValueError:
        raise Refused(f"{answer.request.url} answered {answer.status_code}.") from None
    code = problem.get("code", answer.status_code)
    raise Refused(f"{problem.get('detail', answer.text)} ({code})", problem.get("code"))
