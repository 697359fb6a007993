"""The one table of a shipment's life. Everything that moves a shipment asks it; the documentation is made from it."""

from collections.abc import Mapping

from shared.contracts.inventory.shipments import ShipmentState

# Each state: what it means, and where a shipment can go from it, by what.
MEANINGS: Mapping[ShipmentState, str] = {
    "picked": "Its goods are taken from their shelves and bound to it: nobody else ships them.",
    "packed": "Its goods lie in their packages, ready for the carrier.",
    "shipped": "It left: its goods are no longer in stock.",
    "delivered": "It arrived.",
    "returned": "All of its goods came back.",
    "cancelled": "It was given up before it left: its goods can be shipped again.",
}

MOVES: Mapping[ShipmentState, Mapping[ShipmentState, str]] = {
    "picked": {
        "packed": "somebody packs it",
        "shipped": "it leaves",
        "cancelled": "somebody gives it up, or its order is cancelled",
    },
    "packed": {"shipped": "it leaves", "cancelled": "somebody gives it up, or its order is cancelled"},
    "shipped": {"delivered": "it arrives", "returned": "the last of its goods come back"},
    "delivered": {"returned": "the last of its goods come back"},
    "returned": {},
    "cancelled": {},
}


def as_markdown() -> str:
    """The table as documentation shows it."""
    rows = ["| state | meaning | goes on to |", "|---|---|---|"]
    for state, meaning in MEANINGS.items():
        moves = "; ".join(f"**{after}**: {why}" for after, why in MOVES[state].items())
        rows.append(f"| {state} | {meaning} | {moves} |")
    return "\n".join(rows)
