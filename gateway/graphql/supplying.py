"""GraphQL of carriers, shipping methods, suppliers and what they supply."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.inventory.carriers import (
    Carrier,
    ChangeCarrier,
    ChangeShippingMethod,
    CreateCarrier,
    CreateShippingMethod,
    GetCarrier,
    GetShippingMethod,
    ListCarriers,
    ListShippingMethods,
    ListShopShippingMethods,
    ShippingMethod,
)
from shared.contracts.inventory.suppliers import (
    ChangeSupplier,
    ChangeSupplierLink,
    CreateSupplier,
    CreateSupplierLink,
    GetSupplier,
    GetSupplierLink,
    ListSupplierLinks,
    ListSuppliers,
    RemoveSupplierLink,
    Supplier,
    SupplierLink,
)

FIELDS = (
    node(Carrier, GetCarrier, "carrier_id"),
    node(ShippingMethod, GetShippingMethod, "method_id"),
    query("carrier", GetCarrier),
    connection("carriers", ListCarriers),
    query("shippingMethod", GetShippingMethod),
    connection("shippingMethods", ListShippingMethods),
    query("shopShippingMethods", ListShopShippingMethods),
    mutation("createCarrier", CreateCarrier),
    mutation("changeCarrier", ChangeCarrier),
    mutation("createShippingMethod", CreateShippingMethod),
    mutation("changeShippingMethod", ChangeShippingMethod),
    node(Supplier, GetSupplier, "supplier_id"),
    node(SupplierLink, GetSupplierLink, "link_id"),
    query("supplier", GetSupplier),
    connection("suppliers", ListSuppliers),
    query("supplierLink", GetSupplierLink),
    connection("supplierLinks", ListSupplierLinks),
    mutation("createSupplier", CreateSupplier),
    mutation("changeSupplier", ChangeSupplier),
    mutation("createSupplierLink", CreateSupplierLink),
    mutation("changeSupplierLink", ChangeSupplierLink),
    mutation("removeSupplierLink", RemoveSupplierLink),
)
