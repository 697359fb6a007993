"""What a SQL database is asked: a small TOML file of the merchant's. The platform's README.md has an example."""

import tomllib
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationError

from deploy.agent.source import Refused
from shared.contracts.base import Shape

Sql = Annotated[str, Field(min_length=1, max_length=20_000)]


class ListQueries(Shape):
    """`page` gives rows in the order of their cursor: `:since` `:after` `:limit`. `read` gives those of `:ids`.

    `after` is what `:after` is on the first page, before all that there is: a text or a number, as the cursor is.
    """

    page: Sql
    read: Sql | None = None
    after: Annotated[int, Field()] | str = ""


class StockQueries(ListQueries):
    """`current` gives one number, of `:sku` and `:location`; `write` sets it to `:quantity`, where it is `:current`."""

    current: Sql | None = None
    write: Annotated[list[Sql], Field(max_length=20)] = []


class ShipmentStatements(Shape):
    """`order` gives a row where there is the order `:order_id`; `write` is done for a shipment, `line` for each SKU."""

    order: Sql
    write: Annotated[list[Sql], Field(min_length=1, max_length=20)]
    line: Annotated[list[Sql], Field(max_length=20)] = []


class PlaceName(Shape):
    """A place that has stock."""

    id: str
    name: str


def _zone(name: str) -> str:
    """Raises ValueError."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError("it is no time zone, as Europe/Berlin is one") from error
    return name


class Queries(Shape):
    """The file. `memory` is a table of the agent's own, for the keys of what it has written.

    `time_zone` is that of times without one, in rows and in `:since`; null: universal time.
    """

    name: str = "SQL database"
    currency: str = "EUR"
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None
    location: str = "main"
    places: list[PlaceName] = []
    order_statuses: list[str] = []
    products: ListQueries | None = None
    stock: StockQueries | None = None
    orders: ListQueries | None = None
    shipments: ShipmentStatements | None = None
    memory: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,100}$")] = "crossdock_done"

    @property
    def can(self) -> list[str]:
        """The rights that these queries give."""
        found = [f"read:{name}" for name in ("products", "stock", "orders") if getattr(self, name) is not None]
        if self.stock is not None and self.stock.current is not None and self.stock.write:
            found.append("write:stock")
        if self.shipments is not None:
            found.append("write:shipments")
        return found


def queries_in(path: Path) -> Queries:
    """Raises Refused, which names what is wrong."""
    try:
        return Queries.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(f"The file of queries can not be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
