"""The layouts of settlement files that are read, by name."""

from collections.abc import Mapping

from services.payments.errors import InvalidSettlementFile, UnknownSettlementLayout
from services.payments.gateways.settlements.adyen import AdyenReport
from services.payments.gateways.settlements.base import Layout, Table, open_table
from services.payments.gateways.settlements.paypal import PayPalReport
from services.payments.gateways.settlements.plain import PlainFile
from services.payments.gateways.settlements.stripe import StripeReport

_ALL: tuple[Layout, ...] = (StripeReport(), AdyenReport(), PayPalReport(), PlainFile())
LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in _ALL}


def get_layout(name: str) -> Layout:
    """Raises UnknownSettlementLayout."""
    try:
        return LAYOUTS[name]
    except KeyError:
        names = ", ".join(LAYOUTS)
        raise UnknownSettlementLayout(f"There is no layout '{name[:100]}'; there is: {names}.") from None


def opened(layout: Layout, content: bytes) -> Table:
    """A file of this layout. Raises InvalidSettlementFile for one that is not."""
    table = open_table(content, "CH" if layout.name == "paypal" else None)
    missing = [heading for heading in layout.needed if heading not in table.headings]
    if missing:
        raise InvalidSettlementFile(f"A file of the layout '{layout.name}' has the columns: {', '.join(missing)}.")
    return table
