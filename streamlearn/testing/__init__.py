"""The laws as named checks, for our own tests and for others' sources, fitters and metrics.

Each check raises AssertionError with what it found; see `streamlearn.testing.laws`.
"""

from streamlearn.testing.laws import (
    check_budget_is_kept,
    check_every_row_once,
    check_kernel_equals_transform,
    check_metric_merges,
    check_same_answer,
    check_same_bits,
    check_statistics_merge,
)
from streamlearn.testing.measure import Measured, measure, why_no_kernel_limit
from streamlearn.testing.metrics import check_metric

__all__ = [
    "Measured",
    "check_budget_is_kept",
    "check_every_row_once",
    "check_kernel_equals_transform",
    "check_metric",
    "check_metric_merges",
    "check_same_answer",
    "check_same_bits",
    "check_statistics_merge",
    "measure",
    "why_no_kernel_limit",
]
