"""A file exchange says nothing by itself: files are found when a feed looks, as often as its schedule says."""
