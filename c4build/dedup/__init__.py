"""Keys in arrays: the newest copy of a URL, repeated lines and spans, in NumPy; the flow is in `corpus`."""
