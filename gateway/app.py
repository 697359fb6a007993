"""Builds the web application from a bus: what answers it, and where, is not known here."""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from gateway import errors, openapi, storefront
from gateway.asking import Asking
from gateway.at_once import AtOnce
from gateway.browsers import Browsers
from gateway.conditional import Conditional
from gateway.console import pages
from gateway.docs import pages as docs
from gateway.graphql.app import schema
from gateway.graphql.http import GraphqlEndpoint
from gateway.graphql.persisted import Operations
from gateway.graphql.websocket import GraphqlSocket
from gateway.methods import HeadAsGet
from gateway.middleware import BodyLimits, RequestRecords, Timeouts, client_went_away
from gateway.oauth import endpoints as oauth
from gateway.openapi import PlainRoute, Rights
from gateway.parameters import known_parameters
from gateway.ready import Ready, ReadyAnswers
from gateway.request import asker
from gateway.rest import (
    accounts,
    agents,
    arrivals,
    attributes,
    carriers,
    catalog,
    categories,
    channel_content,
    connections,
    customers,
    exports,
    feeds,
    health,
    import_templates,
    imports,
    inventory,
    listings,
    lists,
    operations,
    order_changes,
    order_connections,
    order_lists,
    orders,
    payments,
    people,
    picking,
    prices,
    reconciliation,
    returns,
    search,
    shipments,
    sourcing,
    stock_checks,
    suppliers,
    variants,
)
from gateway.settings import gateway_settings
from gateway.sparse import Sparse

# One router per service or subject; each is a module of `gateway.rest`.
ROUTERS: tuple[APIRouter, ...] = (
    orders.hot_router,
    health.router,
    accounts.router,
    catalog.router,
    channel_content.router,
    prices.router,
    variants.router,
    attributes.router,
    categories.router,
    exports.router,
    imports.router,
    import_templates.router,
    inventory.router,
    order_connections.router,
    order_lists.router,
    sourcing.router,
    orders.router,
    customers.router,
    order_changes.router,
    payments.router,
    reconciliation.router,
    people.router,
    lists.router,
    operations.router,
    search.router,
    shipments.router,
    picking.router,
    returns.router,
    arrivals.router,
    carriers.router,
    suppliers.router,
    stock_checks.router,
    connections.router,
    agents.router,
    feeds.router,
    listings.router,
)

# Hot routes in plain Starlette.
PLAIN_ROUTES: tuple[PlainRoute, ...] = storefront.PLAIN_ROUTES


class Mounted(NamedTuple):
    """An entry that is not the gateway's own: where it is, and what the log and metrics call the paths below that."""

    path: str
    below: str
    app: ASGIApp

    @property
    def path_format(self) -> str:
        return self.below


class _Mount(Mount):
    """A mount that tells the request which one it is."""

    def __init__(self, mounted: Mounted) -> None:
        super().__init__(mounted.path, mounted.app)
        self._mounted = mounted

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return match, {**child, "route": self._mounted}


class _StraightToMounts:
    """Hands what is posted to a mount over to it: nothing that stands between here and there is meant for it.

    It bounds its bodies, their time and its own itself. What stands between took a quarter of a callback's time.
    """

    def __init__(self, app: ASGIApp, mounts: Sequence[Mounted]) -> None:
        self._app = app
        self._mounts = [(f"{mounted.path}/", _Mount(mounted)) for mounted in mounts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            for path, mount in self._mounts:
                if scope["path"].startswith(path):
                    scope.update(mount.matches(scope)[1])
                    await mount.app(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class _PlainPath(Route):
    """A Starlette route that, like FastAPI's, tells the request which one it is."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return match, {**child, "route": self}


def create_app(lifespan: Lifespan[FastAPI], mounts: Sequence[Mounted] = (), rights: Rights | None = None) -> FastAPI:
    """The gateway. `mounts` are entries that are not its own; `rights`, the scopes by message, are documented.

    `lifespan` puts into `app.state`: `bus`, `identities`, `budgets`, `checks`, what readiness asks by name, and
    `backlogs`, what waits, for the metrics, `live`, the events that are followed, `bells`, what agents are woken by,
    and `shop_standings`, how far shops' indexes are.
    """
    settings = gateway_settings()
    plain_routes = [
        _PlainPath(plain.path, plain.endpoint, methods=[plain.method], name=plain.message.__name__)
        for plain in PLAIN_ROUTES
    ]
    known = Operations(schema(), settings.graphql_operations, only_registered=settings.graphql_registered_only)
    # Plain Starlette: a class endpoint is handed the request as it came.
    endpoint = docs.GraphqlPage(GraphqlEndpoint(schema(), known))
    graphql = _PlainPath("/graphql", endpoint, methods=["GET", "POST"], name="graphql")
    posted = Timeouts(BodyLimits(errors.NamedErrors(graphql), settings), settings)
    app = FastAPI(
        title="Crossdock",
        version="1",
        middleware=[
            Middleware(RequestRecords),
            Middleware(_StraightToMounts, mounts=mounts),
            Middleware(Asking, router=orders.hot_router, most_bytes=settings.body_limit),
            Middleware(Browsers, identify=asker),
            Middleware(Ready, routes=plain_routes, graphql=posted),
            Middleware(Timeouts, settings=settings),
            Middleware(BodyLimits, settings=settings),
            Middleware(Conditional),
            Middleware(HeadAsGet),
            Middleware(Sparse),
            Middleware(Asking, router=orders.hot_router),
        ],
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        # It would send the client to whatever it called us, which may be somebody else.
        redirect_slashes=False,
        # Nothing is configured for it, and to find that out took as long as to know who asks.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lifespan,
    )
    app.state.ready = ReadyAnswers(
        lambda organization, shop: app.state.shop_standings.of(organization, shop), settings.answers_bytes
    )
    app.state.at_once = AtOnce(app.state.ready, lambda: app.state.identities)
    errors.install(app)
    app.add_exception_handler(ClientDisconnect, client_went_away)
    # First, for routes are tried in turn: callbacks, the storefront's reads and GraphQL shall not wait for all of REST
    # to decline, which takes longer than they do.
    app.router.routes.extend(map(_Mount, mounts))
    app.router.routes.extend(plain_routes)
    app.router.routes.append(graphql)
    app.router.routes.append(WebSocketRoute("/graphql", GraphqlSocket(schema(), known)))
    # OAuth has its own words for what is wrong, and ignores parameters it does not know (RFC 6749 §3.2).
    app.include_router(oauth.router)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(known_parameters)])
    for page in (*pages.ROUTES, *docs.ROUTES, docs.schema_route(schema())):
        named = _PlainPath(page.path, page.endpoint, methods=["GET"], include_in_schema=page.include_in_schema)
        app.router.routes.append(named)
    openapi.install(app, PLAIN_ROUTES, rights or {})
    return app
