"""scikit-learn in memory, called several times."""

from benchmarks.contenders.dense.memory import coefficients, predict, run

__all__ = ["coefficients", "predict", "run"]

REPEAT = 15
