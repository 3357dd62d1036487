"""Columns computed from others, conditions on rows, and what follows from them."""
