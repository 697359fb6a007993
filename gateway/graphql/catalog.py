"""GraphQL of products, categories and prices."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.catalog import attributes, bulk, history, messages, pricing, templates, tree, variants
from shared.contracts.catalog.attributes import Attribute
from shared.contracts.catalog.categories import Category
from shared.contracts.catalog.pricing import PriceList
from shared.contracts.catalog.shapes import Product
from shared.contracts.catalog.variants import VariantDetails

FIELDS = (
    connection("products", messages.ListProducts),
    query("product", messages.GetProduct),
    node(Product, messages.GetProduct, "product_id"),
    connection("variants", variants.ListVariants),
    query("variant", variants.GetVariant),
    node(VariantDetails, variants.GetVariant, "variant_id"),
    connection("attributes", attributes.ListAttributes),
    query("attribute", attributes.GetAttribute),
    node(Attribute, attributes.GetAttribute, "attribute_id"),
    connection("productTexts", messages.ListProductTexts),
    connection("productHistory", history.ListProductHistory),
    connection("categories", messages.ListCategories),
    query("category", messages.GetCategory),
    node(Category, messages.GetCategory, "category_id"),
    query("categoryTree", tree.GetCategoryTree),
    connection("priceLists", messages.ListPriceLists),
    query("priceList", pricing.GetPriceList),
    node(PriceList, pricing.GetPriceList, "price_list_id"),
    connection("prices", messages.ListPrices),
    query("resolvePrice", pricing.ResolvePrice),
    query("importTemplate", templates.GetImportTemplate),
    mutation("createProduct", messages.CreateProduct),
    mutation("updateProduct", messages.UpdateProduct),
    mutation("publishProduct", messages.PublishProduct),
    mutation("pauseProduct", messages.PauseProduct),
    mutation("archiveProduct", messages.ArchiveProduct),
    mutation("restoreProduct", messages.RestoreProduct),
    mutation("actOnProducts", bulk.ActOnProducts),
    mutation("updateVariant", variants.UpdateVariant),
    mutation("defineAttribute", attributes.DefineAttribute),
    mutation("updateAttribute", attributes.UpdateAttribute),
    mutation("removeAttribute", attributes.RemoveAttribute),
    mutation("setProductText", messages.SetProductText),
    mutation("createCategory", messages.CreateCategory),
    mutation("updateCategory", messages.UpdateCategory),
    mutation("moveCategory", tree.MoveCategory),
    mutation("assignCategory", messages.AssignCategory),
    mutation("unassignCategory", messages.UnassignCategory),
    mutation("createPriceList", messages.CreatePriceList),
    mutation("updatePriceList", pricing.UpdatePriceList),
    mutation("deletePriceList", pricing.DeletePriceList),
    mutation("setPrices", messages.SetPrices),
    mutation("changePrices", pricing.ChangePrices),
)
