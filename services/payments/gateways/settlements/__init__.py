"""Settlement files: what a provider paid out, as it writes it into a file of lines."""
