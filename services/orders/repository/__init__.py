"""Queries of orders, by subject. Row-level security confines each to its tenant."""
