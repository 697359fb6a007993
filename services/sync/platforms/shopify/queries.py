"""Every document that is sent to Shopify's Admin GraphQL, and how many points each is reckoned at at first.

Nothing here deletes a record, and only `CREATE_PRODUCT` has lists that take the place of what is there.
"""

from dataclasses import dataclass

# How much of a connection inside a record is asked for at once; what is beyond is read by `*_VARIANTS` and the like.
NESTED = 100
NESTED_IMAGES = 30
NESTED_LINES = 50


@dataclass(frozen=True, slots=True)
class Document:
    """A GraphQL document. `points`: what it is likely to cost, until Shopify has said it."""

    name: str
    text: str
    points: float = 10.0


# --- what is read of each kind of record; the same by pages and by bulk operations

_PRODUCT = """
  id handle title descriptionHtml vendor productType status tags updatedAt hasOnlyDefaultVariant
  seo { title description }
  options { name }
  variantsCount { count }
  mediaCount { count }
"""
_VARIANT = """
  id sku barcode price compareAtPrice taxable updatedAt
  selectedOptions { name value }
  inventoryItem { id sku requiresShipping measurement { weight { unit value } } }
"""
_MEDIUM = "id alt mediaContentType status ... on MediaImage { image { url } }"
_COLLECTION = "id title"
_LEVEL = """
  id updatedAt isActive
  location { id }
  item { id sku tracked }
  quantities(names: ["available"]) { name quantity }
"""
_SHOP_MONEY = "{ shopMoney { amount } }"
_ADDRESS = "{ name company address1 address2 city province provinceCode zip countryCodeV2 phone }"
_ORDER = f"""
  id name email phone test createdAt processedAt updatedAt cancelledAt currencyCode taxesIncluded dutiesIncluded
  displayFinancialStatus displayFulfillmentStatus
  currentSubtotalLineItemsQuantity subtotalLineItemsQuantity
  currentTotalPriceSet {_SHOP_MONEY} totalPriceSet {_SHOP_MONEY}
  currentShippingPriceSet {_SHOP_MONEY} totalShippingPriceSet {_SHOP_MONEY}
  currentTaxLines {{ title priceSet {_SHOP_MONEY} }} taxLines {{ title priceSet {_SHOP_MONEY} }}
  currentTotalTaxSet {_SHOP_MONEY} totalTaxSet {_SHOP_MONEY}
  currentTotalDiscountsSet {_SHOP_MONEY} totalDiscountsSet {_SHOP_MONEY}
  currentTotalDutiesSet {_SHOP_MONEY} originalTotalDutiesSet {_SHOP_MONEY}
  currentTotalAdditionalFeesSet {_SHOP_MONEY} originalTotalAdditionalFeesSet {_SHOP_MONEY}
  totalTipReceivedSet {_SHOP_MONEY}
  shippingLine {{ code title }}
  shippingAddress {_ADDRESS} billingAddress {_ADDRESS}
"""
_LINE = f"""
  id title sku quantity currentQuantity
  originalUnitPriceSet {_SHOP_MONEY}
  discountAllocations {{
    allocatedAmountSet {_SHOP_MONEY}
    discountApplication {{
      __typename
      ... on DiscountCodeApplication {{ code }}
      ... on ManualDiscountApplication {{ title }}
      ... on AutomaticDiscountApplication {{ title }}
      ... on ScriptDiscountApplication {{ title }}
    }}
  }}
"""
_PAGE_INFO = "pageInfo { hasNextPage endCursor }"
_PRODUCT_WHOLE = f"""
  {_PRODUCT}
  variants(first: {NESTED}) {{ nodes {{ {_VARIANT} }} {_PAGE_INFO} }}
  media(first: {NESTED_IMAGES}, sortKey: POSITION) {{ nodes {{ {_MEDIUM} }} {_PAGE_INFO} }}
  collections(first: {NESTED_IMAGES}) {{ nodes {{ {_COLLECTION} }} {_PAGE_INFO} }}
"""
_ORDER_WHOLE = f"{_ORDER} lineItems(first: {NESTED_LINES}) {{ nodes {{ {_LINE} }} {_PAGE_INFO} }}"
_MADE_BY = 'madeBy: metafield(namespace: "crossdock", key: "operation_key") { value }'

