"""Rows of a bulk update as they come in: read one by one, so that a bad row costs nobody but itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple, get_args
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared import clock
from shared.contracts.inventory.shapes import StockPolicy, StockRowResult, StockRowStatus
from shared.validation import first_sentence

# Clocks of those who count may be a little ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)
_MOST = 1_000_000_000
_Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class StockRow(BaseModel):
    """`{sku, centre?, on_hand | delta, reference?, as_of?}`; without `centre` the default centre is meant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sku: _Text
    centre: _Text | None = None
    on_hand: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    delta: Annotated[int, Field(ge=-_MOST, le=_MOST)] | None = None
    reference: _Text | None = None
    as_of: Annotated[AwareDatetime, Field(strict=False)] | None = None
    policy: _Text | None = None


class ReadRow(NamedTuple):
    """A row that can be applied; `number` counts from 1."""

    number: int
    sku: str
    centre: str
    centre_id: UUID
    on_hand: int | None
    delta: int | None
    reference: str | None
    as_of: datetime | None
    policy: StockPolicy | None

    def result(
        self,
        status: StockRowStatus,
        on_hand: int | None = None,
        reserved: int | None = None,
        available: int | None = None,
        code: str | None = None,
        message: str | None = None,
    ) -> StockRowResult:
        # Of values that were checked already: to check them again costs more than to apply the row.
        number, sku, centre, *_ = self
        return StockRowResult.known(
            row=number,
            status=status,
            sku=sku,
            centre=centre,
            on_hand=on_hand,
            reserved=reserved,
            available=available,
            code=code,
            message=message,
        )


def read(rows: Sequence[Any], centres: Mapping[str, UUID], default: str) -> tuple[list[ReadRow], list[StockRowResult]]:
    """The rows that can be applied, and the results of those that cannot."""
    good: list[ReadRow] = []
    bad: list[StockRowResult] = []
    latest = clock.now() + CLOCK_SKEW
    for number, (raw, plain) in enumerate(zip(rows, _plain_rows(rows), strict=True), 1):
        known = None if plain is None else _known(number, plain, centres, default, latest)
        row = known or _read(number, raw, centres, default)
        if isinstance(row, ReadRow):
            good.append(row)
        else:
            bad.append(row)
    return good, bad


_PlainText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _PlainRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row as nearly all are, read at a tenth of the cost."""

    sku: _PlainText
    centre: _PlainText | None = None
    on_hand: Annotated[int, msgspec.Meta(ge=0, le=_MOST)] | None = None
    delta: Annotated[int, msgspec.Meta(ge=-_MOST, le=_MOST)] | None = None
    reference: _PlainText | None = None
    as_of: str | None = None
    policy: StockPolicy | None = None


def _plain_rows(rows: Sequence[Any]) -> Sequence[_PlainRow | None]:
    """Each row as such a one; None for a row that is not."""
    try:
        return msgspec.convert(rows, list[_PlainRow])
    except msgspec.ValidationError:
        return [_plain(raw) for raw in rows]


def _plain(raw: Any) -> _PlainRow | None:
    try:
        return msgspec.convert(raw, _PlainRow)
    except msgspec.ValidationError:
        return None


def _known(number: int, row: _PlainRow, centres: Mapping[str, UUID], default: str, latest: datetime) -> ReadRow | None:
    """A row that can be applied; None: it is left to `_read`, which says what is wrong."""
    code = default if row.centre is None else row.centre
    centre_id = centres.get(code)
    if centre_id is None or (row.on_hand is None) == (row.delta is None):
        return None
    if "\0" in row.sku or (row.reference is not None and "\0" in row.reference):
        return None
    moment = None if row.as_of is None else _moment(row.as_of)
    if row.as_of is not None and (moment is None or moment > latest):
        return None
    return ReadRow(number, row.sku, code, centre_id, row.on_hand, row.delta, row.reference, moment, row.policy)


def _moment(value: str) -> datetime | None:
    """A moment with its offset, written as ISO 8601 has it."""
    if not 20 <= len(value) <= 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _read(number: int, raw: Any, centres: Mapping[str, UUID], default: str) -> ReadRow | StockRowResult:
    if not isinstance(raw, Mapping):
        return StockRowResult(row=number, status="failed", code="malformed_row", message="A row is a JSON object.")
    try:
        row = StockRow.model_validate(dict(raw))
    except ValidationError as error:
        return _invalid(number, raw, error)
    refusal = _refusal(row, centres)
    centre = row.centre or default
    if refusal is not None:
        return StockRowResult(
            row=number, status="failed", sku=row.sku, centre=row.centre, code=refusal[0], message=refusal[1]
        )
    policy: Any = row.policy
    return ReadRow(number, row.sku, centre, centres[centre], row.on_hand, row.delta, row.reference, row.as_of, policy)


def _refusal(row: StockRow, centres: Mapping[str, UUID]) -> tuple[str, str] | None:
    """Why a row that is well formed cannot be applied."""
    if (row.on_hand is None) == (row.delta is None):
        return "on_hand_or_delta", "A row has either on_hand (a count) or delta (a change)."
    if row.centre is not None and row.centre not in centres:
        return "centre_not_found", f"There is no fulfilment centre with the code '{row.centre}'."
    if row.as_of is not None and row.as_of > clock.now() + CLOCK_SKEW:
        return "as_of_in_future", "as_of lies in the future."
    if row.policy is not None and row.policy not in get_args(StockPolicy):
        return "unknown_policy", f"'{row.policy}' is not a stock policy."
    return None


def _invalid(number: int, raw: Mapping[Any, Any], error: ValidationError) -> StockRowResult:
    place, sentence = first_sentence(error, StockRow)
    name = str(place[0]) if place else "row"
    known = {key: raw[key] for key in ("sku", "centre") if isinstance(raw.get(key), str)}
    return StockRowResult(row=number, status="failed", code="invalid_row", message=f"{name}: {sentence}", **known)
