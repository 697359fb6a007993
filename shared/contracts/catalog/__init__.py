"""Products, variants, categories, prices, and the files they come in."""
