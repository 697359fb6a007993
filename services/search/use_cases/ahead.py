"""Pages that are fetched while the one before is worked on."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from shared import background

T = TypeVar("T")


async def ahead(pages: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same pages, each made while whoever reads them is busy with the one before.

    Raises what making them raises, and leaves nothing running.
    """

    async def make() -> T | None:
        return await anext(pages, None)

    following = asyncio.create_task(make())
    try:
        while (page := await following) is not None:
            following = asyncio.create_task(make())
            yield page
    finally:
        await background.end(following)
        await pages.aclose()