# --- the shop

SHOP = Document("Shop", "query Shop { shop { currencyCode } }", 2)
GREET = Document(
    "Greet",
    """query Greet {
      shop { name currencyCode ianaTimezone }
      currentAppInstallation { accessScopes { handle } }
      locations(first: 250) { nodes { id name isActive } }
    }""",
    30,
)

# --- pages

PRODUCTS = Document(
    "Products",
    f"""query Products($first: Int!, $after: String, $query: String, $sort: ProductSortKeys!) {{
      shop {{ currencyCode }}
      products(first: $first, after: $after, query: $query, sortKey: $sort) {{
        nodes {{ {_PRODUCT_WHOLE} }} {_PAGE_INFO}
      }}
    }}""",
    600,
)
ORDERS = Document(
    "Orders",
    f"""query Orders($first: Int!, $after: String, $query: String, $sort: OrderSortKeys!) {{
      orders(first: $first, after: $after, query: $query, sortKey: $sort) {{
        nodes {{ {_ORDER_WHOLE} }} {_PAGE_INFO}
      }}
    }}""",
    600,
)
LEVELS = Document(
    "Levels",
    f"""query Levels($location: ID!, $first: Int!, $after: String, $query: String) {{
      location(id: $location) {{
        inventoryLevels(first: $first, after: $after, query: $query) {{ nodes {{ {_LEVEL} }} {_PAGE_INFO} }}
      }}
    }}""",
    60,
)
PLACES = Document(
    "Places",
    f"query Places($after: String) {{ locations(first: 250, after: $after) {{ nodes {{ id }} {_PAGE_INFO} }} }}",
    30,
)

# --- records by their ids, and what is beyond their first page

PRODUCTS_BY_ID = Document(
    "ProductsById",
    f"""query ProductsById($ids: [ID!]!) {{
      shop {{ currencyCode }}
      nodes(ids: $ids) {{ ... on Product {{ {_PRODUCT_WHOLE} }} }}
    }}""",
    600,
)
PRODUCTS_PLAIN = Document(
    "ProductsPlain",
    f"""query ProductsPlain($ids: [ID!]!) {{
      shop {{ currencyCode }}
      nodes(ids: $ids) {{ ... on Product {{ {_PRODUCT} }} }}
    }}""",
    300,
)
VARIANTS_BY_ID = Document(
    "VariantsById",
    f"""query VariantsById($ids: [ID!]!) {{
      shop {{ currencyCode }}
      nodes(ids: $ids) {{ ... on ProductVariant {{ {_VARIANT} }} }}
    }}""",
    250,
)
LEVELS_BY_ID = Document(
    "LevelsById",
    f"query LevelsById($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on InventoryLevel {{ {_LEVEL} }} }} }}",
    250,
)
ORDERS_BY_ID = Document(
    "OrdersById",
    f"query OrdersById($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Order {{ {_ORDER_WHOLE} }} }} }}",
    600,
)
MORE_VARIANTS = Document(
    "MoreVariants",
    f"""query MoreVariants($id: ID!, $after: String) {{
      node(id: $id) {{ ... on Product {{ more: variants(first: 250, after: $after) {{
        nodes {{ {_VARIANT} }} {_PAGE_INFO}
      }} }} }}
    }}""",
    100,
)
MORE_MEDIA = Document(
    "MoreMedia",
    f"""query MoreMedia($id: ID!, $after: String) {{
      node(id: $id) {{ ... on Product {{ more: media(first: 250, after: $after, sortKey: POSITION) {{
        nodes {{ {_MEDIUM} }} {_PAGE_INFO}
      }} }} }}
    }}""",
    60,
)
MORE_COLLECTIONS = Document(
    "MoreCollections",
    f"""query MoreCollections($id: ID!, $after: String) {{
      node(id: $id) {{ ... on Product {{ more: collections(first: 250, after: $after) {{
        nodes {{ {_COLLECTION} }} {_PAGE_INFO}
      }} }} }}
    }}""",
    60,
)
MORE_LINES = Document(
    "MoreLines",
    f"""query MoreLines($id: ID!, $after: String) {{
      node(id: $id) {{ ... on Order {{ more: lineItems(first: 250, after: $after) {{
        nodes {{ {_LINE} }} {_PAGE_INFO}
      }} }} }}
    }}""",
    100,
)

