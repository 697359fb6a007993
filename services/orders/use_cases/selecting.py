"""The orders that a job goes through: what a filter meant when it was asked for, oldest first, some at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.orders.repository import customers, lists, shops
from services.orders.repository.lists import Question, Window
from services.orders.use_cases import finding, listing
from services.orders.use_cases.finding import Position
from shared import clock
from shared.bus.envelope import ShopNotFound
from shared.contracts.orders.lists import OrderFilter
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork


async def parameters(uow: UnitOfWork, asked: OrderFilter) -> dict[str, Any]:
    """What a job keeps of a filter: days are those of this moment. Raises ShopNotFound, CustomerNotFound."""
    if asked.shop is not None:
        shop = await shops.SHOPS.find_by_code(uow, asked.shop)
        if shop is None or not uow.caller.sees_shop(shop["id"]):
            raise ShopNotFound(f"There is no shop with the code '{asked.shop}'.")
    if asked.customer_id is not None:
        await customers.get(uow, asked.customer_id)
    windows = await listing.windows_of(uow, asked)
    return {
        "filter": asked.model_dump(mode="json", exclude_defaults=True),
        "windows": None if windows is None else [_kept(window) for window in windows],
        "shop_ids": uow.caller.shop_limit,
        "asked_at": clock.now().isoformat(),
    }


def _kept(window: Window) -> dict[str, Any]:
    shop_ids = None if window.shop_ids is None else [str(shop_id) for shop_id in window.shop_ids]
    return {"from": window.from_time.isoformat(), "to": window.to_time.isoformat(), "shop_ids": shop_ids}


def _window(kept: dict[str, Any]) -> Window:
    shop_ids = None if kept["shop_ids"] is None else [UUID(shop_id) for shop_id in kept["shop_ids"]]
    return Window(datetime.fromisoformat(kept["from"]), datetime.fromisoformat(kept["to"]), shop_ids)


@dataclass(frozen=True)
class Selected:
    """Some orders, and behind which the next ones are; None: there are no more."""

    order_ids: list[UUID]
    goes_on: Position | None

    def note(self, job: RunningJob) -> None:
        """Say in a step that these are done with."""
        job.checkpoint["is_read"] = self.goes_on is None
        if self.goes_on is not None:
            job.checkpoint["after"] = [self.goes_on[0].isoformat(), str(self.goes_on[1])]
        job.done += len(self.order_ids)


async def select(job: RunningJob, most: int) -> Selected:
    """The next orders of a job, behind those that it has done with."""
    position = job.checkpoint.get("after")
    after = None if position is None else (datetime.fromisoformat(position[0]), UUID(position[1]))
    asked, windows, shop_ids = _asked(job), _windows(job), _shop_ids(job)
    known = await finding.find(job.unit_of_work(), asked, windows, shop_ids, most=most, after=after, oldest_first=True)
    question = _question(job, asked, windows, shop_ids)
    if known is not None:
        known.narrow(question)
    uow = job.unit_of_work()
    try:
        found = await lists.list_ids(uow, question, after, most)
    finally:
        await uow.rollback()
    goes_on = None if known is None else known.goes_on
    if len(found) == most:
        goes_on = found[-1]["placed_at"], found[-1]["id"]
    return Selected([row["id"] for row in found], goes_on)


def _asked(job: RunningJob) -> OrderFilter:
    return OrderFilter.model_validate(job.parameters["filter"])


def _windows(job: RunningJob) -> list[Window] | None:
    windows = job.parameters["windows"]
    return None if windows is None else [_window(kept) for kept in windows]


def _shop_ids(job: RunningJob) -> list[UUID] | None:
    """The shops that whoever asked is confined to."""
    shop_ids = job.parameters["shop_ids"]
    return None if shop_ids is None else [UUID(shop_id) for shop_id in shop_ids]


def _question(
    job: RunningJob, asked: OrderFilter, windows: list[Window] | None, shop_ids: list[UUID] | None
) -> Question:
    question = lists.question_of(asked, windows)
    question.where("o.placed_at <= {}", datetime.fromisoformat(job.parameters["asked_at"]))
    if shop_ids is not None:
        question.where("o.shop_id = ANY({})", shop_ids)
    return question
