"""`crossdock callbacks send` and `list`: sign and post a sample to a running system, and show what became of it."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from deploy.callback_samples import KINDS, Facts, NoSuchSample, Signing, sample
from services.payments.gateways.base import Delivery, EventIdentity
from services.payments.gateways.registry import get_provider

__all__ = ["KINDS", "Sending", "System", "list_", "send"]

_PARTY = "admin"
_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.2
_ANY_TOTAL: dict[str, Any] = {"amount": 1999, "currency": "USD"}
# Neither needs more done to it by itself.
_PENDING = ("received", "retrying")


class NotDone(Exception):
    """The system says no, or there is nothing to say it with; the message says why."""


@dataclass(frozen=True)
class System:
    """Which running system is spoken to, and with whose credentials."""

    credentials: Path
    url: str | None = None


@dataclass(frozen=True)
class Sending:
    """What is to be sent. `gateway` is a provider's name in the credentials, or a gateway's id with its `secret`.

    Without `amount` or `currency` those of the order are meant, where there is one with that number.
    """

    gateway: str
    kind: str
    order: str | None
    amount: int | None
    currency: str | None
    payment: str
    part: int
    id: str
    secret: str | None = None
    wait: bool = True


class Operator:
    """The administrator of the credentials, over HTTP."""

    def __init__(self, system: System) -> None:
        try:
            self.known: dict[str, Any] = json.loads(system.credentials.read_text())
        except (OSError, ValueError) as error:
            raise NotDone(f"No credentials: {error}. Start the system, or name --credentials FILE.") from None
        self._http = httpx.Client(base_url=system.url or self.known["base_url"], timeout=60)
        client = self.known["clients"][_PARTY]
        auth = (client["client_id"], client["client_secret"])
        answer = self._http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)
        self._http.headers["Authorization"] = f"Bearer {_checked(answer)['access_token']}"

    def send(self, sending: Sending) -> tuple[httpx.Response, dict[str, Any] | None]:
        """Post one sample. Returns the answer and, where that was waited for, what became of the callback."""
        gateway, secret = self._gateway(sending)
        signing = Signing(secret, gateway["settings"], gateway["callback_url"])
        total = self._total(sending)
        facts = Facts(
            sending.order,
            total["amount"] if sending.amount is None else sending.amount,
            sending.currency or total["currency"],
            sending.payment,
            datetime.now(UTC),
            sending.part,
            sending.id,
            gateway["mode"] == "live",
        )
        told = sample(gateway["provider"], sending.kind, facts, signing)
        answer = self._http.post(f"/callbacks/{gateway['id']}", content=told.body, headers=told.headers)
        if not sending.wait or not answer.is_success:
            return answer, None
        headers = {name.lower(): value for name, value in told.headers.items()}
        (event, *_) = get_provider(gateway["provider"]).identify(Delivery(headers, told.body, facts.at))
        return answer, self._followed(gateway["id"], event)

    def listed(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Callbacks, newest first."""
        gateway = filters.get("gateway")
        if gateway in self.known["payment_gateways"]:
            filters = filters | {"gateway": self.known["payment_gateways"][gateway]["id"]}
        items: list[dict[str, Any]] = _checked(self._http.get("/v1/callbacks", params=filters))["items"]
        return items

    def _gateway(self, sending: Sending) -> tuple[dict[str, Any], Any]:
        known = self.known["payment_gateways"].get(sending.gateway)
        secret = sending.secret or (known or {}).get("secret")
        if secret is None:
            raise NotDone(f"The credentials know no gateway '{sending.gateway}': name its id, and its --secret.")
        gateway_id = known["id"] if known else sending.gateway
        return _checked(self._http.get(f"/v1/payment-gateways/{gateway_id}")), secret

    def _total(self, sending: Sending) -> dict[str, Any]:
        """What the order comes to, or something where it is not asked for or not there."""
        is_said = sending.amount is not None and sending.currency is not None
        if sending.order is None or is_said:
            return _ANY_TOTAL
        orders = _checked(self._http.get("/v1/orders", params={"number": sending.order}))["items"]
        return orders[0]["total"] if orders else _ANY_TOTAL

    def _followed(self, gateway_id: str, event: EventIdentity) -> dict[str, Any] | None:
        """What became of an event that was taken: the newest record of it, be it one that came before."""
        ends_at = time.monotonic() + _PATIENCE_SECONDS
        while True:
            items = self.listed({"gateway": gateway_id, "first": "200"})
            own = (each for each in items if (each["event_id"], each["event"]) == (event.event_id, event.event))
            found = next(own, None)
            if (found and found["status"] not in _PENDING) or time.monotonic() > ends_at:
                return found
            time.sleep(_POLL_SECONDS)


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        body: dict[str, Any] = answer.json()
        return body
    try:
        detail = answer.json().get("detail") or answer.text
    except ValueError:
        detail = answer.text
    raise NotDone(f"{detail[:500]} ({answer.status_code})")


def send(system: System, sending: Sending) -> int:
    """Do it; returns the exit code: 0 where the callback was taken."""
    console = Console(highlight=False)
    try:
        answer, callback = Operator(system).send(sending)
    except (NotDone, NoSuchSample) as failure:
        console.print(f"[red]✗[/] {failure}", soft_wrap=True)
        return 1
    except httpx.HTTPError as error:
        console.print(f"[red]✗[/] The system does not answer: {error}", soft_wrap=True)
        return 1
    console.print(f"{answer.status_code} {answer.text[:500]}", soft_wrap=True, markup=False)
    if callback is not None:
        why = f" ({callback['reason']}: {callback['detail']})" if callback["reason"] else ""
        console.print(f"{callback['event']}: {callback['status']}{why}", soft_wrap=True, markup=False)
    return 0 if answer.is_success else 1


def list_(system: System, filters: dict[str, str]) -> int:
    """Print callbacks as a table; returns the exit code."""
    console = Console(highlight=False)
    try:
        callbacks = Operator(system).listed(filters)
    except NotDone as failure:
        console.print(f"[red]✗[/] {failure}", soft_wrap=True)
        return 1
    except httpx.HTTPError as error:
        console.print(f"[red]✗[/] The system does not answer: {error}", soft_wrap=True)
        return 1
    table = Table("received", "provider", "event", "status", "reason", "deliveries", "id")
    for each in callbacks:
        columns = ("received_at", "provider", "event", "status", "reason", "deliveries", "id")
        table.add_row(*("" if each[column] is None else str(each[column]) for column in columns))
    console.print(table)
    return 0
