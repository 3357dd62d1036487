"""Arrays and .npy files."""

from __future__ import annotations

import os

import numpy as np
import pytest
from sklearn.linear_model import SGDRegressor

import streamlearn as sl
from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.testing import check_every_row_once


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "?"])
def test_every_row_is_read_once_from_memory_and_from_a_file(tmp_path, order, dtype):
    X = np.asarray(np.arange(1200).reshape(400, 3) % 7, dtype=dtype, order=order)
    y = np.arange(400)
    X.flags.writeable = False
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    sources = [sl.scan((X, y)), sl.scan(tmp_path / "X.npy", target=str(tmp_path / "y.npy"))]
    for data in sources:
        check_every_row_once(data)
        chunk = next(iter(data.read(data.fragments[0], data.features.names, 50)))
        assert np.array_equal(chunk.X, X[:50])
        assert np.array_equal(chunk.y, y[:50])


def test_a_file_larger_than_a_fragment(tmp_path):
    X = np.arange(300_000 * 2, dtype=np.float32).reshape(-1, 2)
    np.save(tmp_path / "X.npy", X)
    data = sl.scan(tmp_path / "X.npy")
    assert len(data.fragments) == 3
    read = [c.X for f in data.fragments for c in data.read(f, data.features.names, 40_000)]
    assert np.array_equal(np.concatenate(read), X)


@pytest.mark.parametrize(
    ("data", "target", "match"),
    [
        (np.zeros(3), None, "shape"),
        (np.zeros((3, 2)), np.zeros(4), "one value a row"),
        (np.array([["a"]]), None, "numbers"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(data, target, match):
    with pytest.raises(SchemaError, match=match):
        sl.scan(data, target=target)


def test_a_broken_npy_is_named(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, np.zeros((10, 10)))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceError, match="X.npy"):
        sl.scan(path)


def test_a_column_name_is_no_target_of_an_array():
    with pytest.raises(UsageError, match="no named columns"):
        sl.scan(np.zeros((3, 2)), target="y")


def test_what_cannot_be_scanned_is_named():
    with pytest.raises(UsageError, match="dict"):
        sl.scan({"x": [1]})


@pytest.mark.parametrize("change", ["cut", "rewritten", "gone"])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_a_mapped_file_that_changes_is_an_error_and_not_the_end(tmp_path, change, kind):
    X = np.random.default_rng(0).normal(size=(50_000, 5))
    path = tmp_path / f"a.{kind}"
    np.save(path, X) if kind == "npy" else np.savez(path, X=X)
    data = sl.scan(path)
    if change == "cut":
        os.truncate(path, 20_000)
    elif change == "gone":
        path.unlink()
    else:
        os.utime(path, ns=(0, 2**60))
    with pytest.raises(SourceError, match=r"changed since|has gone"):
        list(data.read(data.fragments[-1], data.features.names, 1_000))


def test_a_mask_is_not_ignored():
    masked = np.ma.masked_equal(np.array([[1.0, -999], [3, 4]]), -999)
    with pytest.raises(UsageError, match="masked array.*filled"):
        sl.scan(masked)
    assert sl.scan(np.ma.array([[1.0, 2.0]])).rows == 1


def test_columns_of_a_matrix_are_taken_by_position():
    from scipy import sparse

    X = np.random.default_rng(0).normal(size=(500, 6))
    for form in (X, sparse.csr_matrix(X)):
        data = sl.scan((form, X[:, 0]), features=[4, "0"])
        (chunk,) = [c for f in data.fragments for c in data.read(f, data.features.names, 1_000)]
        found = chunk.X.toarray() if sparse.issparse(chunk.X) else chunk.X
        np.testing.assert_array_equal(found, X[:, [4, 0]])
    result = sl.fit(SGDRegressor(random_state=0), data)
    assert result.estimator.n_features_in_ == 2
    assert sl.evaluate(result, data).rows.scored == 500
    for wrong in ([6], ["a"], [1, 1]):
        with pytest.raises(SchemaError, match="positions from 0 to 5"):
            sl.scan(X, features=wrong)


def test_columns_that_are_not_taken_have_no_say_in_which_rows_are(tmp_path):
    import zarr

    X = np.random.default_rng(0).normal(size=(500, 6))
    X[3, 0], X[7, 5], X[9, 2] = np.nan, np.inf, np.nan
    store = zarr.create_group(tmp_path / "a.zarr")
    for name, values in (("X", X), ("y", X[:, 1])):
        chunks = (100, *values.shape[1:])
        store.create_array(name, shape=values.shape, chunks=chunks, dtype="f8")[...] = values
    for form in ((X, X[:, 1]), tmp_path / "a.zarr"):
        data = sl.scan(form, features=[1, 2], drop_missing=True)
        rows = sl.fit(SGDRegressor(), data, on_error="quarantine").rows
        assert (rows.learned, rows.missing, rows.rejected) == (499, 1, 0)
