"""Streamlearn beside the ways people do it today; see ``python -m benchmarks --help``."""
