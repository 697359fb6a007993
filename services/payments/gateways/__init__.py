"""Adapters to payment providers: what their callbacks mean, and whether they are theirs. No state, no tables."""
