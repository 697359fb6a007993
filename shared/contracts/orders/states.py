"""The one table of an order's life. Everything that moves an order asks it; the documentation is made from it."""

from collections.abc import Mapping

from shared.contracts.orders.shapes import OrderStatus

MEANINGS: Mapping[OrderStatus, str] = {
    "pending": "Waiting for its payment. Its stock is held until the payment is due.",
    "processing": "Paid, or nothing to pay. Its goods can leave.",
    "partly_shipped": "Some of its goods have left.",
    "complete": "All of its goods have left.",
    "on_hold": "Stopped: by a person, or because stock or payment needs one. It goes on from where it was.",
    "cancelled": "Ended before anything left. Its stock is free again, and money goes back.",
    "returned": "All of its goods came back.",
}

# Where an order can go from each status, by what.
MOVES: Mapping[OrderStatus, Mapping[OrderStatus, str]] = {
    "pending": {
        "processing": "its payment arrived",
        "on_hold": "a person holds it, or its payment or stock is not as it should be",
        "cancelled": "a person cancels it, or its payment did not arrive in time",
    },
    "processing": {
        "partly_shipped": "a shipment left with some of its goods",
        "complete": "a shipment left with the last of its goods",
        "on_hold": "a person holds it, or its stock or payment is gone",
        "cancelled": "a person cancels it",
    },
    "partly_shipped": {
        "complete": "a shipment left with the last of its goods, or the rest was cancelled",
        "on_hold": "a person holds it, or its payment is not as it should be",
    },
    "complete": {"returned": "the last of its goods came back"},
    "on_hold": {
        "pending": "it is released, and was waiting for its payment",
        "processing": "it is released, or the payment it waited for arrived",
        "partly_shipped": "it is released, and some of its goods had left",
        "complete": "it is released, and all of its goods had left",
        "cancelled": "a person cancels it, and nothing had left",
    },
    "cancelled": {},
    "returned": {},
}


def as_markdown() -> str:
    """The table as documentation shows it."""
    rows = ["| status | meaning | goes on to |", "|---|---|---|"]
    for status, meaning in MEANINGS.items():
        moves = "; ".join(f"**{after}**: {why}" for after, why in MOVES[status].items())
        rows.append(f"| {status} | {meaning} | {moves or 'nothing any more'} |")
    return "\n".join(rows)
