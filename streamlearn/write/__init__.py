"""Rows written to files and stores, in flat memory."""
