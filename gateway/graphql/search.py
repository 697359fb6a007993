"""GraphQL of offers and search indexes."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.search import messages, operators, tuning
from shared.contracts.search.shapes import FoundOffers, Offer, OfferDetails, OfferSuggestions, ShopCategories, SkuOffers

FIELDS = (
    connection("offers", messages.SearchOffers, answer=FoundOffers),
    query("offerSuggestions", messages.SuggestOffers, answer=OfferSuggestions),
    node(OfferDetails, messages.GetOfferById, "id", also=(Offer,), has_global_id=True),
    query("offer", messages.GetOffer, answer=OfferDetails),
    query("offerById", messages.GetOfferById, answer=OfferDetails),
    query("shopCategories", messages.ListShopCategories, answer=ShopCategories),
    query("offersBySku", messages.GetOffersBySku, answer=SkuOffers),
    query("offerExplanation", messages.ExplainOffer),
    connection("searchIndexes", messages.ListSearchIndexes),
    query("searchTuning", tuning.GetSearchTuning),
    mutation("setSearchTuning", tuning.SetSearchTuning),
    mutation("rebuildSearchIndex", messages.RebuildSearchIndex),
    mutation("checkSearchIndex", messages.CheckSearchIndex),
    query("productSets", operators.SuggestProductSets),
    query("productSetCount", operators.CountProductSet),
    query("operatorIndex", operators.GetOperatorIndex),
    mutation("rebuildOperatorIndex", operators.RebuildOperatorIndex),
    mutation("checkOperatorIndex", operators.CheckOperatorIndex),
)
