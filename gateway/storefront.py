"""The storefront's hot reads in plain Starlette: parameters in, ready bytes out, a third of a FastAPI route's cost."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from gateway import sparse
from gateway.openapi import PlainRoute
from gateway.parameters import fields_asked, refuse_unread
from gateway.ready import ReadyAnswers, ReadyResponse
from gateway.request import asker
from shared.contracts.base import Query, Shape
from shared.contracts.search.messages import (
    CustomerGroup,
    GetOffer,
    GetOfferById,
    GetOffersBySku,
    ListShopCategories,
    OffersFirst,
    SearchOffers,
    ShopCode,
    Sku,
    SuggestOffers,
    Words,
)
from shared.contracts.search.shapes import (
    FilterValues,
    FoundOffers,
    MinorUnits,
    OfferDetails,
    OfferSort,
    OfferSuggestions,
    ShopCategories,
    SkuOffers,
)
from shared.errors import CrossdockError, ValidationFailed
from shared.validation import field_at, sentence_of

# Filters by a merchant's own names: the parameter's beginning, the filter's field, and what that calls the name.
_NAMED = {"option.": ("options", "name"), "attribute.": ("attributes", "code")}
_GROUP = "customer_group"
_SINGLE = {"q": "query", "sort": "sort", "first": "first", "after": "after", _GROUP: _GROUP, "facets": "facets"}
_SINGLE_IN_FILTER = frozenset({"price_min", "price_max", "in_stock"})
_MANY_IN_FILTER = frozenset({"category", "brand"})
_READ_ONCE = frozenset({*_SINGLE, *_SINGLE_IN_FILTER})
_READ_OFTEN = frozenset({*_MANY_IN_FILTER, "option.<name>", "attribute.<code>", sparse.PARAMETER})
_IN_PATH = frozenset({"shop_code", "slug", "offer_id"})
_AS_PARAMETERS = {"query": "q", "shop": "shop_code", "options": "option", "attributes": "attribute"}


OF_GROUP: Any = Field(
    default=None, description="As this customer group sees it, at its prices. Not for publishable keys."
)


class OffersParameters(Shape):
    """What a list of offers may be asked with, as it is documented."""

    shop_code: ShopCode
    customer_group: CustomerGroup | None = OF_GROUP
    q: Words | None = Field(default=None, description="Words to find; the last one may be the beginning of a word.")
    category: FilterValues = Field(default=[], description="A category's slug or path; may be repeated.")
    brand: FilterValues = Field(default=[], description="May be repeated.")
    price_min: MinorUnits | None = Field(default=None, description="In minor units, inclusive.")
    price_max: MinorUnits | None = Field(default=None, description="In minor units, inclusive.")
    in_stock: bool | None = Field(default=None, description="Only what can, or cannot, be bought now.")
    sort: OfferSort = "relevance"
    facets: bool = Field(default=True, description="Without, none are counted, and those of the answer are empty.")
    first: OffersFirst = 20
    after: str | None = Field(default=None, description="The `next` of the page before.")
    option: FilterValues = Field(
        default=[], description="`option.<name>=<value>`, as `option.Colour=Red`; may be repeated."
    )
    attribute: FilterValues = Field(
        default=[], description="`attribute.<code>=<value>`, as `attribute.fit=slim`; may be repeated."
    )


class SuggestionsParameters(Shape):
    """What suggestions may be asked with."""

    shop_code: ShopCode
    customer_group: CustomerGroup | None = OF_GROUP
    q: Words = Field(description="What was typed so far; a space at the end says that the last word is finished.")
    first: int = Field(default=8, ge=1, le=20, description="How many words, categories and brands at most.")


class CategoriesParameters(Shape):
    """Which categories are asked for."""

    shop_code: ShopCode
    within: str | None = Field(default=None, description="A category's path: itself, and what is below it.")


class SkusParameters(Shape):
    """Which SKUs are asked for."""

    shop_code: ShopCode
    customer_group: CustomerGroup | None = OF_GROUP
    sku: list[Sku] = Field(min_length=1, max_length=100, description="May be repeated; 100 at a time.")


class OfferParameters(Shape):
    """Which offer is asked for."""

    shop_code: ShopCode
    customer_group: CustomerGroup | None = OF_GROUP
    slug: str = Field(description="The offer's slug, or its product's id.")


class OfferIdParameters(Shape):
    """Which offer is asked for."""

    offer_id: str = Field(description="The `id` that the offer has in lists and on its page.")


async def search_offers(request: Request) -> Response:
    message = _question(request.path_params["shop_code"], request.query_params)
    return await _answered(request, message, FoundOffers)


async def suggest_offers(request: Request) -> Response:
    refuse_unread(request.query_params, ("q", "first", _GROUP), (sparse.PARAMETER,))
    given = {_SINGLE[name]: value for name, value in request.query_params.items() if name in _SINGLE}
    wanted = {"shop": request.path_params["shop_code"], **given}
    return await _answered(
        request, _message(SuggestOffers, wanted, {"shop": "shop_code", "query": "q"}), OfferSuggestions
    )


async def get_offer(request: Request) -> Response:
    refuse_unread(request.query_params, (_GROUP,), (sparse.PARAMETER,))
    shop, slug = request.path_params["shop_code"], request.path_params["slug"]
    wanted = {"shop": shop, "slug": slug, **_group_in(request)}
    return await _answered(request, _message(GetOffer, wanted, {"shop": "shop_code"}), OfferDetails)


async def get_offer_by_id(request: Request) -> Response:
    refuse_unread(request.query_params, (), (sparse.PARAMETER,))
    wanted = {"id": request.path_params["offer_id"]}
    return await _answered(request, _message(GetOfferById, wanted, {"id": "offer_id"}), OfferDetails)


async def list_shop_categories(request: Request) -> Response:
    refuse_unread(request.query_params, ("within",), (sparse.PARAMETER,))
    wanted = {"shop": request.path_params["shop_code"], "within": request.query_params.get("within")}
    return await _answered(request, _message(ListShopCategories, wanted, {"shop": "shop_code"}), ShopCategories)


async def get_offers_by_sku(request: Request) -> Response:
    refuse_unread(request.query_params, (_GROUP,), ("sku", sparse.PARAMETER))
    skus = request.query_params.getlist("sku")
    wanted = {"shop": request.path_params["shop_code"], "skus": skus, **_group_in(request)}
    return await _answered(request, _message(GetOffersBySku, wanted, {"shop": "shop_code", "skus": "sku"}), SkuOffers)


def _in_query(entry: Mapping[str, Any]) -> dict[str, str]:
    """Where a parameter stands that the service knows as a field of its message."""
    *_, name = str(entry.get("pointer", "")).split("/")
    return {"pointer": f"/query/{_AS_PARAMETERS.get(name, name)}"} if name else {}


def _group_in(request: Request) -> dict[str, str]:
    return {_GROUP: request.query_params[_GROUP]} if _GROUP in request.query_params else {}


async def _answered(request: Request, message: Query[bytes], answer_type: Any) -> Response:
    """The ready answer, or the fields of it that were asked for, kept for whoever asks the same next."""
    ask = await asker(request)
    fields = fields_asked(request, answer_type)
    try:
        answer = await ask(message)
    except CrossdockError as error:
        for entry in error.errors:
            entry |= _in_query(entry)
        raise
    body = answer if fields is None else sparse.chosen(answer, fields)
    answers: ReadyAnswers = request.app.state.ready
    return answers.keep(request.scope, ReadyResponse(body, "application/json"))


PLAIN_ROUTES = (
    PlainRoute(
        "GET", "/v1/shops/{shop_code}/offers", search_offers, SearchOffers, FoundOffers, "search", OffersParameters
    ),
    PlainRoute(
        "GET",
        "/v1/shops/{shop_code}/offer-suggestions",
        suggest_offers,
        SuggestOffers,
        OfferSuggestions,
        "search",
        SuggestionsParameters,
    ),
    PlainRoute(
        "GET",
        "/v1/shops/{shop_code}/categories",
        list_shop_categories,
        ListShopCategories,
        ShopCategories,
        "search",
        CategoriesParameters,
    ),
    PlainRoute(
        "GET",
        "/v1/shops/{shop_code}/offers-by-sku",
        get_offers_by_sku,
        GetOffersBySku,
        SkuOffers,
        "search",
        SkusParameters,
    ),
    PlainRoute(
        "GET", "/v1/shops/{shop_code}/offers/{slug}", get_offer, GetOffer, OfferDetails, "search", OfferParameters
    ),
    PlainRoute(
        "GET", "/v1/offers/{offer_id}", get_offer_by_id, GetOfferById, OfferDetails, "search", OfferIdParameters
    ),
)


def _question(shop_code: str, parameters: QueryParams) -> SearchOffers:
    """The message these parameters mean. Raises UnknownParameter, RepeatedParameter; ValidationFailed naming each."""
    named = [name for name in parameters if name.startswith(tuple(_NAMED))]
    refuse_unread(parameters, _READ_ONCE, _READ_OFTEN.union(named))
    wanted: dict[str, Any] = {"shop": shop_code}
    within: dict[str, Any] = {}
    for name in dict.fromkeys(parameters):
        if name == sparse.PARAMETER:
            continue
        if name in _MANY_IN_FILTER:
            within[name] = parameters.getlist(name)
        elif (kind := f"{name.split('.', 1)[0]}.") in _NAMED:
            field, called = _NAMED[kind]
            within.setdefault(field, []).append({called: name[len(kind) :], "values": parameters.getlist(name)})
        elif name in _SINGLE:
            wanted[_SINGLE[name]] = parameters[name]
        else:
            within[name] = parameters[name]
    return _message(SearchOffers, wanted | {"filter": within}, _AS_PARAMETERS)


def _message(message: type[Any], values: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    try:
        return message.model_validate(values)
    except ValidationError as error:
        errors = []
        for each in error.errors(include_url=False):
            field = next((part for part in each["loc"] if part != "filter"), "")
            name = names.get(str(field), str(field))
            sentence = sentence_of(each, field_at(message, each["loc"]))
            errors.append(
                {
                    "pointer": f"/{'path' if name in _IN_PATH else 'query'}/{name}",
                    "code": each["type"],
                    "message": sentence,
                }
            )
        named = errors[0]["pointer"].rsplit("/", 1)[-1]
        raise ValidationFailed(f"'{named}': {errors[0]['message']}.", errors) from None
