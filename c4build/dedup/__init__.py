"""Keys in arrays: the newest copy of a URL, repeated lines and spans. Pure NumPy; the flow is in `corpus`."""
