"""The laws that ship, run on an example of every transformer that is fitted from chunks."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

import streamlearn as sl
from benchmarks.catalogue import cases, make_data, make_target
from streamlearn.learn.registry import Exact, find_recipe
from streamlearn.testing import check_same_bits, check_statistics_merge
from streamlearn.testing.compare import assert_same_fit

CASES = cases()
ROWS = 900
ONE_PASS = [
    name
    for name, case in CASES.items()
    if isinstance(recipe := find_recipe(case.estimator), Exact)
    and not hasattr(recipe.make(case.estimator), "refine")
]


def pieces(case):
    """Return the rows as tables of uneven sizes, the target with them."""
    X, y = make_data(case.data, ROWS), make_target(case.target, ROWS)
    if not isinstance(X, pa.Table):
        X = pa.Table.from_arrays([*X.T], names=[f"x{index}" for index in range(X.shape[1])])
    if y is not None:
        X = X.append_column("y", pa.array(y))
    cuts = [0, 1, 8, 400, 401, ROWS]
    return [X.slice(start, stop - start) for start, stop in itertools.pairwise(cuts)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(CASES))
def test_no_bit_depends_on_chunks_and_threads(name):
    case = CASES[name]
    data = sl.scan(pieces(case), target="y" if case.target else None)
    variations = [
        {"chunk_size": 1_000, "threads": 1},
        {"chunk_size": 7, "threads": 3},
        {"chunk_size": 300, "threads": 2},
    ]
    options = {"batch_size": 200} if case.by_hand else {}
    check_same_bits(case.estimator, data, variations, **options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(ONE_PASS))
def test_parts_merge_to_what_all_rows_give(name):
    case = CASES[name]
    recipe = find_recipe(case.estimator)
    X, y = make_data(case.data, ROWS), make_target(case.target, ROWS)
    if case.data == "texts":
        X = X["text"].to_pandas()
    elif isinstance(X, pa.Table):
        X = X.combine_chunks().to_batches()[0]
    labels = None if y is None else np.asarray(y, dtype=object if isinstance(y[0], list) else None)
    blocks = []
    for start, stop in itertools.pairwise([0, 300, 301, 700, ROWS]):
        part = X.slice(start, stop - start) if isinstance(X, pa.RecordBatch) else X[start:stop]
        blocks.append((part, None if labels is None else labels[start:stop], None))
    sample = X.slice(0, 8).to_pandas() if isinstance(X, pa.RecordBatch) else X[:8]

    def finish(state):
        from sklearn.base import clone

        estimator = clone(case.estimator)
        state.finish(estimator, sample)
        found = [np.zeros(0)]
        for key, value in sorted(vars(estimator).items()):
            if key.endswith("_") and isinstance(value, np.ndarray) and value.dtype.kind in "fi":
                found.append(np.abs(value).ravel() if case.any_sign else value.ravel())
        return np.concatenate(found)

    if name == "Nystroem":
        pytest.skip("told row numbers; merges are in test_parity_random.py")
    if name == "TargetEncoder":
        pytest.skip("told row numbers; merges are in test_parity_target.py")
    check_statistics_merge(lambda: recipe.make(case.estimator), finish, blocks, rtol=1e-8)


def test_fits_that_differ_are_told_apart():
    from sklearn.preprocessing import StandardScaler

    one = StandardScaler().fit(np.eye(3))
    other = StandardScaler().fit(np.eye(3) * 2)
    with pytest.raises(AssertionError):
        assert_same_fit(one, other, rtol=0.0)
