"""Queries for files of orders."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork


async def payment_statuses(uow: UnitOfWork, order_ids: Sequence[UUID]) -> dict[UUID, str]:
    rows = await uow.fetch("SELECT id, payment_status FROM orders WHERE id = ANY($1)", order_ids)
    return {row["id"]: row["payment_status"] for row in rows}


async def needed_keys(uow: UnitOfWork, jobs_by_key: Mapping[str, UUID], kept_since: datetime) -> set[str]:
    """Of these keys, each with its job, those whose job is at work, and the results of those that ended later."""
    rows = await uow.fetch(
        "SELECT id, state IN ('queued', 'running') AS is_open, finished_at, ARRAY(SELECT f ->> 'key'"
        " FROM json_array_elements(result_files) f) AS results FROM jobs WHERE id = ANY($1)",
        list(set(jobs_by_key.values())),
    )
    known = {row["id"]: row for row in rows}
    return {
        key for key, job_id in jobs_by_key.items() if (row := known.get(job_id)) and _is_needed(row, key, kept_since)
    }


def _is_needed(row: asyncpg.Record, key: str, kept_since: datetime) -> bool:
    return row["is_open"] or (key in row["results"] and row["finished_at"] >= kept_since)
