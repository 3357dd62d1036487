"""Parquet files: their footers, statistics and pages, read with memory that stays flat."""
