"""Explanations of offers, how search is tuned, and the indexes. Offers are read in `gateway/storefront.py`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.platform.shapes import Job
from shared.contracts.search.messages import (
    CheckSearchIndex,
    ExplainOffer,
    ListSearchIndexes,
    RebuildSearchIndex,
    ShopCode,
    Sku,
)
from shared.contracts.search.operators import (
    CheckOperatorIndex,
    DocumentKind,
    GetOperatorIndex,
    OperatorIndex,
    RebuildOperatorIndex,
)
from shared.contracts.search.shapes import OfferExplanation, SearchIndex
from shared.contracts.search.tuning import (
    MOST_BOOSTS,
    MOST_PINS,
    MOST_SYNONYMS,
    Boost,
    GetSearchTuning,
    PinnedOffers,
    SearchTuning,
    SetSearchTuning,
    SoldOut,
    Synonym,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["search"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class Rebuild(Shape):
    """Which products to build anew, by themselves, their SKUs or their categories; without any, all of the shop."""

    model_config = ConfigDict(json_schema_extra={"example": {"skus": ["SCARF-RED", "SCARF-BLUE"]}})

    product_ids: Annotated[list[UUID], Field(max_length=1000)] | None = None
    skus: Annotated[list[Sku], Field(max_length=1000)] | None = None
    category_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)] | None = None


@router.get("/shops/{shop_code}/offer-explanations")
async def explain_offer(shop_code: ShopCode, sku: Sku, ask: Ask) -> OfferExplanation:
    """Why a SKU is, or is not, an offer of a shop: each condition, what it was judged by, and whether it holds."""
    return await ask(ExplainOffer(shop=shop_code, sku=sku))


class Tuning(Shape):
    """How a shop's search is to be tuned: all of it."""

    synonyms: Annotated[list[Synonym], Field(max_length=MOST_SYNONYMS)] = []
    pins: Annotated[list[PinnedOffers], Field(max_length=MOST_PINS)] = []
    boosts: Annotated[list[Boost], Field(max_length=MOST_BOOSTS)] = []
    sold_out: SoldOut = "leaves"


@router.get("/shops/{shop_code}/search-tuning")
async def get_search_tuning(shop_code: ShopCode, response: Response, ask: Ask) -> SearchTuning:
    """Words that mean the same in a shop's search, and what comes first; its version is the `ETag`."""
    return tagged(await ask(GetSearchTuning(shop=shop_code)), response)


@router.put("/shops/{shop_code}/search-tuning")
async def set_search_tuning(
    shop_code: ShopCode, tuning: Tuning, response: Response, ask: Ask, expected_version: ExpectedVersion
) -> SearchTuning:
    """Tune a shop's search anew; what is given takes the place of all there was, and holds within a second.

    With `If-Match` only if nobody else has tuned it since.
    """
    given = {name: getattr(tuning, name) for name in Tuning.model_fields}
    return tagged(await ask(SetSearchTuning(shop=shop_code, expected_version=expected_version, **given)), response)


@router.get("/search-indexes")
async def list_search_indexes(ask: Ask, first: First = 50, after: Cursor = None) -> Page[SearchIndex]:
    """The index of each shop: how many offers it has, and how many changed products wait to be built."""
    return await ask(ListSearchIndexes(first=first, after=after))


@router.post("/search-indexes/rebuild", status_code=202)
async def rebuild_search_indexes(response: Response, ask: Ask) -> Job:
    """Build the offers of every shop anew from their sources. While that runs, asking again answers the same job."""
    return _begun(await ask(RebuildSearchIndex()), response)


@router.post("/search-indexes/{shop_code}/rebuild", status_code=202)
async def rebuild_search_index(
    shop_code: ShopCode, response: Response, ask: Ask, rebuild: Rebuild | None = None
) -> Job:
    """Build a shop's offers anew, all or those of some products, SKUs or categories; other shops are not touched.

    While that runs, asking for the same again answers the same job.
    """
    wanted = rebuild or Rebuild()
    job = await ask(RebuildSearchIndex(shop=shop_code, **wanted.model_dump()))
    return _begun(job, response)


class Check(Shape):
    """Whether what differs is built anew."""

    repair: bool = False


@router.post("/search-indexes/check", status_code=202)
async def check_search_indexes(response: Response, ask: Ask, check: Check | None = None) -> Job:
    """Compare the offers of every shop with what their sources say; with `repair` what differs is built anew.

    The job's counters say what is `missing`, `outdated` or `superfluous`, its log which products those are.
    """
    return _begun(await ask(CheckSearchIndex(repair=(check or Check()).repair)), response)


@router.post("/search-indexes/{shop_code}/check", status_code=202)
async def check_search_index(shop_code: ShopCode, response: Response, ask: Ask, check: Check | None = None) -> Job:
    """Compare the offers of a shop with what their sources say; with `repair` what differs is built anew."""
    return _begun(await ask(CheckSearchIndex(shop=shop_code, repair=(check or Check()).repair)), response)


class OperatorRebuild(Shape):
    """Which documents to build anew; without a kind, all."""

    model_config = ConfigDict(json_schema_extra={"example": {"kind": "order"}})

    kind: DocumentKind | None = None


@router.get("/operator-index")
async def get_operator_index(ask: Ask) -> OperatorIndex:
    """What operators find orders and products in: how many documents there are, how many wait to be built or fail."""
    return await ask(GetOperatorIndex())


@router.post("/operator-index/rebuild", status_code=202)
async def rebuild_operator_index(response: Response, ask: Ask, rebuild: OperatorRebuild | None = None) -> Job:
    """Build the documents that operators find orders and products in anew.

    While that runs, asking again answers the same job.
    """
    return _begun(await ask(RebuildOperatorIndex(kind=(rebuild or OperatorRebuild()).kind)), response)


class OperatorCheck(Shape):
    """Which documents to look at, without a kind all; and whether what is wrong is to be mended."""

    model_config = ConfigDict(json_schema_extra={"example": {"kind": "order", "repair": True}})

    kind: DocumentKind | None = None
    repair: bool = False


@router.post("/operator-index/check", status_code=202)
async def check_operator_index(response: Response, ask: Ask, check: OperatorCheck | None = None) -> Job:
    """Compare the documents that operators find orders and products in with their sources.

    The job counts and names what is missing, outdated or superfluous; with `repair` it is built anew.
    """
    wanted = check or OperatorCheck()
    return _begun(await ask(CheckOperatorIndex(kind=wanted.kind, repair=wanted.repair)), response)


def _begun(job: Job, response: Response) -> Job:
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job