# --- bulk operations


def _bulk(root: str, fields: str, **children: str) -> str:
    inside = "".join(f" {name} {{ edges {{ node {{ {what} }} }} }}" for name, what in children.items())
    return f"{{ {root} {{ edges {{ node {{ {fields}{inside} }} }} }} }}"


BULK_PRODUCTS = _bulk("products", _PRODUCT, variants=_VARIANT, media=_MEDIUM, collections=_COLLECTION)
BULK_LEVELS = _bulk("inventoryItems", " id", inventoryLevels=_LEVEL)
BULK_ORDERS = _bulk("orders", _ORDER, lineItems=_LINE)
_OPERATION = "id status errorCode createdAt rootObjectCount fileSize url"
RUN_BULK = Document(
    "RunBulk",
    f"""mutation RunBulk($query: String!, $grouped: Boolean!) {{
      bulkOperationRunQuery(query: $query, groupObjects: $grouped) {{
        bulkOperation {{ {_OPERATION} }}
        userErrors {{ field message code }}
      }}
    }}""",
)
BULK = Document("Bulk", f"query Bulk($id: ID!) {{ bulkOperation(id: $id) {{ {_OPERATION} }} }}", 1)
RUNNING_BULKS = Document(
    "RunningBulks",
    f"""query RunningBulks {{
      bulkOperations(first: 10, sortKey: CREATED_AT, reverse: true, query: "operation_type:query") {{
        nodes {{ {_OPERATION} query }}
      }}
    }}""",
    10,
)

# --- products

FIND_MADE = Document(
    "FindMade",
    f"""query FindMade($handle: String!) {{
      shop {{ currencyCode }}
      productByIdentifier(identifier: {{handle: $handle}}) {{ {_MADE_BY} {_PRODUCT_WHOLE} }}
    }}""",
    60,
)
CREATE_PRODUCT = Document(
    "CreateProduct",
    f"""mutation CreateProduct($input: ProductSetInput!) {{
      productSet(input: $input, synchronous: true) {{
        product {{ {_PRODUCT_WHOLE} }}
        userErrors {{ field message code }}
      }}
    }}""",
    60,
)
UPDATE_PRODUCT = Document(
    "UpdateProduct",
    f"""mutation UpdateProduct($product: ProductUpdateInput!) {{
      productUpdate(product: $product) {{
        product {{ {_PRODUCT} collections(first: {NESTED_IMAGES}) {{ nodes {{ {_COLLECTION} }} {_PAGE_INFO} }} }}
        userErrors {{ field message }}
      }}
    }}""",
    20,
)
ADD_TAGS = Document(
    "AddTags",
    """mutation AddTags($id: ID!, $tags: [String!]!) {
      tagsAdd(id: $id, tags: $tags) { node { id ... on Product { tags } } userErrors { field message } }
    }""",
)
TAKE_TAGS = Document(
    "TakeTags",
    """mutation TakeTags($id: ID!, $tags: [String!]!) {
      tagsRemove(id: $id, tags: $tags) { node { id ... on Product { tags } } userErrors { field message } }
    }""",
)
UPDATE_VARIANTS = Document(
    "UpdateVariants",
    f"""mutation UpdateVariants($id: ID!, $variants: [ProductVariantsBulkInput!]!) {{
      productVariantsBulkUpdate(productId: $id, variants: $variants, allowPartialUpdates: true) {{
        productVariants {{ {_VARIANT} }}
        userErrors {{ field message code }}
      }}
    }}""",
    30,
)
CREATE_VARIANTS = Document(
    "CreateVariants",
    f"""mutation CreateVariants($id: ID!, $variants: [ProductVariantsBulkInput!]!) {{
      productVariantsBulkCreate(productId: $id, variants: $variants, strategy: PRESERVE_STANDALONE_VARIANT) {{
        productVariants {{ {_VARIANT} }}
        userErrors {{ field message code }}
      }}
    }}""",
    30,
)
FIND_COLLECTIONS = Document(
    "FindCollections",
    """query FindCollections($query: String!) {
      collections(first: 50, query: $query) { nodes { id title } }
    }""",
    20,
)

