"""``.npz`` archives: dense and sparse, stored and compressed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import SGDClassifier

import streamlearn as sl
from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.testing import check_every_row_once
from streamlearn.testing.measure import measure

ROWS = 3_000
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 5))
Y = (X[:, 0] > 0).astype(int)
W = RNG.random(ROWS) + 0.5


def values(data, columns="X"):
    chunks = [c for f in data.fragments for c in data.read(f, data.features.names, 700)]
    parts = [getattr(chunk, columns) for chunk in chunks]
    return parts if parts[0] is None else np.concatenate(parts)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "compressed"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_members_are_found_by_their_names(tmp_path, save, order):
    path = tmp_path / "a.npz"
    save(path, y=Y, X=np.asarray(X, order=order), sample_weight=W, labels=Y.astype(str))
    data = sl.scan(path)
    check_every_row_once(data)
    np.testing.assert_array_equal(values(data), X)
    np.testing.assert_array_equal(values(data, "y"), Y)
    np.testing.assert_array_equal(values(data, "weight"), W)
    named = sl.scan(path, target="labels", weight="y")
    np.testing.assert_array_equal(values(named, "y"), Y.astype(str))
    np.testing.assert_array_equal(values(named, "weight"), Y)
    found = sl.fit(SGDClassifier(random_state=0), data).estimator
    expected = sl.fit(SGDClassifier(random_state=0), sl.scan((X, Y), weight=W)).estimator
    np.testing.assert_array_equal(found.coef_, expected.coef_)


def test_a_single_array_is_the_matrix(tmp_path):
    np.savez(tmp_path / "a.npz", X)
    np.save(tmp_path / "y.npy", Y)
    for data in (
        sl.scan(tmp_path / "a.npz"),
        sl.scan(tmp_path / "a.npz", target=Y),
        sl.scan((tmp_path / "a.npz", Y)),
        sl.scan(tmp_path / "a.npz", target=str(tmp_path / "y.npy")),
    ):
        check_every_row_once(data)
        np.testing.assert_array_equal(values(data), X)
    np.savez(tmp_path / "b.npz", data=X, labels=Y)
    np.testing.assert_array_equal(values(sl.scan(tmp_path / "b.npz", target="labels"), "y"), Y)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_sparse_matrix_is_read_as_one(tmp_path, compressed):
    given = sparse.random(ROWS, 40, 0.1, format="csr", random_state=0)
    sparse.save_npz(tmp_path / "a.npz", given, compressed=compressed)
    np.save(tmp_path / "y.npy", Y)
    data = sl.scan(tmp_path / "a.npz", target=str(tmp_path / "y.npy"))
    check_every_row_once(data)
    chunks = [c for f in data.fragments for c in data.read(f, data.features.names, 501)]
    whole = sparse.vstack([chunk.X for chunk in chunks], format="csr")
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(given, name))
    found = sl.fit(SGDClassifier(random_state=0), sl.scan((tmp_path / "a.npz", Y))).estimator
    expected = sl.fit(SGDClassifier(random_state=0), (given, Y)).estimator
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    sparse.save_npz(tmp_path / "c.npz", given.tocsc(), compressed=compressed)
    with pytest.raises(UsageError, match=r"c\.npz.*\.tocsr\(\)"):
        sl.scan(tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("members", "target", "error", "match"),
    [
        ({"a": X, "b": X}, None, UsageError, "a, b"),
        ({"X": X, "y": Y}, "labels", SchemaError, "'labels' is not one of its arrays.*X, y"),
        ({"X": X, "y": Y[:-1]}, None, SchemaError, r"a\.npz: the target must have shape \(3000,\)"),
        ({"X": Y}, None, SchemaError, "reshape"),
        ({"X": X.astype(str)}, None, SchemaError, "numbers"),
        ({"X": X.astype(object)}, None, SchemaError, "Python objects"),
        ({}, None, UsageError, "none"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, members, target, error, match):
    np.savez(tmp_path / "a.npz", **members)
    with pytest.raises(error, match=match):
        sl.scan(tmp_path / "a.npz", target=target)


def test_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(SourceError, match="a.npz"):
        sl.scan(path)
    np.savez_compressed(path, X=X)
    whole = path.read_bytes()
    path.write_bytes(whole[:500])
    with pytest.raises(SourceError, match="a.npz"):
        sl.scan(path)
    path.write_bytes(whole[:200] + b"\0" * 40 + whole[240:])
    with pytest.raises(SourceError, match="a.npz: 'X' cannot be read"):
        sl.scan(path)
    with pytest.raises(UsageError, match="types of its own"):
        sl.scan(path, schema={"x": "int64"})


def test_empty_and_single_rows(tmp_path):
    for rows in (0, 1):
        np.savez(tmp_path / "a.npz", X=X[:rows], y=Y[:rows])
        assert sl.scan(tmp_path / "a.npz").rows == rows
    check_every_row_once(sl.scan(tmp_path / "a.npz"))


_READ = """
import json, sys
import numpy as np, scipy.sparse, streamlearn as sl
from streamlearn.stream.probe import make_probe
import streamlearn.source.scan
target = np.zeros({rows})
target[:] = 1
small = sl.scan({small!r})
list(small.read(small.fragments[0], small.features.names, 10))
probe = make_probe()
before = probe.rss()
data = sl.scan({path!r}, target=target)
highest = probe.rss()
for fragment in data.fragments:
    for chunk in data.read(fragment, data.features.names, 10_000):
        highest = max(highest, probe.rss())
print(json.dumps({{"grown": highest - before, "cost": data.cost(data.features.names).fixed_bytes
    + 10_000 * data.cost(data.features.names).row_bytes}}))
"""


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_mapped_members_are_given_back(tmp_path, kind):
    path = str(tmp_path / "a.npz")
    small = str(tmp_path / "b.npz")
    rows = 400_000
    if kind == "dense":
        np.savez(path, X=np.ones((rows, 32)))
        np.savez(small, X=np.ones((10, 32)))
    else:
        shape = (rows, 1_000)
        indices = np.tile(np.arange(16, dtype=np.int32), rows)
        ends = np.arange(0, 16 * rows + 1, 16, dtype=np.int32)
        given = sparse.csr_matrix((np.ones(16 * rows), indices, ends), shape=shape)
        sparse.save_npz(path, given, compressed=False)
        sparse.save_npz(small, given[:10], compressed=False)
    found = measure(_READ.format(path=path, small=small, rows=rows), timeout_s=60)
    assert found.exit_code == 0, found.errors
    assert found.last["grown"] <= found.last["cost"], json.dumps(found.last)


def test_a_flipped_bit_in_a_member_stored_as_it_is_is_an_error(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.random.default_rng(0).normal(size=(500, 3)))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[5_000] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(SourceError, match="'X' has not the checksum"):
        sl.scan(tmp_path / "a.npz")
