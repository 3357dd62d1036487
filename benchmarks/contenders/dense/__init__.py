"""28 float32 columns: scale, and learn a linear classifier by SGD."""
