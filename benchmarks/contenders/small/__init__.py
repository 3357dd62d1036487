"""Ten thousand rows, end to end in one process, after import."""
