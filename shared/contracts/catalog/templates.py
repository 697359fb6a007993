"""What files look like: the columns of each profile and group. Asked of catalog."""

from typing import Annotated

from pydantic import StringConstraints

from shared.contracts.base import Query, Shape


class ImportTemplateColumn(Shape):
    """A column of a file to import: its heading, whether files need it, what it means, and an example of a cell."""

    name: str
    required: bool
    meaning: str
    example: str


class ImportTemplate(Shape):
    """The columns of a profile's files of one group, in their order. `rows` are those of an example, cell by cell."""

    profile: str
    group: str = "products"
    columns: list[ImportTemplateColumn]
    rows: list[list[str]]


class GetImportTemplate(Query[ImportTemplate]):
    """The columns of one profile: crossdock, shopify, woocommerce, magento or supplier.

    `group` is `products`, or of the profile crossdock `prices`, `variants`, `categories`, `stock` or `orders`.
    Raises unknown_profile, unknown_group.
    """

    profile: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    group: Annotated[str, StringConstraints(max_length=100)] = "products"
