"""What of a record is to be written to PrestaShop at all."""

from collections.abc import Mapping

from services.sync.platforms import writing
from services.sync.platforms.prestashop import mapping
from services.sync.platforms.writing import Compared


def compare(wanted: Mapping[str, object], expected: Mapping[str, object], current: Mapping[str, object]) -> Compared:
    """As PrestaShop keeps the fields; it has no compare-and-set, and moves its clock for a write of the same."""
    return writing.compare(mapping.kept(wanted), mapping.kept(expected), current)
