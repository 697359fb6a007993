"""Health, readiness and metrics of a process that serves nobody else: a service's answers, a worker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.rest.health import Checks, measurements, readiness
from shared.backlog import Backlogs


def health_application(checks: Checks, backlogs: Backlogs) -> Starlette:
    """`/healthz`, `/readyz` and `/metrics` as the gateway has them, for a `uvicorn.Server` beside the work itself."""

    async def is_alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def is_ready(_request: Request) -> Response:
        return await readiness(checks)

    async def read_metrics(_request: Request) -> Response:
        return await measurements(backlogs)

    return Starlette(routes=[Route("/healthz", is_alive), Route("/readyz", is_ready), Route("/metrics", read_metrics)])


@contextlib.asynccontextmanager
async def telling_health(application: Starlette, address: str | None) -> AsyncIterator[None]:
    """Serve `application` at `host:port` inside the block; without an address, nowhere."""
    if address is None:
        yield
        return
    host, port = address.rsplit(":", 1)
    server = _Beside(uvicorn.Config(application, host=host, port=int(port), log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Beside(uvicorn.Server):
    """A server beside the real work, to which signals belong."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
