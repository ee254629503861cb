"""Values that all processes share, under a namespace and a key; the last write wins."""
