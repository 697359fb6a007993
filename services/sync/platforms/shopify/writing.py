"""What of a record is to be written to Shopify at all."""

from collections.abc import Mapping

from services.sync.platforms import writing
from services.sync.platforms.shopify import mapping
from services.sync.platforms.writing import Compared


def compare(wanted: Mapping[str, object], expected: Mapping[str, object], current: Mapping[str, object]) -> Compared:
    """As Shopify keeps the fields; it has no compare-and-set for products."""
    return writing.compare(mapping.kept(wanted), mapping.kept(expected), current)
