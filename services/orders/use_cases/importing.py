"""The groups of files that orders takes."""

from services.orders.use_cases import customer_files, customer_undoing, order_files
from shared.imports.groups import Importing
from shared.imports.images import undoing

IMPORTING = Importing(
    "orders",
    {group.name: group for group in (customer_files.GROUP, order_files.GROUP)},
    undoing({customer_undoing.PART: customer_undoing.ImagedCustomers}),
    keeps_images=True,
)
