"""Settings of connections: changed field by field, and every name in them is of something that there is."""

from collections.abc import Mapping
from typing import Any

from services.sync.errors import InvalidConnectionSettings
from services.sync.repository import connections
from services.sync.repository.shops import SHOPS
from shared.contracts.base import Change
from shared.contracts.catalog.tree import FindRootCategories
from shared.contracts.inventory.messages import FindCentres
from shared.contracts.sync.shapes import ConnectionSettings, Greeting
from shared.unit_of_work import UnitOfWork


def merged(known: ConnectionSettings, change: Change) -> ConnectionSettings:
    """Settings in which a given field takes the place of that field, and null that of its default."""
    values = {
        name: ConnectionSettings.model_fields[name].get_default() if value is None else value
        for name, value in change.given().items()
    }
    return known.model_copy(update=values)


async def check_names(
    uow: UnitOfWork, greeting: Greeting | None, before: ConnectionSettings, after: ConnectionSettings
) -> None:
    """Whether centres, places and categories that are newly named are there. Raises InvalidConnectionSettings."""
    wrong: list[dict[str, Any]] = []
    wrong += [
        _entry("unknown_place", f"The platform has no place '{place}'", "locations", place)
        for place in unknown_places(greeting, before, after)
    ]
    if after.locations != before.locations:
        wrong += await _unknown_centres(uow, after.locations)
    if after.default_categories != before.default_categories:
        known = (await uow.ask(FindRootCategories(names=after.default_categories))).names
        wrong += [
            _entry("unknown_category", f"There is no category '{name}' at the root", "default_categories", place)
            for place, name in enumerate(after.default_categories)
            if name not in known
        ]
    if after.passes_on != before.passes_on:
        wrong += await _unknown_receivers(uow, after)
    if wrong:
        raise InvalidConnectionSettings("; ".join(each["message"] for each in wrong[:5]) + ".", wrong)


def unknown_places(greeting: Greeting | None, before: ConnectionSettings, after: ConnectionSettings) -> list[str]:
    """Places that are newly named and that the platform has not told of. One that tells of none may have any."""
    known = {place.external_id for place in greeting.places} if greeting else set()
    if not known or after.locations == before.locations:
        return []
    return [place for place in after.locations if place not in known]


async def _unknown_centres(uow: UnitOfWork, locations: Mapping[str, str]) -> list[dict[str, Any]]:
    known = (await uow.ask(FindCentres(codes=sorted(set(locations.values()))))).codes if locations else []
    return [
        _entry("unknown_centre", f"There is no fulfilment centre '{code}'", "locations", place)
        for place, code in locations.items()
        if code not in known
    ]


async def _unknown_receivers(uow: UnitOfWork, settings: ConnectionSettings) -> list[dict[str, Any]]:
    wrong = []
    async with uow.beforehand() as earlier:
        for place, each in enumerate(settings.passes_on):
            if each.connection_id and await connections.find(earlier, each.connection_id) is None:
                wrong.append(_entry("unknown_connection", "There is no such connection", "passes_on", place))
            if each.shop and await SHOPS.find_by_code(earlier, each.shop) is None:
                wrong.append(_entry("unknown_shop", f"There is no shop '{each.shop}'", "passes_on", place))
    return wrong


def _entry(code: str, message: str, *path: object) -> dict[str, Any]:
    return {"pointer": "/settings/" + "/".join(map(str, path)), "code": code, "message": message}
