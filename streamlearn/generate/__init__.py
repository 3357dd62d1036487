"""Seeded synthetic data sets of any length, written to parquet in flat memory."""

from streamlearn.generate.dense import generate_dense
from streamlearn.generate.taxi import generate_taxi

__all__ = ["generate_dense", "generate_taxi"]
