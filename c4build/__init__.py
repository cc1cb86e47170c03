"""C4 and its variants from Common Crawl WET files."""

__version__ = "0.1.0"
