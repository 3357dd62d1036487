"""Chunks on the move, inside the budget."""
