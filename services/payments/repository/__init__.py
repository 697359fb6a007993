"""Queries of payments. Row-level security confines each to its tenant."""
