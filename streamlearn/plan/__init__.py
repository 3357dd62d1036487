"""What is read, how often, in which order, and whether it fits: arithmetic, no reading."""
