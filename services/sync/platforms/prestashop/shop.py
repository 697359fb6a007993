"""What is true of a shop as a whole: its language, money, zone, weights, states of orders, and words with ids.

Each is asked for once in a piece of work, when it is first needed.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.prestashop.client import Client
from services.sync.platforms.prestashop.mapping import Units, flag, key, text
from services.sync.platforms.prestashop.settings import PrestaShopSettings
from services.sync.platforms.prestashop.times import LocalTime
from shared import clock

JsonObject = dict[str, Any]
Names = tuple[str, ...]

_NAMES = (
    "PS_TIMEZONE",
    "PS_CURRENCY_DEFAULT",
    "PS_LANG_DEFAULT",
    "PS_WEIGHT_UNIT",
    "PS_SHOP_DEFAULT",
    "PS_ROOT_CATEGORY",
    "PS_HOME_CATEGORY",
    "PS_OS_CANCELED",
    "PS_OS_REFUND",
    "PS_OS_ERROR",
    "PS_OS_SHIPPING",
)


@dataclass(frozen=True, slots=True)
class State:
    """A state that orders can be in. `name` is the only one of that name."""

    id: str
    name: str
    is_paid: bool
    is_shipped: bool
    is_cancelled: bool


class Shop:
    """One shop."""

    def __init__(self, client: Client, settings: PrestaShopSettings, base_url: str) -> None:
        self.client, self.settings, self.base_url = client, settings, base_url
        self._lock = asyncio.Lock()
        self._configuration: dict[str, str] | None = None
        self._units: Units | None = None
        self._states: dict[str, State] | None = None
        self._paths: dict[str, Names] | None = None
        self._options: dict[str, str] | None = None
        self._values: dict[str, tuple[str, str]] = {}
        self._tags: dict[str, str] = {}
        self._countries: dict[str, str] | None = None
        self._regions: dict[str, str] = {}
        self._currencies: dict[str, str] | None = None

    def now(self) -> datetime:
        """What time the shop has."""
        return clock.now() + self.client.http.ahead

    async def configuration(self) -> Mapping[str, str]:
        """What the shop is set to."""
        async with self._lock:
            if self._configuration is None:
                filters = {"name": f"[{'|'.join(_NAMES)}]"}
                rows = await self.client.rows("configurations", "[id,name,value]", filters=filters)
                self._configuration = {text(row.get("name"), 0): text(row.get("value"), 0) for row in rows}
        return self._configuration

    async def units(self) -> Units:
        """What its texts, prices and weights are in. Raises PlatformRefused where it does not say."""
        if self._units is None:
            told = await self.configuration()
            currencies = await self.currencies()
            currency = currencies.get(told.get("PS_CURRENCY_DEFAULT", ""))
            language = self.settings.language or told.get("PS_LANG_DEFAULT", "")
            if currency is None or not str(language).isdigit():
                raise PlatformRefused("The shop does not say which currency and language are its own.")
            self._units = Units(
                int(language), currency, self._time(told), told.get("PS_WEIGHT_UNIT") or "kg", self._rate()
            )
        return self._units

    def _time(self, told: Mapping[str, str]) -> LocalTime:
        name = self.settings.time_zone or told.get("PS_TIMEZONE", "")
        try:
            return LocalTime(name)
        except (KeyError, OSError, ValueError):
            raise PlatformRefused(f"The shop's time zone '{name[:50]}' is not known; set `time_zone`.") from None

    def _rate(self) -> Decimal:
        return self.settings.tax_rate or Decimal(0)

    async def place(self) -> str:
        """The id of the shop, which is the place that its stock is in."""
        if self.settings.shop_id is not None:
            return str(self.settings.shop_id)
        return (await self.configuration()).get("PS_SHOP_DEFAULT") or "1"

    # --- orders

    async def states(self) -> Mapping[str, State]:
        """The states of orders by their ids."""
        if self._states is None:
            told, units = await self.configuration(), await self.units()
            rows = await self.client.rows("order_states", "[id,name,paid,shipped,deleted]", language=units.language)
            self._states = states_of(rows, told.get("PS_OS_CANCELED", ""), units.language)
        return self._states

    async def shipped_state(self) -> State:
        """The state that says that goods have left: the one that is set, or the shop's own by its flag.

        Raises PlatformRefused where there is none.
        """
        states = await self.states()
        wanted = self.settings.shipped_status
        if wanted is not None:
            chosen = next((each for each in states.values() if wanted in (each.name, each.id)), None)
        else:
            own = states.get((await self.configuration()).get("PS_OS_SHIPPING", ""))
            flagged = [each for each in states.values() if each.is_shipped]
            chosen = own if own in flagged else min(flagged, key=lambda each: int(each.id), default=None)
        if chosen is None or not chosen.is_shipped:
            raise PlatformRefused("The shop has no such order state with the flag 'shipped'; set `shipped_status`.")
        return chosen

    async def currencies(self) -> Mapping[str, str]:
        """Codes of currencies by their ids."""
        if self._currencies is None:
            rows = await self.client.rows("currencies", "[id,iso_code]")
            self._currencies = {key(row["id"]): text(row.get("iso_code"), 0) for row in rows}
        return self._currencies

    async def countries(self) -> Mapping[str, str]:
        """Codes of countries by their ids."""
        if self._countries is None:
            rows = await self.client.rows("countries", "[id,iso_code]")
            self._countries = {key(row["id"]): text(row.get("iso_code"), 0) for row in rows}
        return self._countries

    async def regions(self, ids: Iterable[str]) -> Mapping[str, str]:
        """Codes of states and provinces by their ids."""
        missing = set(ids) - self._regions.keys() - {""}
        if missing:
            rows = await self.client.by_ids("states", missing, "[id,iso_code]")
            self._regions |= {key(row["id"]): text(row.get("iso_code"), 0) for row in rows}
        return self._regions

    # --- words of products

    async def paths(self) -> Mapping[str, Names]:
        """Categories by their ids, each with the names that lead to it; the root and the home page lead to none."""
        if self._paths is None:
            told, units = await self.configuration(), await self.units()
            rows = await self.client.rows("categories", "[id,id_parent,name]", language=units.language)
            tops = {told.get("PS_ROOT_CATEGORY") or "1", told.get("PS_HOME_CATEGORY") or "2"}
            self._paths = paths_of(rows, tops, units.language)
        return self._paths

    async def options(self) -> Mapping[str, str]:
        """Names of options by their ids."""
        if self._options is None:
            language = (await self.units()).language
            rows = await self.client.rows("product_options", "[id,name]", language=language)
            self._options = {key(row["id"]): text(row.get("name"), language) for row in rows}
        return self._options

    async def values(self, ids: Iterable[str]) -> Mapping[str, tuple[str, str]]:
        """Names of an option and of its value by the value's id."""
        missing = set(ids) - self._values.keys()
        if missing:
            language, options = (await self.units()).language, await self.options()
            display = "[id,id_attribute_group,name]"
            rows = await self.client.by_ids("product_option_values", missing, display, language=language)
            for row in rows:
                option = options.get(key(row.get("id_attribute_group")), "")
                self._values[key(row["id"])] = (option, text(row.get("name"), language))
        return self._values

    async def tags(self, ids: Iterable[str]) -> Mapping[str, str]:
        """Names of tags of the language by their ids."""
        missing = set(ids) - self._tags.keys()
        if missing:
            language = (await self.units()).language
            for row in await self.client.by_ids("tags", missing, "[id,id_lang,name]"):
                if key(row.get("id_lang")) == str(language):
                    self._tags[key(row["id"])] = text(row.get("name"), language)
        return self._tags

    def forget_options(self) -> None:
        """Options were made meanwhile."""
        self._options = None


