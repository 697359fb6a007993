"""GraphQL of kits, and of how a shop chooses the centres that serve its orders."""

from gateway.graphql.fields import connection, mutation, query
from shared.contracts.inventory.kits import DeleteKit, GetKit, ListKits, SetKit
from shared.contracts.inventory.sourcing import ExplainSourcing, GetSourcing, SetSourcing, UnsetSourcing

FIELDS = (
    query("kit", GetKit),
    connection("kits", ListKits),
    mutation("setKit", SetKit),
    mutation("deleteKit", DeleteKit),
    query("sourcing", GetSourcing),
    mutation("setSourcing", SetSourcing),
    mutation("unsetSourcing", UnsetSourcing),
    query("sourcingExplanation", ExplainSourcing),
)