# --- images

STAGE_UPLOADS = Document(
    "StageUploads",
    """mutation StageUploads($input: [StagedUploadInput!]!) {
      stagedUploadsCreate(input: $input) {
        stagedTargets { url resourceUrl parameters { name value } }
        userErrors { field message }
      }
    }""",
)
_FILE = "id alt fileStatus fileErrors { message } ... on MediaImage { image { url } }"
CREATE_FILES = Document(
    "CreateFiles",
    f"""mutation CreateFiles($files: [FileCreateInput!]!) {{
      fileCreate(files: $files) {{ files {{ {_FILE} }} userErrors {{ field message code }} }}
    }}""",
    20,
)
UPDATE_FILES = Document(
    "UpdateFiles",
    f"""mutation UpdateFiles($files: [FileUpdateInput!]!) {{
      fileUpdate(files: $files) {{ files {{ {_FILE} }} userErrors {{ field message code }} }}
    }}""",
    20,
)
FIND_FILES = Document(
    "FindFiles",
    f"query FindFiles($query: String!) {{ files(first: 10, query: $query) {{ nodes {{ {_FILE} }} }} }}",
    20,
)
FILES_BY_ID = Document(
    "FilesById",
    f"query FilesById($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on MediaImage {{ {_FILE} }} }} }}",
    20,
)
REORDER_MEDIA = Document(
    "ReorderMedia",
    """mutation ReorderMedia($id: ID!, $moves: [MoveInput!]!) {
      productReorderMedia(id: $id, moves: $moves) { job { id } mediaUserErrors { field message code } }
    }""",
)

# --- stock

SET_QUANTITIES = Document(
    "SetQuantities",
    """mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {
      inventorySetQuantities(input: $input) @idempotent(key: $key) {
        inventoryAdjustmentGroup { changes(quantityNames: ["available"]) { delta item { id } location { id } } }
        userErrors { field message code }
      }
    }""",
    10,
)
ACTIVATE = Document(
    "Activate",
    f"""mutation Activate($item: ID!, $location: ID!, $key: String!) {{
      inventoryActivate(inventoryItemId: $item, locationId: $location) @idempotent(key: $key) {{
        inventoryLevel {{ {_LEVEL} }}
        userErrors {{ field message }}
      }}
    }}""",
    20,
)
LEVELS_OF_ITEMS = Document(
    "LevelsOfItems",
    f"""query LevelsOfItems($ids: [ID!]!) {{
      nodes(ids: $ids) {{ ... on InventoryItem {{ id inventoryLevels(first: 250) {{ nodes {{ {_LEVEL} }} }} }} }}
    }}""",
    400,
)
ITEMS_OF_SKUS = Document(
    "ItemsOfSkus",
    """query ItemsOfSkus($query: String!) {
      productVariants(first: 250, query: $query) { nodes { sku inventoryItem { id } } }
    }""",
    60,
)

# --- shipments

TO_SHIP = Document(
    "ToShip",
    f"""query ToShip($id: ID!, $after: String) {{
      order(id: $id) {{
        id
        fulfillmentOrders(first: 10, after: $after) {{
          nodes {{
            id status
            assignedLocation {{ location {{ id }} }}
            lineItems(first: 250) {{ nodes {{ id remainingQuantity lineItem {{ id sku }} }} }}
          }}
          {_PAGE_INFO}
        }}
      }}
    }}""",
    300,
)
SHIPPED = Document(
    "Shipped",
    """query Shipped($id: ID!) {
      order(id: $id) {
        id
        fulfillments(first: 50) {
          id status
          trackingInfo(first: 50) { number }
          fulfillmentLineItems(first: 100) { nodes { quantity lineItem { id sku } } }
        }
      }
    }""",
    400,
)
SHIP = Document(
    "Ship",
    """mutation Ship($fulfillment: FulfillmentInput!) {
      fulfillmentCreate(fulfillment: $fulfillment) {
        fulfillment { id status }
        userErrors { field message }
      }
    }""",
    10,
)

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Document))
