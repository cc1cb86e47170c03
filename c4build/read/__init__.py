"""Bytes of WET files to pages: where inputs lie, gzip with its damages, records."""
