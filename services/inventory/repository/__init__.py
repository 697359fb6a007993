"""Queries of inventory, all in sets, by subject. Row-level security confines each to its tenant."""
