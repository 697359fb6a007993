"""Callbacks as people look at them: what one says in our words, and many of them as a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from services.payments.errors import Unusable
from services.payments.gateways.base import Content, Harmless
from services.payments.gateways.registry import get_provider
from services.payments.models import Gateway
from services.payments.notices import Notice, read_notice
from services.payments.use_cases import processing
from shared.contracts.payments.shapes import DecodedCallback

_COLUMNS = (
    "id",
    "gateway",
    "provider",
    "status",
    "reason",
    "detail",
    "event",
    "event_id",
    "payment_id",
    "received_at",
    "deliveries",
    "is_verified",
    "attempts",
)


def decoded(gateway: Gateway, content: Mapping[str, Any]) -> DecodedCallback:
    """What a stored callback says; nothing is changed by asking."""
    try:
        said = _said(gateway, content)
    except Unusable as error:
        return DecodedCallback(error=error.detail)
    if isinstance(said, Harmless):
        return DecodedCallback(event=said.event, says={"reason": said.reason})
    told = {name: value for name, value in asdict(said).items() if value not in (None, (), False) and name != "event"}
    if said.occurred_at is not None:
        told["occurred_at"] = said.occurred_at.isoformat()
    return DecodedCallback(event=said.event, says=told)


def _said(gateway: Gateway, content: Mapping[str, Any]) -> Notice | Harmless:
    if content["origin"] == processing.RECONCILIATION and content["body"]:
        return read_notice(orjson.loads(content["body"]))
    stored = Content(content["body"], gateway.settings, content["part"], content["fetched"])
    return get_provider(gateway.provider).read(stored)


def callback_table(callbacks: Sequence[Mapping[str, Any]]) -> str:
    """As CSV (RFC 4180). What a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for callback in callbacks:
        values = {**callback, "attempts": len(callback["attempts"]), "received_at": callback["received_at"].isoformat()}
        table.writerow([_cell(values[column]) for column in _COLUMNS])
    return text.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
