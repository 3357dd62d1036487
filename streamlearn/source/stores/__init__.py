"""Files by their paths, on the disk or behind a URL."""
