"""The groups of files that orders takes."""

from services.orders.use_cases import customer_files
from shared.imports.groups import Importing

IMPORTING = Importing("orders", {customer_files.GROUP.name: customer_files.GROUP})
