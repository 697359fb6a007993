"""GraphQL of exports. The files themselves go over REST."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.catalog import exports
from shared.contracts.catalog.exports import Export

FIELDS = (
    connection("exports", exports.ListExports),
    query("export", exports.GetExport),
    node(Export, exports.GetExport, "export_id"),
    query("exportFile", exports.GetExportFile),
    mutation("startExport", exports.StartExport),
)
