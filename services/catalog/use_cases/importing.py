"""What the catalog imports: its groups of files, and how an import of them is taken back."""

from services.catalog.use_cases import (
    category_imports,
    content_imports,
    price_imports,
    product_imports,
    variant_imports,
)
from services.catalog.use_cases.undoing import undo
from shared.imports.groups import Importing

_GROUPS = (
    product_imports.GROUP,
    price_imports.GROUP,
    variant_imports.GROUP,
    category_imports.GROUP,
    content_imports.GROUP,
)

IMPORTING = Importing("catalog", {group.name: group for group in _GROUPS}, undo)
