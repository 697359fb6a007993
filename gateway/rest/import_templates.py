"""Files to begin an import with."""

import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from gateway.request import Ask
from shared.contracts.catalog.templates import GetImportTemplate
from shared.impex.templates import MEDIA_TYPES, Column, Template, write_template

router = APIRouter(prefix="/v1", tags=["catalog"])

_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            media_type.split(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for media_type in MEDIA_TYPES.values()
        }
    }
}


@router.get("/import-templates/{profile}", responses=_FILES, response_class=Response)
async def get_import_template(
    profile: str,
    ask: Ask,
    group: Annotated[str, Query(max_length=100)] = "products",
    format: Literal["csv", "xlsx"] = "csv",
) -> Response:
    """A file to begin with: the headings of a profile and an example. It can be imported as it is.

    `profile` is `crossdock`, `shopify`, `woocommerce`, `magento` or `supplier`; `group` is `products`, or of
    `crossdock` also `prices`, `variants`, `categories`, `stock` or `orders`. As XLSX it has a second sheet that says
    what each column means, and which a file cannot be without; in GraphQL that is `importTemplate`.
    """
    found = await ask(GetImportTemplate(profile=profile, group=group))
    columns = tuple(Column(each.name, each.required, each.meaning, each.example) for each in found.columns)
    more = tuple(dict(zip((column.name for column in columns), row, strict=True)) for row in found.rows[1:])
    file = io.BytesIO()
    write_template(Template(found.profile, columns, more, found.group), format, file)
    name = f"{found.profile}-{found.group}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(file.getvalue(), media_type=MEDIA_TYPES[format], headers=headers)
