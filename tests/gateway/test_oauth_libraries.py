"""OAuth libraries as they come, in Python and from the npm registry, against a running server."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import uvicorn
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from deploy import topology
from shared.settings import Settings, settings
from tests.doors import eventually
from tests.gateway.credentials import Business, founded

LIBRARIES = ("openid-client@6.8.9", "simple-oauth2@5.1.0")
_PROGRAM = Path(__file__).parent / "libraries" / "client.mjs"


@pytest.fixture(scope="module")
async def issuer(configuration: Settings) -> AsyncIterator[str]:
    """The address of a server on a port of its own, which knows that address."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    os.environ["CROSSDOCK_BASE_URL"] = address
    settings.cache_clear()
    server = uvicorn.Server(uvicorn.Config(topology.web_application(), log_level="warning", lifespan="on"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))

    async def has_started() -> bool:
        assert not serving.done(), serving
        return server.started

    await eventually(has_started)
    yield address
    server.should_exit = True
    await serving
    os.environ.pop("CROSSDOCK_BASE_URL")
    settings.cache_clear()


@pytest.fixture(scope="module")
async def business(process: topology.Surrounded) -> Business:
    return await founded(process)


@pytest.mark.feature("ACC-4")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlib_gets_a_token_uses_it_and_gives_it_back(issuer: str, business: Business, method: str) -> None:
    client_id, secret = await business.client("accounts:read", "catalog:read")
    async with AsyncOAuth2Client(
        client_id, secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method
    ) as library:
        described = await library.request(
            "GET", f"{issuer}/.well-known/oauth-authorization-server", withhold_token=True
        )
        metadata = described.json()
        token = await library.fetch_token(
            metadata["token_endpoint"], grant_type="client_credentials", scope="accounts:read"
        )
        assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 900, "accounts:read")
        assert (await library.get(f"{issuer}/v1/shops")).status_code == 200
        described = await library.introspect_token(metadata["introspection_endpoint"], token=token["access_token"])
        assert described.json()["active"] is True
        revoked = await library.revoke_token(metadata["revocation_endpoint"], token=token["access_token"])
        assert revoked.status_code == 200
        described = await library.introspect_token(metadata["introspection_endpoint"], token=token["access_token"])
        assert described.json() == {"active": False}


@pytest.mark.feature("ACC-4")
async def test_authlib_understands_our_errors(issuer: str, business: Business) -> None:
    client_id, _ = await business.client("accounts:read")
    async with AsyncOAuth2Client(client_id, "wrong") as library:
        with pytest.raises(OAuthError) as caught:
            await library.fetch_token(f"{issuer}/oauth/token", grant_type="client_credentials")
        assert caught.value.error == "invalid_client"


@pytest.mark.feature("ACC-4")
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_npm_libraries_work_unchanged(issuer: str, business: Business, tmp_path: Path) -> None:
    client_id, secret = await business.client("accounts:read")
    shutil.copy(_PROGRAM, tmp_path)
    await run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *LIBRARIES, folder=tmp_path)
    seen = orjson.loads(await run("node", _PROGRAM.name, issuer, client_id, secret, folder=tmp_path))
    by_openid = {
        "scope": "accounts:read",
        "active": True,
        "status": 200,
        "afterwards": False,
        "refused": "invalid_scope",
    }
    assert seen == {"basic": by_openid, "post": by_openid, "simple": {"expired": False, "status": 200}}


async def run(program: str, *arguments: str, folder: Path) -> bytes:
    """What a program prints; it has two minutes."""
    child = await asyncio.create_subprocess_exec(
        program, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(120):
            output, errors = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, errors.decode()
    return output
