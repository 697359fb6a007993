"""Callbacks that the network has to tell about: a certificate that is not here yet, a payment that is to be read.

Looking happens outside any transaction. What is found is taken in afterwards, if the callback is still to be checked.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from services.payments.arrivals import CHECK
from services.payments.errors import CheckGaveUp, NoApiCredentials, Unusable
from services.payments.gateway_book import callback_url
from services.payments.gateways.apis.base import (
    Connection,
    Lister,
    ProviderUnavailable,
    RefusedByProvider,
    UnknownAtProvider,
)
from services.payments.gateways.apis.registry import find_lister
from services.payments.gateways.base import GENUINE, Account, Delivery, EventIdentity, Verdict, forged
from services.payments.gateways.mollie import find_payment
from services.payments.gateways.registry import get_provider
from services.payments.models import Callback, Gateway
from services.payments.repository import callback_records, gateway_records
from services.payments.sealing import unsealed
from services.payments.settings import payments_settings
from services.payments.use_cases import alerting, connecting, processing
from shared import clock, outgoing
from shared.unit_of_work import UnitOfWork

# So often the other side is asked, ever later, before a person is: some five hours in all.
MOST_CHECKS = 12
_LONGEST_WAIT_SECONDS = 3600
_MOST_CERTIFICATE_BYTES = 64 << 10


@dataclass(frozen=True)
class Unchecked:
    """A callback with all that checking it takes."""

    callback: Callback
    gateway: Gateway
    delivery: Delivery
    account: Account
    identity: EventIdentity
    api: tuple[Lister, Connection] | None


@dataclass(frozen=True)
class Findings:
    """What the network told. `unavailable` says why it did not; then it is asked again later."""

    verdict: Verdict = GENUINE
    fetched: bytes | None = None
    certificates: Mapping[str, str] | None = None
    unavailable: str | None = None
    unusable: Unusable | None = None


async def find(uow: UnitOfWork, payload: Mapping[str, Any]) -> Unchecked | None:
    """The callback a task is about, by its id or identity; None where there is nothing to check."""
    callback_id = await find_callback_id(uow, payload)
    callback = None if callback_id is None else await callback_records.find_callback(uow, callback_id)
    if callback is None or callback.body_dropped_at is not None:
        return None
    gateway = (await gateway_records.get_gateways(uow, [callback.gateway_id]))[callback.gateway_id]
    delivery = await get_delivery(uow, callback)
    identity = get_provider(gateway.provider).identify(delivery)[callback.part]
    if not _is_open(callback, identity):
        return None
    is_fresh = bool(payload.get("fresh"))
    certificates = {} if is_fresh else await gateway_records.list_certificates(uow)
    account = await get_account(uow, callback, gateway, certificates)
    api = await _api(uow, gateway) if identity.is_reread else None
    return Unchecked(callback, gateway, delivery, account, identity, api)


async def find_callback_id(uow: UnitOfWork, payload: Mapping[str, Any]) -> UUID | None:
    """The callback a task names by its id, or by its gateway and identity."""
    if "callback_id" in payload:
        return UUID(payload["callback_id"])
    return await callback_records.find_callback_id(uow, UUID(payload["gateway_id"]), bytes.fromhex(payload["identity"]))


async def _api(uow: UnitOfWork, gateway: Gateway) -> tuple[Lister, Connection] | None:
    lister = find_lister(gateway.provider)
    try:
        return None if lister is None else (lister, (await connecting.connect(uow, gateway))[1])
    except NoApiCredentials:
        return None


def _is_open(callback: Callback, identity: EventIdentity) -> bool:
    """Whether it is still to be checked; what is to be read anew always is, until a person set it aside."""
    return callback.status in ("received", "retrying") or (identity.is_reread and callback.status != "rejected")


async def get_delivery(uow: UnitOfWork, callback: Callback) -> Delivery:
    """The stored callback as it arrived."""
    headers: dict[str, str] = {}
    content = await callback_records.get_callback_content(uow, callback.id)
    for name, value in orjson.loads(content["headers"]):
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return Delivery(headers, callback.body, callback.received_at)


async def get_account(
    uow: UnitOfWork, callback: Callback, gateway: Gateway, certificates: Mapping[str, str]
) -> Account:
    """The gateway with every secret that was live when the callback came, or has been added since."""
    secrets = await gateway_records.list_secrets(uow, [gateway.id])
    live = [unsealed(secret.sealed) for secret in reversed(secrets) if secret.was_live(callback.received_at)]
    return Account(live, gateway.settings, gateway.mode == "live", callback_url(gateway.id), certificates)


# --- asking, without a transaction


async def look(unchecked: Unchecked) -> Findings:
    """Ask whoever has to be asked."""
    try:
        verdict, certificates = await _verdict(unchecked)
        if not (verdict.is_genuine or verdict.is_pending) or not unchecked.identity.is_reread:
            return Findings(verdict, certificates=certificates)
        return Findings(GENUINE, fetched=await _payment(unchecked))
    except UnknownAtProvider:
        return Findings(forged("unknown_at_provider"))
    except (ProviderUnavailable, RefusedByProvider, outgoing.NoAnswer) as error:
        return Findings(unavailable=error.detail)
    except Unusable as error:
        return Findings(unusable=error)


async def _verdict(unchecked: Unchecked) -> tuple[Verdict, Mapping[str, str] | None]:
    """The verdict, with the certificate that had to be fetched for it."""
    if unchecked.callback.is_verified:
        return GENUINE, None
    provider = get_provider(unchecked.gateway.provider)
    verdict = provider.verify(unchecked.delivery, unchecked.account)
    url = verdict.certificate
    if url is None:
        return verdict, None
    is_own = unchecked.gateway.provider in payments_settings().provider_apis
    answer = await outgoing.ask("GET", url, most_bytes=_MOST_CERTIFICATE_BYTES, allow_private=is_own)
    if answer.status in (404, 410):
        return forged("certificate_not_found"), None
    if answer.status != 200:
        raise outgoing.NoAnswer(f"The certificate's address answered {answer.status}.")
    fetched = {url: answer.body.decode("latin-1")}
    return provider.verify(unchecked.delivery, replace(unchecked.account, certificates=fetched)), fetched


async def _payment(unchecked: Unchecked) -> bytes:
    payment = find_payment(unchecked.callback.body)
    if unchecked.api is None or payment is None:
        raise NoApiCredentials("The gateway has no credentials for its provider's API; set them, then replay this.")
    api, connection = unchecked.api
    return await api.fetch_payment(connection, payment)


# --- taking in


async def take_in(uow: UnitOfWork, unchecked: Unchecked, findings: Findings, checks: int) -> None:
    """Let a callback take the effect that the findings give it, unless somebody was faster."""
    callback = await callback_records.find_callback(uow, unchecked.callback.id)
    if callback is None or not _is_open(callback, unchecked.identity):
        return
    if findings.certificates and findings.verdict.is_genuine:
        await gateway_records.keep_certificates(uow, findings.certificates, clock.now())
    if findings.unavailable is not None:
        await _ask_later(uow, callback, unchecked.gateway, findings.unavailable, checks)
    elif findings.unusable is not None:
        await _fail(uow, callback, unchecked.gateway, findings.unusable)
    elif findings.verdict.is_genuine:
        await _process(uow, callback, unchecked.gateway, findings.fetched)
    elif callback.status != "processed":
        callback.settle("invalid", findings.verdict.reason)
        await processing.note(uow, [callback], "check")


async def _process(uow: UnitOfWork, callback: Callback, gateway: Gateway, fetched: bytes | None) -> None:
    # What was read already is news no more, and leaves no attempt behind.
    if fetched is not None and fetched == callback.fetched and callback.status in ("processed", "ignored"):
        return
    was_processed = callback.status == "processed"
    callback.is_verified, callback.fetched = True, fetched
    await processing.process(uow, [callback], {gateway.id: gateway}, kind="check", stays_processed=was_processed)


async def _ask_later(uow: UnitOfWork, callback: Callback, gateway: Gateway, why: str, checks: int) -> None:
    if checks + 1 >= MOST_CHECKS:
        await _fail(uow, callback, gateway, CheckGaveUp(f"It could not be checked; replay it once it can be. ({why})"))
        return
    if callback.status != "processed":
        callback.settle("retrying", "not_checked_yet", why[:1000])
        await processing.note(uow, [callback], "check")
    payload = {"callback_id": str(callback.id), "checks": checks + 1}
    uow.defer(CHECK, payload, due_at=clock.now() + timedelta(seconds=wait_seconds(checks)), key=str(callback.id))


def wait_seconds(tries: int, longest: float = _LONGEST_WAIT_SECONDS, first: float = 5) -> float:
    """Ever longer, and never the same for all that failed together."""
    return float(min(longest, first * 2**tries)) * random.uniform(0.5, 1.0)  # noqa: S311


async def _fail(uow: UnitOfWork, callback: Callback, gateway: Gateway, error: Unusable) -> None:
    if callback.status == "processed":
        return
    callback.settle("failed", error.code, error.detail)
    await processing.note(uow, [callback], "check")
    await alerting.callback_failed(uow, callback, gateway)
