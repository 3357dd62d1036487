"""Sparse matrices side by side, built by rows and never sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Slots", "stack_csr", "stack_slots"]

Slots = tuple[NDArray[np.int32], NDArray[Any] | None, int, np.dtype[Any]]
"""Columns that rows may have a value in, values (None: ones), columns in all, and dtype."""


def stack_slots(parts: Sequence[Slots], rows: int) -> Any:
    """Build a CSR matrix from one table of slots: (row, slot) -> column, value.

    A dense part fills a slot per column, a one-hot part a slot per encoded column (-1 where the
    row has none), so that rows come out sorted without sorting; zeros are left out, as scipy
    leaves them out.
    """
    from scipy import sparse

    slots = sum(positions.shape[-1] for positions, _, _, _ in parts)
    dtype = np.result_type(*(kind for _, _, _, kind in parts))
    columns = np.empty((rows, slots), dtype=np.int32)
    data = np.ones((rows, slots), dtype=dtype)
    absent: list[tuple[slice, NDArray[np.bool_]]] = []
    slot = offset = 0
    for positions, values, width, _ in parts:
        here = slice(slot, slot + positions.shape[-1])
        if values is not None:
            data[:, here] = values
            # Sums of zeros and ones are the fastest question NumPy answers.
            if np.count_nonzero(values) < values.size:
                absent.append((here, values == 0))
        elif positions.size and positions.min() < 0:
            absent.append((here, positions < 0))
        np.add(positions, offset, out=columns[:, here])
        slot, offset = here.stop, offset + width
    if not absent:
        indptr = np.arange(0, rows * slots + 1, max(1, slots), dtype=np.int32)
        found = (data.ravel(), columns.ravel(), indptr)
    else:
        present = np.ones((rows, slots), dtype=bool)
        filled = np.full(rows, slots)
        for here, gaps in absent:
            np.logical_not(gaps, out=present[:, here])
            # Gaps are few, and sums along short rows are slow.
            filled -= np.bincount(np.flatnonzero(gaps) // gaps.shape[1], minlength=rows)
        indptr = np.zeros(rows + 1, dtype=np.int32)
        np.cumsum(filled, out=indptr[1:])
        found = (data[present], columns[present], indptr)
    return sparse.csr_matrix(found, shape=(rows, offset))


def stack_csr(parts: Sequence[Any]) -> Any:
    """Put CSR matrices side by side: each row's values go where the rows before and parts end.

    Equal to `scipy.sparse.hstack`, which goes by way of coordinates and sorts.

    Examples
    --------
    >>> from scipy import sparse
    >>> one, two = sparse.csr_matrix([[1, 0], [0, 2]]), sparse.csr_matrix([[0], [3]])
    >>> stack_csr([one, two]).toarray().tolist()
    [[1, 0, 0], [0, 2, 3]]
    """
    from scipy import sparse

    if len(parts) == 1:
        return parts[0]
    rows = parts[0].shape[0]
    counts = [np.diff(part.indptr).astype(np.int64) for part in parts]
    indptr = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.sum(counts, axis=0), out=indptr[1:])
    data = np.empty(indptr[-1], dtype=np.result_type(*(part.dtype for part in parts)))
    width = sum(part.shape[1] for part in parts)
    kind = np.int32 if max(width, int(indptr[-1])) < 2**31 else np.int64
    indices = np.empty(indptr[-1], dtype=kind)
    start, offset = indptr[:-1].copy(), 0
    for part, count in zip(parts, counts, strict=True):
        place = np.repeat(start - part.indptr[:-1], count)
        place += np.arange(len(place))
        data[place] = part.data
        indices[place] = part.indices
        indices[place] += offset
        start += count
        offset += part.shape[1]
    return sparse.csr_matrix((data, indices, indptr.astype(kind)), shape=(rows, width))
