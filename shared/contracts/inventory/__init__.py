"""Fulfilment centres, stock, reservations, shipments."""
