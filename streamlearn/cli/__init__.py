"""The command line: one file per command; commands parse, call, render."""
