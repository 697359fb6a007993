"""Offers: what a shop sells, found and shown; and the indexes they are found in."""
