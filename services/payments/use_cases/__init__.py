"""What payments does, by subject."""
