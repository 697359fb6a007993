"""Whose format a file is in: one module per profile, and the registry that recognises them by their headings."""