def states_of(rows: Iterable[JsonObject], cancelled: str, language: int) -> dict[str, State]:
    """States that are not deleted, by id. Of two with one name each is named with its id too."""
    alive = [row for row in rows if not flag(row.get("deleted"))]
    names = [" ".join(text(row.get("name"), language).split()) for row in alive]
    found = {}
    for row, name in zip(alive, names, strict=True):
        state_id = key(row["id"])
        is_other = names.count(name) > 1 or not name
        shown = f"{name} #{state_id}".strip() if is_other else name
        found[state_id] = State(state_id, shown, flag(row.get("paid")), flag(row.get("shipped")), state_id == cancelled)
    return found


def paths_of(rows: Iterable[JsonObject], tops: Iterable[str], language: int) -> dict[str, Names]:
    """Names that lead to each category, below the topmost ones."""
    by_id = {key(row["id"]): row for row in rows}
    hidden = set(tops)
    found: dict[str, Names] = {}
    for external_id in by_id:
        names: list[str] = []
        at, seen = external_id, set[str]()
        while at in by_id and at not in hidden and at not in seen:
            seen.add(at)
            names.insert(0, text(by_id[at].get("name"), language))
            at = key(by_id[at].get("id_parent"))
        found[external_id] = tuple(names)
    return found


def state_of(states: Mapping[str, State], external_id: str) -> State:
    """A state by its id; one that is not there any more is known by its id alone."""
    return states.get(external_id) or State(external_id, f"state {external_id}", False, False, False)
