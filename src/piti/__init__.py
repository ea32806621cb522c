"""PITI (arXiv 2205.12952), regenerated end to end."""

__version__ = "0.1.0"
