"""Quotes, orders, customers."""
