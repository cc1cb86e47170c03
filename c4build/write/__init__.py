"""Examples to files that other programs read: shards, their metadata, and renames that make them appear whole."""
