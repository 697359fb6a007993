"""Batches: every item answers for itself inside a 200, and what is not said of one is not known."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.sync.errors import CredentialsRefused
from services.sync.platforms.base import Written
from services.sync.platforms.woocommerce.client import Client, words
from services.sync.platforms.woocommerce.reading import AT_ONCE
from services.sync.platforms.writing import failed

JsonObject = dict[str, Any]

# WooCommerce takes 100, but each is a save of its own, and PHP is commonly stopped after 30 seconds.
MOST_ITEMS = 20


@dataclass(frozen=True, slots=True)
class Batch:
    """Items to be made (`create`) or changed (`update`) under one path."""

    path: str
    kind: str
    items: Sequence[JsonObject]


async def send(client: Client, batches: Sequence[Batch]) -> list[list[JsonObject | Written]]:
    """By batch and item the record as it is now, or what became of it. Raises CredentialsRefused if all are refused."""
    gate = asyncio.Semaphore(AT_ONCE)
    parts = [
        (place, batch.items[start : start + MOST_ITEMS])
        for place, batch in enumerate(batches)
        for start in range(0, len(batch.items), MOST_ITEMS)
    ]

    async def through(place: int, items: Sequence[JsonObject]) -> list[JsonObject]:
        async with gate:
            return await client.batch(batches[place].path, batches[place].kind, items)

    found = await asyncio.gather(*(through(*part) for part in parts), return_exceptions=True)
    refused = [each for each in found if isinstance(each, CredentialsRefused)]
    if refused and len(refused) == len(found):
        raise refused[0]
    answers: list[list[JsonObject | Written]] = [[] for _ in batches]
    for (place, items), answer in zip(parts, found, strict=True):
        if isinstance(answer, BaseException):
            answers[place] += [failed(answer)] * len(items)
        else:
            answers[place] += [_settled(each) for each in answer]
    return answers


def _settled(answer: JsonObject) -> JsonObject | Written:
    error = answer.get("error")
    if not isinstance(error, dict):
        return answer
    data = error.get("data")
    status = data.get("status") if isinstance(data, dict) else None
    is_later = isinstance(status, int) and (status == 429 or status >= 500)
    return Written("retry" if is_later else "person", words(error))
