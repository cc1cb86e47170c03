"""A small Wikipedia dump and a few books, for the demo; `generate` makes them."""
