"""The groups of files that orders takes."""

from services.orders.use_cases import customer_files, order_files
from shared.imports.groups import Importing

IMPORTING = Importing("orders", {group.name: group for group in (customer_files.GROUP, order_files.GROUP)})
