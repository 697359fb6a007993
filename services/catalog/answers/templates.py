"""What files look like."""

from shared.contracts.catalog.templates import GetImportTemplate, ImportTemplate, ImportTemplateColumn
from shared.impex.templates import get_template
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(GetImportTemplate, scope="catalog:read")
async def get_import_template(message: GetImportTemplate, _uow: UnitOfWork) -> ImportTemplate:
    template = get_template(message.profile, message.group)
    return ImportTemplate(
        profile=template.profile,
        group=template.group,
        columns=[
            ImportTemplateColumn(
                name=column.name, required=column.is_required, meaning=column.meaning, example=column.example
            )
            for column in template.columns
        ],
        rows=template.rows()[1:],
    )
