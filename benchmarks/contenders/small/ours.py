"""streamlearn, called several times."""

from benchmarks.contenders.dense.ours import coefficients, predict, run

__all__ = ["coefficients", "predict", "run"]

REPEAT = 15
