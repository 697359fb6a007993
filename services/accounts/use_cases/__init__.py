"""What accounts does, by subject."""
