"""A zarr store of X (rows, 28) float32 and y (rows,): scale, and learn a linear classifier."""
