"""What catalog does, by subject."""
