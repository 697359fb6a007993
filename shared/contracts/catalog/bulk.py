"""The same done to many products: those that words and sets mean, or that are named."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from shared.contracts.base import Command, Shape
from shared.contracts.catalog.product_sets import ProductSets, Words
from shared.contracts.catalog.shapes import Tags
from shared.contracts.platform.shapes import Job

ProductAction = Literal[
    "publish",
    "pause",
    "archive",
    "restore",
    "add_tags",
    "remove_tags",
    "add_to_category",
    "remove_from_category",
]
MOST_NAMED = 10_000


class StartedProductAction(Shape):
    """How many products are meant at this moment (by ids beside words or sets: at most), and the job that acts."""

    products: int
    job: Job


class ActOnProducts(Command[StartedProductAction]):
    """Do the same to all products that have the words, are in all of the sets, and are among those named, as a job.

    With `dry_run` the job changes nothing, and counts what it would. Counters: `changed`, `unchanged` (it was so
    already) and `refused`; the job's log says why, product by product. What is made after the beginning is left alone.
    A job whose worker dies goes on where it was. `tags` are for `add_tags` and `remove_tags`, `category_id` for
    `add_to_category` and `remove_from_category`. Raises category_not_found.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"action": "publish", "sets": ["status:paused", "with:image"], "dry_run": True}}
    )

    action: ProductAction
    query: Words | None = None
    sets: ProductSets = []
    product_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_NAMED)] | None = None
    tags: Tags = []
    category_id: UUID | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> "ActOnProducts":
        if not ((self.query or "").strip() or self.sets or self.product_ids):
            raise ValueError("say which products: by words, sets or ids")
        if bool(self.tags) != self.action.endswith("_tags"):
            raise ValueError("tags are needed to add or remove tags, and for nothing else")
        if (self.category_id is not None) != self.action.endswith("_category"):
            raise ValueError("a category is needed to add to or remove from one, and for nothing else")
        return self
