"""Files of text: CSV, JSON lines, svmlight, in blocks cut at the ends of records."""
