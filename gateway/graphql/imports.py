"""GraphQL of the imports of all services. Files themselves go over REST."""

from gateway.graphql.fields import connection, mutation, node, query, subscription
from shared.contracts.accounts import lists
from shared.contracts.catalog import drop_folders
from shared.contracts.platform import imports

FIELDS = (
    connection("imports", lists.ListImports),
    query("import", imports.GetImport),
    node(imports.Import, imports.GetImport, "import_id"),
    connection("importRemarks", imports.ListImportRemarks),
    connection("importSamples", imports.ListImportSamples),
    connection("importConflicts", imports.ListImportConflicts),
    query("importErrorFile", imports.GetImportErrorFile),
    query("importFile", imports.GetImportFile),
    mutation("importFromUrl", imports.ImportFromUrl),
    mutation("applyImport", imports.ApplyImport),
    mutation("confirmImport", imports.ConfirmImport),
    mutation("rerunImport", imports.RerunImport),
    mutation("undoImport", imports.UndoImport),
    subscription("importProgress", imports.GetImport),
    connection("dropFolders", drop_folders.ListDropFolders),
    mutation("setDropFolder", drop_folders.SetDropFolder),
)
