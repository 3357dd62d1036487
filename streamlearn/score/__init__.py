"""Streaming metrics: ``update``, ``merge``, ``value``."""
