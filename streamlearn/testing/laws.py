"""The laws of streamlearn, as checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block, Chunk
from streamlearn.learn.base import Accumulator
from streamlearn.prepare.compile import compile_transformer
from streamlearn.prepare.frame import to_frame
from streamlearn.run import fit
from streamlearn.score.base import Answers, Score
from streamlearn.source.dataset import Dataset
from streamlearn.testing.compare import assert_same_fit, assert_same_matrix
from streamlearn.testing.measure import measure

__all__ = [
    "check_budget_is_kept",
    "check_every_row_once",
    "check_kernel_equals_transform",
    "check_metric_merges",
    "check_same_answer",
    "check_same_bits",
    "check_statistics_merge",
]


def check_every_row_once(
    dataset: Dataset, chunk_sizes: Sequence[int] = (1, 7, 1_000, 1_000_000)
) -> None:
    """Law 4, reading: every row exactly once, in order, whatever the chunk size.

    Parameters
    ----------
    dataset : Dataset
        Without a condition on rows.
    chunk_sizes : sequence of int

    Raises
    ------
    AssertionError
        If rows are lost, repeated or out of order, a chunk is longer than asked for, or values
        depend on the chunk size.
    """
    first: Chunk | None = None
    for size in chunk_sizes:
        chunks = [
            chunk
            for fragment in dataset.fragments
            for chunk in dataset.read(fragment, dataset.features.names, size)
        ]
        assert all(0 < len(chunk) <= size for chunk in chunks), f"a chunk exceeds {size} rows"
        whole = Chunk.concat(chunks)
        expected = np.arange(dataset.rows)
        assert np.array_equal(whole.rows, expected), f"rows are not 0, 1, 2, ... at {size}"
        assert sum(fragment.rows for fragment in dataset.fragments) == len(whole)
        if first is None:
            first = whole
            continue
        _assert_same_block(first.X, whole.X)
        for one, other in ((first.y, whole.y), (first.weight, whole.weight)):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert np.array_equal(one, other), f"target or weight differ at chunk size {size}"


def _assert_same_block(one: Block, other: Block) -> None:
    if isinstance(one, pa.RecordBatch):
        same = to_frame(one).equals(to_frame(other)) and one.schema.equals(other.schema)
        assert same, "columns depend on the chunk size"
    elif hasattr(one, "indptr"):
        assert one.shape == other.shape, "the shape depends on the chunk size"
        for name in ("data", "indices", "indptr"):
            parts = (getattr(one, name), getattr(other, name))
            same = np.array_equal(*parts, equal_nan=name == "data")
            assert same, f"{name} depends on the chunk size"
    else:
        assert np.array_equal(one, other, equal_nan=True), "values depend on the chunk size"


def check_same_answer(
    estimator: Any,
    dataset: Dataset,
    X: Any,
    y: Any = None,
    *,
    rtol: float = 1e-12,
    **options: Any,
) -> Any:
    """Law 2: fitted attributes and transform equal those of the fit in memory.

    Parameters
    ----------
    estimator : transformer or pipeline of transformers
    dataset : Dataset
    X, y
        The same rows in memory, as scikit-learn would get them.
    rtol : float
        Relative tolerance for statistics that are sums.
    **options
        For `streamlearn.fit`.

    Returns
    -------
    The estimator fitted from chunks.
    """
    from sklearn.base import clone

    expected = clone(estimator).fit(X, y)
    found = fit(estimator, dataset, **options).estimator
    assert_same_fit(found, expected, rtol=rtol)
    assert_same_matrix(found.transform(X), expected.transform(X), rtol=max(rtol, 1e-12))
    return found


def check_same_bits(
    estimator: Any,
    dataset: Dataset,
    variations: Sequence[Mapping[str, Any]],
    **options: Any,
) -> Any:
    """Law 3: chunk size, memory budget and threads change no bit of the model.

    Parameters
    ----------
    variations : sequence of mappings
        Options of `streamlearn.fit` that may change nothing.
    **options
        Common to all.

    Returns
    -------
    The fitted estimator.
    """
    first = fit(estimator, dataset, **{**options, **variations[0]}).estimator
    for variation in variations[1:]:
        other = fit(estimator, dataset, **{**options, **variation}).estimator
        assert_same_fit(other, first, rtol=0.0, context=str(dict(variation)))
    return first


def check_statistics_merge(
    make: Callable[[], Accumulator],
    finish: Callable[[Accumulator], NDArray[Any]],
    blocks: Sequence[tuple[Block, Any, Any]],
    *,
    rtol: float = 1e-12,
) -> None:
    """Law 3, statistics: merging parts gives what all rows in one go give.

    Parameters
    ----------
    make : callable
        Returns an empty accumulator.
    finish : callable
        Returns an accumulator's statistics as an array.
    blocks : sequence of (X, y, sample_weight)
    """
    whole = make()
    for block in blocks:
        whole.update(*block)
    expected = finish(whole)
    for cut in range(len(blocks) + 1):
        left, right = make(), make()
        for block in blocks[:cut]:
            left.update(*block)
        for block in blocks[cut:]:
            right.update(*block)
        left.merge(right)
        np.testing.assert_allclose(finish(left), expected, rtol=rtol, atol=0, equal_nan=True)


def check_kernel_equals_transform(estimator: Any, block: Block, schema: Any = None) -> None:
    """Law 2, kernels: equal to the transform they came from, to the bit; no input is changed."""
    kernel = compile_transformer(estimator, schema)
    named = isinstance(block, pa.RecordBatch)
    X = to_frame(block) if named else block.copy()
    before = to_frame(block).copy() if named else block.copy()
    found, expected = kernel.apply(block), estimator.transform(X)
    assert_same_matrix(found, expected, rtol=0.0)
    after = to_frame(block) if named else block
    unchanged = before.equals(after) if named else np.array_equal(before, after, equal_nan=True)
    assert unchanged, "the kernel changed its input"


def check_metric_merges(
    make: Callable[[], Score],
    y: NDArray[Any],
    answers: Answers,
    expected: Mapping[str, float],
    *,
    weight: NDArray[np.float64] | None = None,
    cuts: Sequence[Sequence[int]] = ((), (1,), (0, 3, 3, 10)),
    rtol: float = 1e-12,
) -> None:
    """Law 2, metrics: equal to their value on the whole, however rows are cut and merged.

    Parameters
    ----------
    expected : mapping of str to float
        Values of scikit-learn on all rows.
    cuts : sequence of sequences of int
        Where to cut the rows.
    """
    for cut in cuts:
        total = make()
        bounds = [0, *(min(at, len(y)) for at in cut), len(y)]
        for start, stop in pairwise(bounds):
            part = make()
            part.update(
                y[start:stop],
                answers.take(slice(start, stop)),
                None if weight is None else weight[start:stop],
            )
            total.merge(part)
        found = total.value()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=rtol, atol=1e-15, err_msg=name)


_REPORT = """
import json
memory = result.memory
print(json.dumps({
    "measured_bytes": memory.measured_bytes,
    "projected_bytes": memory.projected_bytes,
    "reserved_bytes": memory.reserved_bytes,
    "limit_bytes": memory.limit_bytes,
}))
"""


def check_budget_is_kept(
    code: str, limit_bytes: int, *, timeout_s: float = 600, kernel_limit: int | None = None
) -> dict[str, Any]:
    """Law 1: peak resident memory of a fresh process stays within the budget.

    Parameters
    ----------
    code : str
        Python that ends with a ``result`` (of `streamlearn.fit` or `evaluate`) in scope.
    limit_bytes : int
        The budget that the code sets.
    kernel_limit : int, optional
        Bytes of a memory cgroup to run it in.

    Returns
    -------
    dict
        ``peak_bytes`` as seen from outside the process, ``measured_bytes`` and
        ``projected_bytes`` as the result says, and ``reserved_bytes``.
    """
    finished = measure(code + _REPORT, timeout_s=timeout_s, kernel_limit=kernel_limit)
    assert not finished.killed, "killed by the kernel"
    assert finished.exit_code == 0, finished.errors[-4000:]
    found = {**finished.last, "peak_bytes": finished.peak_bytes}
    for name in ("peak_bytes", "measured_bytes"):
        assert found[name] <= limit_bytes, f"{name} is {found[name]:,} of {limit_bytes:,}: {found}"
    return found
