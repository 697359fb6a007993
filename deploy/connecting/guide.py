"""The way from nothing to a connection that is ready to go live, over HTTP as any client's.

    made and tested     who answers is shown; nothing is kept where nobody does; an agent is waited for
    first fetch         products are read; nothing is made of them yet
    matches             what they would become is shown, and a person agrees
    imported            products, then stock (where each place has its centre), then orders
    ready or not        the checklist for going live, what went wrong, and what is next

Each step can be repeated: whoever stops in the middle goes on with `--connection`.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import typer
from rich.console import Console

from deploy.connecting import running, showing
from deploy.connecting.asking import Asking, Nobody, Person, Unanswered
from deploy.connecting.draft import Given, WrongOption, drafted, places_of
from deploy.speaking import Access, Refused, checked, opened

WAITS = 3
# So long a new connection's agent is waited for.
_AGENT_SECONDS = 600.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Options:
    """What is to be connected and how far. `connection` goes on with one that is there; `locations`: place=centre."""

    access: Access
    given: Given
    connection: str | None = None
    locations: Sequence[str] = ()
    has_stock: bool = True
    has_orders: bool = True
    is_agreed: bool = False


class NotAgreed(Exception):
    """A person was asked and said no, or went away."""


def connect(options: Options, console: Console | None = None) -> int:
    """Returns the exit code: 0; 1 when something failed; 2 when an option is missing; 3 when it waits for a person."""
    console = console or Console()
    guide: Guide | None = None
    try:
        with contextlib.closing(opened(options.access)) as http:
            guide = Guide(http, options, console, Nobody() if options.is_agreed else Person())
            return guide.lead()
    except (WrongOption, Unanswered) as error:
        showing.bad(console, str(error))
        return 2
    except (NotAgreed, typer.Abort, KeyboardInterrupt):
        code = WAITS
    except (Refused, running.FeedFailed, httpx.HTTPError, OSError) as error:
        showing.bad(console, str(error) or type(error).__name__)
        code = 1
    if guide is not None and guide.connection_id is not None:
        showing.line(console, f"  To go on: crossdock connect --connection {guide.connection_id}")
    return code


class Guide:
    """One connection on its way."""

    def __init__(self, http: httpx.Client, options: Options, console: Console, asking: Asking) -> None:
        self._http, self._options, self._console, self._asking = http, options, console, asking
        self.connection_id: str | None = options.connection
        self._has_failed = False

    def lead(self) -> int:
        """All steps. Raises what `connect` tells of."""
        connection = self._tested() if self.connection_id else self._made()
        self.connection_id = connection["id"]
        if connection["greeting"] is None:
            connection = self._met(connection)
        showing.greeting(self._console, connection)
        self._feeds = {
            feed["kind"]: feed for feed in self._asked(f"/v1/feeds?connection_id={connection['id']}")["items"]
        }
        if self._can("import_products"):
            self._take_products()
        if self._options.has_stock and self._can("import_stock"):
            self._take_stock(connection)
        if self._options.has_orders and self._can("import_orders"):
            self._take_orders(connection)
        self._finish()
        return int(self._has_failed)

    # --- made and tested

    def _made(self) -> dict[str, Any]:
        shops = [shop["code"] for shop in self._asked("/v1/shops?first=200")["items"]]
        draft = drafted(self._options.given, shops, self._asking)
        made: dict[str, Any] = checked(self._http.post("/v1/connections", json=draft))
        return made

    def _tested(self) -> dict[str, Any]:
        given = self._options.given
        if given.platform or given.name or given.shop or given.settings or given.credentials:
            raise WrongOption("--connection goes on with one that is there: what it is, is said already.")
        tested: dict[str, Any] = checked(self._http.post(f"/v1/connections/{self.connection_id}/test"))
        return tested

    def _met(self, connection: dict[str, Any]) -> dict[str, Any]:
        """The connection of a system that comes to us, once its agent has said who it is. Raises NotAgreed."""
        showing.agent(self._console, str(self._http.base_url), connection["agent_token"])
        until = time.monotonic() + _AGENT_SECONDS
        while connection["greeting"] is None:
            if time.monotonic() > until:
                showing.warned(self._console, "No agent has come.")
                raise NotAgreed
            time.sleep(_LOOK_SECONDS)
            connection = self._asked(f"/v1/connections/{connection['id']}")
        return connection

    # --- products

    def _take_products(self) -> None:
        self._run("import_products", "Products read", must=True)
        path = f"/v1/connections/{self.connection_id}/matches"
        preview = self._asked(f"{path}?first={showing.SHOWN}")
        showing.line(self._console, "What these products would become:")
        showing.matches(self._console, preview)
        if preview["seen_at"] is None:
            if not self._asking.agreed("Import them like this?"):
                showing.warned(self._console, "Nothing was imported; settings say what products are matched by.")
                raise NotAgreed
            checked(self._http.post(f"{path}/confirm"))
        self._run("import_products", "Products imported")

    # --- stock

    def _take_stock(self, connection: dict[str, Any]) -> None:
        """Once: after that, and after going live, what is on hand here is ours to say."""
        if connection["live_at"] is not None or self._is_met("stock_imported"):
            return
        locations = self._located(connection, connection["settings"]["locations"] | places_of(self._options.locations))
        if not locations:
            showing.warned(self._console, "Stock was not imported: no place has a fulfilment centre (--location).")
            return
        self._keep(locations=locations)
        centres = ", ".join(sorted(set(locations.values())))
        if self._asking.agreed(f"Set what is on hand in {centres} to what the platform says?"):
            self._run("import_stock", "Stock imported")

    def _keep(self, **changed: dict[str, str]) -> None:
        """Of the settings these alone: what somebody else has changed meanwhile stays."""
        path = f"/v1/connections/{self.connection_id}"
        known = self._asked(path)["settings"]
        if known | changed != known:
            checked(self._http.patch(path, json={"settings": changed}))

    def _located(self, connection: dict[str, Any], known: dict[str, str]) -> dict[str, str]:
        """Each place and the code of its centre: by the options, by the same name, or as a person says."""
        centres = [each["code"] for each in self._asked("/v1/fulfilment-centres?first=200")["items"]]
        places = (connection["greeting"] or {}).get("places", [])
        for place in places:
            if place["external_id"] in known:
                continue
            same = [code for code in centres if code in (place["external_id"], place["name"])]
            proposed = same[0] if same else centres[0] if len(centres) == len(places) == 1 else None
            words = f"Fulfilment centre of the place {place['name']} ({', '.join(centres)}; empty: none)"
            answer = self._asking.choice(words, f"--location {place['external_id']}=…", proposed)
            if answer:
                known[place["external_id"]] = answer
        for place_id, code in known.items():
            if code not in centres:
                raise WrongOption(f"There is no fulfilment centre '{code}' for {place_id}: {', '.join(centres)}.")
        return known

    # --- orders

    def _take_orders(self, connection: dict[str, Any]) -> None:
        """What is done with orders of which status is for a person to say, who may agree to what is proposed."""
        proposed = (connection["greeting"] or {}).get("proposed_statuses") or {}
        if proposed and not connection["settings"]["order_statuses"]:
            showing.statuses(self._console, proposed)
            if self._asking.agreed("Take orders by their statuses like this?"):
                self._keep(order_statuses=proposed)
            else:
                showing.warned(self._console, "Orders wait until `order_statuses` says what is done with them.")
        since = connection["settings"]["orders_from"] or connection["created_at"]
        self._run("import_orders", f"Orders since {since[:16].replace('T', ' ')} UTC (setting orders_from)")

    # --- the end

    def _finish(self) -> None:
        found = self._checklist()
        showing.checklist(self._console, found)
        patterns = self._asked(f"/v1/issue-patterns?connection_id={self.connection_id}")["items"]
        if patterns:
            showing.line(self._console, "What went wrong, and what mends it:")
            showing.issues(self._console, patterns)
        if found["is_ready"]:
            showing.line(self._console, f"Next, to go live: POST /v1/connections/{self.connection_id}/go-live")
        else:
            again = f"crossdock connect --connection {self.connection_id}"
            showing.line(self._console, f"Next: mend what is not met, then {again}")
        plan = f"GET /v1/changes?connection_id={self.connection_id}&direction=out"
        showing.line(self._console, f"Until it is live nothing is written there; what would be: {plan}")

    def _checklist(self) -> Any:
        return self._asked(f"/v1/connections/{self.connection_id}/checklist")

    def _is_met(self, code: str) -> bool:
        return any(item["is_met"] for item in self._checklist()["items"] if item["code"] == code)

    # --- speaking

    def _run(self, kind: str, label: str, *, must: bool = False) -> None:
        """Run a feed and show what came of it. One that fails ends the way only if it must not. Raises FeedFailed."""
        try:
            done = running.run(self._http, self._feeds[kind], label, self._console)
        except running.FeedFailed as failed:
            if must:
                raise
            self._has_failed = True
            showing.bad(self._console, f"{label}: {failed}")
            return
        showing.execution(self._console, label, done)

    def _can(self, kind: str) -> bool:
        feed = self._feeds.get(kind)
        return feed is not None and feed["lacks"] is None and feed["is_enabled"]

    def _asked(self, path: str) -> Any:
        return checked(self._http.get(path))
