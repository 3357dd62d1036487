"""Files in svmlight format: the matrix scikit-learn reads, wherever blocks are cut."""

from __future__ import annotations

import bz2

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file, load_svmlight_file
from sklearn.linear_model import SGDClassifier

import streamlearn as sl
from streamlearn.chunk import Chunk
from streamlearn.errors import DataError, SourceError, UsageError
from streamlearn.source.text import lines
from streamlearn.testing import check_every_row_once

RNG = np.random.default_rng(0)
X = sparse.random(500, 40, 0.1, format="csr", random_state=RNG)
Y = RNG.integers(0, 2, 500) * 2.0 - 1


@pytest.fixture(params=[60, 1_000, 1 << 20])
def blocks(request, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", request.param)


def whole(data, rows=1_000_000):
    chunks = [
        chunk for part in data.fragments for chunk in data.read(part, data.features.names, rows)
    ]
    assert all(len(chunk) <= rows for chunk in chunks)
    return Chunk.concat(chunks)


@pytest.mark.parametrize("zero_based", [True, False])
@pytest.mark.parametrize("rows", [1_000_000, 3])
def test_the_matrix_is_that_of_scikit_learn(zero_based, rows, tmp_path, blocks):
    path = tmp_path / "a.svm"
    dump_svmlight_file(X, Y, str(path), zero_based=zero_based, comment="made\nby a test")
    expected, labels = load_svmlight_file(str(path))
    data = sl.scan(path)
    assert data.has_target
    assert data.target_field.type == pa.float64()
    assert (data.rows, len(data.features)) == expected.shape
    found = whole(data, rows)
    np.testing.assert_array_equal(found.rows, np.arange(500))
    np.testing.assert_array_equal(found.y, labels)
    assert (expected != found.X).nnz == 0
    assert found.X.has_sorted_indices


def test_columns_and_their_first_are_those_of_all_files(tmp_path, blocks):
    (tmp_path / "a.libsvm").write_text("1 1:0.5 7:2 # comment\n\n# nothing\n-1\n" * 20)
    (tmp_path / "b.libsvm.bz2").write_bytes(bz2.compress(b"1 9:0.5\n" * 20))
    data = sl.scan([tmp_path / "a.libsvm", tmp_path / "b.libsvm.bz2"])
    assert (data.rows, len(data.features)) == (60, 9)
    found = whole(data).X
    assert found[0].indices.tolist() == [0, 6]
    (tmp_path / "c.libsvm").write_text("1 0:0.5\n")
    files = [tmp_path / "a.libsvm", tmp_path / "b.libsvm.bz2", tmp_path / "c.libsvm"]
    data = sl.scan(files)
    assert len(data.features) == 10
    assert whole(data).X[0].indices.tolist() == [1, 7]


def test_lines_at_fault_are_listed_and_left_out(tmp_path, blocks):
    good = "1 1:0.5 7:2\n"
    text = good * 10 + "1 x:2\n" + good + "# c\n" + "1 7:2 3:1\n" + ">>>>>>> b\n" + good * 10
    (tmp_path / "a.svm").write_text(text)
    data = sl.scan(tmp_path / "a.svm")
    assert [fault.row for fault in data.source.faults] == [10, 12, 13]
    assert data.source.faults[0].text == "1 x:2"
    assert whole(data).rows.tolist() == [*range(10), 11, *range(14, 24)]
    (tmp_path / "b.svm").write_text("a,b\n1,2\n" * 10)
    with pytest.raises(DataError, match="label and pairs"):
        sl.scan(tmp_path / "b.svm")
    with pytest.raises(UsageError, match="svmlight files have theirs"):
        sl.scan(tmp_path / "a.svm", schema={"0": "int64"})


def test_a_model_learns_as_from_the_matrix(tmp_path, blocks):
    path = tmp_path / "a.svm"
    dump_svmlight_file(X, Y, str(path))
    matrix, labels = load_svmlight_file(str(path))
    found = sl.fit(SGDClassifier(random_state=0), sl.scan(path), batch_size=100).estimator
    expected = SGDClassifier(random_state=0)
    for start in range(0, 500, 100):
        part = slice(start, start + 100)
        expected.partial_fit(matrix[part], labels[part], classes=[-1, 1])
    np.testing.assert_array_equal(found.coef_, expected.coef_)


def test_an_index_beyond_reason_is_named_and_not_made_columns_of(tmp_path):
    (tmp_path / "a.svm").write_text("1 1:3\n0 2000000000:1\n")
    with pytest.raises(SourceError, match=r"a\.svm.*rows 0 to 1.*2,000,000,000"):
        sl.scan(tmp_path / "a.svm")


def test_every_row_comes_once_whatever_the_chunk_size(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 2_000)
    path = str(tmp_path / "a.svm")
    dump_svmlight_file(X, Y, path)
    check_every_row_once(sl.scan(path))
