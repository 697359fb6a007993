"""GraphQL of customers."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.orders.customers import (
    CreateCustomer,
    Customer,
    EraseCustomer,
    ExportCustomer,
    GetCustomer,
    ListCustomers,
    UpdateCustomer,
)

FIELDS = (
    node(Customer, GetCustomer, "customer_id"),
    query("customer", GetCustomer),
    connection("customers", ListCustomers),
    connection("customerExport", ExportCustomer),
    mutation("createCustomer", CreateCustomer),
    mutation("updateCustomer", UpdateCustomer),
    mutation("eraseCustomer", EraseCustomer),
)
