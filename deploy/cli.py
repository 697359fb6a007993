"""The command line `crossdock`. Each command's body lives in a module of its own."""

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from deploy import start

app = typer.Typer(
    name="crossdock",
    help="The commerce backend for a business that sells in several places.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crossdock {version('crossdock')}")
        raise typer.Exit


@app.callback()
def crossdock(
    _version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The commerce backend for a business that sells in several places."""


def folder(named: str | Path) -> Path:
    """A folder as it was named, or the default. An empty name is no folder: it would mean the current one."""
    if not str(named).strip():
        raise typer.BadParameter("Name a folder; '.' is the current one.")
    return Path(named)


@app.command()
def up(
    data: Annotated[
        Path, typer.Option(parser=folder, metavar="DIRECTORY", help="Folder for everything it keeps; made if missing.")
    ] = Path(".crossdock"),
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to serve on; by default 8000, or a free one.")
    ] = None,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Run the gateway and each service as processes of their own.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Number of web processes.")] = 1,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Do not load the demo business.")] = False,
) -> None:
    """Start everything on this machine, and stop it with Ctrl-C.

    Brings its own PostgreSQL and Redis, or uses yours when DATABASE_URL and REDIS_URL are both set.
    """
    options = start.Options(data=data, port=port, distributed=distributed, workers=workers, demo=not no_demo)
    raise typer.Exit(start.up(options))


@app.command()
def demo(
    url: Annotated[
        str | None, typer.Option(help="The system's address; by default the one in the credentials.")
    ] = None,
    credentials: Annotated[Path, typer.Option(help="What `crossdock up` wrote.")] = Path(".crossdock/credentials.json"),
) -> None:
    """Do the main job against the running system: file in, offer out, order, payment, shipment."""
    from deploy.demo import demonstrate  # its HTTP client is for this command alone

    raise typer.Exit(demonstrate(url, credentials))


@app.command(name="import")
def import_(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A file, or an http(s) address to be fetched from.")],
    group: Annotated[
        str,
        typer.Option(
            help="products, prices, variants, categories, channel-content, stock, customers, suppliers, supplier-links"
            " or orders."
        ),
    ] = "products",
    profile: Annotated[str | None, typer.Option(help="The file's format; by default told by its headings.")] = None,
    mode: Annotated[str, typer.Option(help="merge, insert-only, update-only, replace or delete.")] = "merge",
    missing: Annotated[str, typer.Option(help="In replace, what the file does not name: keep, archive.")] = "keep",
    on_error: Annotated[str, typer.Option(help="Rows with errors: skip, or abort all.")] = "skip",
    format_: Annotated[str | None, typer.Option("--format", help="By default found out.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Of a workbook; by default the first that is not empty.")] = None,
    encoding: Annotated[str | None, typer.Option(help="By default found out.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="By default found out.")] = None,
    guard_percent: Annotated[
        int | None, typer.Option(min=0, max=100, help="Ask before more than this share is taken away.")
    ] = None,
    shop: Annotated[str | None, typer.Option(help="Whose prices, or orders, they are.")] = None,
    weight_unit: Annotated[
        str | None, typer.Option(help="Of weights that the file gives without one: g, kg, oz or lb.")
    ] = None,
    media_base_url: Annotated[
        str | None, typer.Option(help="Where paths of pictures lead, as https://shop.example/media/catalog/product.")
    ] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of dates in the file, as Europe/Lisbon; else UTC.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")] = False,
    url: Annotated[
        str | None, typer.Option(help="The system's address; by default the one in the credentials.")
    ] = None,
    credentials: Annotated[Path, typer.Option(help="What `crossdock up` wrote.")] = Path(".crossdock/credentials.json"),
    party: Annotated[str, typer.Option("--as", help="Which client of the credentials speaks.")] = "admin",
    token: Annotated[
        str | None, typer.Option(envvar="CROSSDOCK_TOKEN", help="An access token or API key, instead of credentials.")
    ] = None,
) -> None:
    """Import a file into the running system, and print what came of it.

    Ends with 0, with 1 when the import failed, and with 3 when it is held until somebody confirms it.
    """
    from deploy import importing, speaking  # their HTTP client is for such commands alone

    parameters = {
        "group": group,
        "profile": profile,
        "mode": mode,
        "missing": missing,
        "on_error": on_error,
        "format": format_,
        "sheet": sheet,
        "encoding": encoding,
        "delimiter": delimiter,
        "guard_percent": guard_percent,
        "shop": shop,
        "weight_unit": weight_unit,
        "media_base_url": media_base_url,
        "time_zone": time_zone,
        "dry_run": str(dry_run).lower(),
    }
    access = speaking.Access(credentials, url, party, token)
    raise typer.Exit(importing.import_file(importing.Options(source, parameters, access)))


@app.command()
def connect(
    platform: Annotated[
        str | None, typer.Option(help="agent, shopify, magento, prestashop, woocommerce, files or custom.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the connection is to be called here.")] = None,
    shop: Annotated[str | None, typer.Option(help="Code of the shop here that it belongs to.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="As url=https://…; may be JSON. Repeatable."),
    ] = None,
    credential: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="As token=@FILE, or token=…; asked for, hidden, when missing."),
    ] = None,
    location: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE=CENTRE", help="Which fulfilment centre a place of the platform is. Repeatable."),
    ] = None,
    connection: Annotated[str | None, typer.Option(metavar="ID", help="Go on with one that is there.")] = None,
    stock: Annotated[bool, typer.Option(help="Import what it has in stock.")] = True,
    orders: Annotated[bool, typer.Option(help="Import its orders.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing, and agree to what is shown.")] = False,
    url: Annotated[
        str | None, typer.Option(help="The system's address; by default the one in the credentials.")
    ] = None,
    credentials: Annotated[Path, typer.Option(help="What `crossdock up` wrote.")] = Path(".crossdock/credentials.json"),
    party: Annotated[str, typer.Option("--as", help="Which client of the credentials speaks.")] = "admin",
    token: Annotated[
        str | None, typer.Option(envvar="CROSSDOCK_TOKEN", help="An access token or API key, instead of credentials.")
    ] = None,
) -> None:
    """Connect a store platform, step by step: test it, read it, show what its products would become, import them.

    Asks for what is missing. Nothing is written to the platform before the connection goes live. Ends with 0, with 1
    when something failed, with 2 when an option is missing or wrong, and with 3 when it waits for somebody to agree.
    """
    from deploy import speaking  # their HTTP client is for such commands alone
    from deploy.connecting import draft, guide

    given = draft.Given(platform, name, shop, setting or (), credential or ())
    access = speaking.Access(credentials, url, party, token)
    options = guide.Options(access, given, connection, location or (), stock, orders, yes)
    raise typer.Exit(guide.connect(options))


@app.command()
def agent(
    url: Annotated[str, typer.Option(envvar="CROSSDOCK_URL", help="Crossdock's address, as https://…")],
    token: Annotated[
        str, typer.Option(envvar="CROSSDOCK_AGENT_TOKEN", help="The connection's token (cda_…), or @FILE with it.")
    ],
    source: Annotated[
        str,
        typer.Option(
            envvar="CROSSDOCK_AGENT_SOURCE",
            help="folder:/path, sqlite:///path, postgresql://…, or https://… of a server of the custom protocol.",
        ),
    ],
    queries: Annotated[Path | None, typer.Option(help="TOML file of what a database is asked.")] = None,
    source_token: Annotated[
        str, typer.Option(envvar="CROSSDOCK_SOURCE_TOKEN", help="The custom server's own token, or @FILE with it.")
    ] = "",
) -> None:
    """Run beside a system behind a firewall: fetch what Crossdock asks of it, and bring the answers. Runs for ever.

    Ends with 0 on SIGTERM, with 1 when Crossdock refuses the token, and with 2 when an option is wrong.
    """
    from deploy.agent import command  # its HTTP client is for such commands alone

    raise typer.Exit(command.run(command.Options(url, token, source, queries, source_token)))


@app.command()
def bench(
    credentials: Annotated[
        Path | None, typer.Option(help="Measure the system that wrote this file; by default, systems of its own.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of web processes, and of the bare endpoint's.")] = 1,
    topology: Annotated[str, typer.Option(help="`both`, `embedded` or `distributed`.")] = "both",
    only: Annotated[str | None, typer.Option(help="Only paths whose name contains this.")] = None,
    rows: Annotated[int, typer.Option(min=300, help="Rows of the product file that is imported.")] = 30_000,
    listings: Annotated[int, typer.Option(min=300, help="Listings of the connections that are scanned.")] = 30_000,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """Measure the hot paths beside a bare endpoint in the same run, in both topologies or of a running system."""
    from deploy.bench import report

    topologies = report.TOPOLOGIES if topology == "both" else (known(topology, report.TOPOLOGIES),)
    raise typer.Exit(report.bench(report.Options(workers, topologies, credentials, only, rows, listings, markdown)))


@app.command()
def export(
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="File to write; `-` is the standard output. Else, its own name."),
    ] = None,
    group: Annotated[
        str,
        typer.Option(
            help="products, variants, prices, categories, channel-content, stock, suppliers, supplier-links, customers"
            " or orders."
        ),
    ] = "products",
    file_format: Annotated[str, typer.Option("--format", help="csv, ndjson, json, parquet or xlsx.")] = "csv",
    profile: Annotated[str, typer.Option(help="crossdock, or shopify for products.")] = "crossdock",
    shop: Annotated[str | None, typer.Option(help="Code of the shop whose prices are meant.")] = None,
    zipped: Annotated[bool, typer.Option("--zip", help="Put the file into a zip.")] = False,
    status: Annotated[
        list[str] | None, typer.Option(help="Products of this status; several times for several.")
    ] = None,
    brand: Annotated[str | None, typer.Option(help="Products of this brand.")] = None,
    category: Annotated[str | None, typer.Option(metavar="ID", help="Products in this category's branch.")] = None,
    assigned_to: Annotated[str | None, typer.Option(metavar="SHOP", help="Products assigned to this shop.")] = None,
    changed_since: Annotated[str | None, typer.Option(metavar="TIME", help="As 2026-03-01T00:00:00Z.")] = None,
    sku: Annotated[list[str] | None, typer.Option(help="Products of these SKUs; several times for several.")] = None,
    url: Annotated[str | None, typer.Option(help="The system's address; by default that in the credentials.")] = None,
    credentials: Annotated[Path, typer.Option(help="What `crossdock up` wrote.")] = Path(".crossdock/credentials.json"),
) -> None:
    """Export from the running system into a file, with a progress bar."""
    from deploy import exporting  # its HTTP client is for this command alone

    wanted = {
        "status": status,
        "brand": brand,
        "category_id": category,
        "assigned_to": assigned_to,
        "changed_since": changed_since,
        "skus": sku,
    }
    draft = {
        "group": group,
        "format": file_format,
        "profile": profile,
        "shop": shop,
        "zipped": zipped,
        "filter": {name: value for name, value in wanted.items() if value},
    }
    target = Path(output) if output not in (None, "-") else None
    options = exporting.Options(draft, url, credentials, target, name_from_server=output is None)
    raise typer.Exit(exporting.export(options))


@app.command()
def serve(
    what: Annotated[str, typer.Argument(help="`web` (everything), `gateway`, or a service's name.")] = "web",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
) -> None:
    """Answer requests: over HTTP as `web` or `gateway`, over Redis as a service."""
    from deploy import topology  # it imports every service, which `up` and `--help` should not wait for

    topology.serve(known(what, ("web", "gateway", *topology.SERVICES)), host=host, port=port, workers=workers)


@app.command()
def work(what: Annotated[str, typer.Argument(help="`all`, or a service's name.")] = "all") -> None:
    """Do background work: deliver events, run tasks and jobs."""
    from deploy import topology  # as above

    topology.work(known(what, ("all", *topology.SERVICES)))


@app.command()
def migrate(
    admin_url: Annotated[
        str,
        typer.Option(
            envvar=["CROSSDOCK_ADMIN_URL", "DATABASE_URL"],
            help="The database, with a role that may create roles and bypass row-level security.",
        ),
    ],
    app_password: Annotated[
        str,
        typer.Option(envvar="CROSSDOCK_APP_PASSWORD", help="Password to give to crossdock_app, the role that serves."),
    ],
) -> None:
    """Bring the database to this version. Safe to repeat."""
    from deploy import migrating  # as above

    migrating.migrate(admin_url, app_password)


callbacks = typer.Typer(help="Callbacks of payment providers: send samples, see what became of them.")
app.add_typer(callbacks, name="callbacks")


@callbacks.command()
def send(
    kind: Annotated[
        str,
        typer.Argument(
            help="authorised, captured, refunded, refund_failed, disputed, dispute_won, dispute_lost, failed, "
            "cancelled or unknown."
        ),
    ],
    gateway: Annotated[str, typer.Option(help="A provider in the credentials, or a gateway's id.")] = "stripe",
    order: Annotated[str | None, typer.Option(help="Number of the order that is paid.")] = None,
    amount: Annotated[
        int | None, typer.Option(min=0, help="Of the payment, in minor units; by default the order's total, or 1999.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217; by default the order's, or USD.")] = None,
    payment: Annotated[str, typer.Option(help="The provider's id of the payment.")] = "pay_sample",
    part: Annotated[int, typer.Option(min=0, help="Of a refund or dispute, in minor units.")] = 500,
    event: Annotated[str, typer.Option(help="Names the event, refund or dispute; by default a new one.")] = "",
    secret: Annotated[
        str | None, typer.Option(envvar="CROSSDOCK_CALLBACK_SECRET", help="What signs; by default the credentials'.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the callback has taken effect.")] = True,
    url: Annotated[str | None, typer.Option(help="The system's address; by default that in the credentials.")] = None,
    credentials: Annotated[Path, typer.Option(help="What `crossdock up` wrote.")] = Path(".crossdock/credentials.json"),
) -> None:
    """Sign a sample as its provider would, post it to a running system, and tell what became of it."""
    from deploy import callbacks as body  # its HTTP client and samples are for this command alone

    if kind not in body.KINDS:
        raise typer.BadParameter(f"{kind} is none of: {', '.join(body.KINDS)}.")
    sending = body.Sending(gateway, kind, order, amount, currency, payment, part, event, secret, wait)
    raise typer.Exit(body.send(body.System(credentials, url), sending))


@callbacks.command(name="list")
def list_callbacks(
    status: Annotated[str | None, typer.Option(help="failed, waiting, invalid …")] = None,
    gateway: Annotated[str | None, typer.Option(help="A provider in the credentials, or a gateway's id.")] = None,
    shop: Annotated[str | None, typer.Option(help="Code of a shop.")] = None,
    reason: Annotated[str | None, typer.Option(help="As wrong_signature.")] = None,
    first: Annotated[int, typer.Option(min=1, max=200, help="How many at most, newest first.")] = 50,
    url: Annotated[str | None, typer.Option(help="The system's address; by default that in the credentials.")] = None,
    credentials: Annotated[Path, typer.Option(help="What `crossdock up` wrote.")] = Path(".crossdock/credentials.json"),
) -> None:
    """Show callbacks, newest first, with what became of them."""
    from deploy import callbacks as body  # as above

    wanted = {"status": status, "gateway": gateway, "shop": shop, "reason": reason, "first": str(first)}
    filters = {name: value for name, value in wanted.items() if value is not None}
    raise typer.Exit(body.list_(body.System(credentials, url), filters))


@app.command()
def check(
    organization: Annotated[
        list[UUID] | None, typer.Option(help="Only this organization; may be given several times.")
    ] = None,
) -> None:
    """Check that stock equals its ledger, and every line of an order what is held, left and came back of it.

    In the installation of DATABASE_URL.

    Prints what does not, and ends with 1 if there is anything.
    """
    from deploy import checking  # as above

    findings = asyncio.run(checking.run(organization or None))
    for line in findings:
        typer.echo(line)
    typer.echo(f"{len(findings)} findings" if findings else "Everything adds up.")
    raise typer.Exit(1 if findings else 0)


@app.command(hidden=True)
def load_sample() -> None:
    """Load the demo business into the installation of this environment; `up` does it."""
    from deploy import sample_business  # as above

    asyncio.run(sample_business.main())


def known(what: str, names: tuple[str, ...]) -> str:
    """Return `what` if it is one of the names; otherwise the command ends and says which there are."""
    if what not in names:
        raise typer.BadParameter(f"{what} is none of: {', '.join(names)}.")
    return what


def main(words: Sequence[str] | None = None) -> None:
    """Run `crossdock` with `words`, by default those of the command line. Leaves by SystemExit."""
    try:
        app(words, prog_name="crossdock")
    except ValueError as error:
        wrong = wrong_environment(error)
        if wrong is None:
            raise
        typer.echo(f"crossdock: {wrong} README.md says what each variable means.", err=True)
        raise SystemExit(1) from None


def wrong_environment(error: ValueError) -> str | None:
    """What is wrong with which variables, where that is what `error` says; None for any other."""
    from pydantic import ValidationError  # only where something went wrong already

    if not isinstance(error, ValidationError) or not error.title.endswith("Settings"):
        return None
    found = {str(each["loc"][0]): each for each in error.errors(include_url=False, include_input=False)}
    missing = [name for name, each in found.items() if each["type"] == "missing"]
    said = [f"{', '.join(missing)} must be set in the environment."] if missing else []
    said += [f"{name} in the environment: {each['msg']}." for name, each in found.items() if name not in missing]
    return " ".join(said)


if __name__ == "__main__":
    main()
