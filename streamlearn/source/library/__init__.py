"""What other libraries hold: arrays, tables, matrices, datasets and streams."""
