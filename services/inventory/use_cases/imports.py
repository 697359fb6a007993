"""Stock figures that come with an import: a file of counts per part."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import orjson

from services.inventory.repository import counted, kits
from services.inventory.repository import file_stock as file_stock_queries
from services.inventory.repository.counted import Count
from services.inventory.repository.file_stock import Part
from services.inventory.use_cases import centres, file_stock, ledger, stock
from shared import blobs, clock
from shared.contracts.catalog.events import StockFileImported
from shared.contracts.inventory.shapes import StockRowResult
from shared.contracts.platform.events import AlertRaised
from shared.unit_of_work import UnitOfWork

_TOLD_AT_MOST = 20
# How stock is sold until somebody says otherwise.
_STANDARD = "standard"


async def take(uow: UnitOfWork, event: StockFileImported) -> None:
    """Count what the file says, once: the inbox row and the counts share a transaction.

    What is as the file says is not written and not announced. Rows that cannot be applied are told in one alert per
    import. Raises BlobNotFound, BlobStoreUnavailable.
    """
    content = await blobs.get(uow.organization_id, event.key)
    await file_stock_queries.hold(uow, event.import_id, alone=False)
    if await file_stock_queries.is_taken_back(uow, event.import_id):
        return
    reference = file_stock.reference_of(event.import_id, event.part)
    known = {"reference": reference, "as_of": event.counted_at}
    counts, others = _counts([line for line in content.splitlines() if line.strip()])
    rows = [_with(known, line) for line in others]
    centre_id = await centres.ensure_default(uow)
    policies: dict[str, tuple[str, str]] = {}
    if counts:
        differing, made = await _differing(uow, centre_id, counts, reference, event.counted_at)
        policies |= _changed(dict.fromkeys(made, _STANDARD), [counts[sku] for sku in made])
        was = await file_stock_queries.policies(uow, centre_id, [count.sku for count in differing if count.policy])
        rows += [{**_row(count), **known} for count in differing]
    failed: list[StockRowResult] = []
    applied: list[Count] = []
    for start in range(0, len(rows), stock.MOST_ROWS):
        updated = await stock.apply(uow, rows[start : start + stock.MOST_ROWS])
        failed += [result for result in updated.results if result.status == "failed"]
        applied += [
            counts[result.sku] for result in updated.results if result.status == "applied" and result.sku in counts
        ]
    if counts:
        policies |= _changed(was, applied)
    part = Part(event.part, centre_id, event.counted_at or clock.now(), policies)
    await file_stock_queries.keep(uow, event.import_id, part)
    if failed:
        uow.record(_alert(uow, event, failed))


def _changed(was: Mapping[str, str], counts: Iterable[Count]) -> dict[str, tuple[str, str]]:
    """Policies before and after, of those counts that changed one."""
    found = ((count.sku, was.get(count.sku, _STANDARD), count.policy) for count in counts)
    return {sku: (before, after) for sku, before, after in found if after is not None and after != before}


async def _differing(
    uow: UnitOfWork, centre_id: UUID, counts: dict[str, Count], reference: str, counted_at: datetime | None
) -> tuple[list[Count], set[str]]:
    """Make stock where there is none, confirm what is as counted, in sets.

    Returns the counts that change something, and the SKUs whose stock was made.
    """
    at = counted_at or clock.now()
    # Of kits nothing is counted: they are refused one by one.
    refused = await kits.list_kits_among(uow, list(counts))
    plain = [count for sku, count in counts.items() if sku not in refused]
    made = await counted.make_counted(uow, centre_id, plain, reference, at) if plain else set()
    await ledger.announce_with_kits(uow, sorted(made))
    there = [count for count in plain if count.sku not in made]
    differing = await counted.confirm_counts(uow, centre_id, there, at)
    return [counts[sku] for sku in sorted(differing | refused)], made


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line as catalog writes them: a count in the default centre."""

    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    on_hand: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
    policy: Literal["standard", "backorder"] | None = None


def _counts(lines: list[bytes]) -> tuple[dict[str, Count], list[bytes]]:
    """Plain counts by SKU, and the lines that say more or are said twice: these are applied one by one."""
    counts: dict[str, Count] = {}
    others: list[bytes] = []
    for line in lines:
        try:
            read = _LINE.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            others.append(line)
            continue
        if read.sku in counts or "\0" in read.sku:
            others.append(line)
        else:
            counts[read.sku] = Count(read.sku, read.on_hand, read.policy)
    return counts, others


_LINE = msgspec.json.Decoder(_Line)


def _row(count: Count) -> dict[str, Any]:
    row: dict[str, Any] = {"sku": count.sku, "on_hand": count.on_hand}
    return row if count.policy is None else row | {"policy": count.policy}


def _with(known: dict[str, Any], line: bytes) -> Any:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line.decode(errors="replace")
    return row | known if isinstance(row, dict) else row


def _alert(uow: UnitOfWork, event: StockFileImported, failed: list[StockRowResult]) -> AlertRaised:
    told = [result.model_dump(exclude_none=True) for result in failed[:_TOLD_AT_MOST]]
    return AlertRaised(
        service=uow.service,
        cause=f"inventory.import.{event.import_id}",
        severity="warning",
        title="Some stock figures of an import were not applied",
        detail=f"{len(failed)} of {event.rows} rows of part {event.part}; the first: {failed[0].message}",
        subject_kind="import",
        subject_id=str(event.import_id),
        data={"rows": told},
    )
