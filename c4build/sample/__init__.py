"""A small WET file that hits every rule from both sides, with its lists; `generate` makes it."""
