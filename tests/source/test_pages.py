"""Pages too large to hold, thousands of columns, texts that grow: read all the same."""

from __future__ import annotations

import itertools
import os
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamlearn import scan
from streamlearn.errors import SchemaError
from streamlearn.source.parquet import source as parquet
from streamlearn.source.parquet.pages import page_sizes
from streamlearn.source.parquet.spool import spooled
from streamlearn.testing import check_every_row_once


def chunk_span(path, column):
    found = pq.read_metadata(path).row_group(0).column(column)
    start = min(at for at in (found.dictionary_page_offset, found.data_page_offset) if at)
    return start, start + found.total_compressed_size


def sizes_of(path, column=0):
    handle = os.open(path, os.O_RDONLY)
    try:
        return page_sizes(partial(os.pread, handle), *chunk_span(path, column))
    finally:
        os.close(handle)


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "none"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("statistics", [True, False])
def test_page_headers_tell_the_sizes_of_pages(tmp_path, compression, version, statistics):
    path = tmp_path / "a.parquet"
    values = np.random.default_rng(0).normal(size=100_000)
    pq.write_table(
        pa.table({"x": values}),
        path,
        compression=compression,
        data_page_version=version,
        write_statistics=statistics,
        use_dictionary=False,
        data_page_size=1 << 30,
        write_batch_size=1 << 30,
        **({"max_rows_per_page": 1 << 30} if pa.__version__ >= "24" else {}),
    )
    found = sizes_of(path)
    assert 800_000 <= found.decoded < 820_000
    assert found.dictionary == 0


def test_a_dictionary_is_told_apart_and_small_pages_are_small(tmp_path):
    path = tmp_path / "a.parquet"
    words = np.array([f"word {at:04}" for at in range(1_000)])
    many = words[np.random.default_rng(0).integers(0, 1_000, 200_000)]
    pq.write_table(pa.table({"w": many}), path, data_page_size=10_000)
    found = sizes_of(path)
    assert 10_000 < found.dictionary < 20_000
    assert found.decoded < 40_000


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=400))
def test_bytes_that_are_no_page_header_are_no_crash(data):
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    handle = os.memfd_create("page")
    try:
        os.write(handle, data)
        found = page_sizes(partial(os.pread, handle), 0, len(data))
        assert found is None or found.decoded >= 0
    finally:
        os.close(handle)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 60),
    cuts=st.lists(st.lists(st.integers(0, 60), max_size=4), min_size=1, max_size=3),
    chunk=st.integers(1, 70),
)
def test_spooled_columns_come_out_side_by_side(rows, cuts, chunk):
    def group(number, at):
        bounds = [0, *sorted(min(cut, rows) for cut in at), rows]
        whole = pa.record_batch(
            {
                f"n{number}": pa.array([None if i % 5 == 0 else i for i in range(rows)]),
                f"s{number}": pa.array([f"{number} {i}" for i in range(rows)]),
            }
        )
        return lambda: (
            whole.slice(start, stop - start)
            for start, stop in itertools.pairwise(bounds)
            if stop > start
        )

    batches = list(spooled([group(n, at) for n, at in enumerate(cuts)], chunk))
    assert all(0 < batch.num_rows <= chunk for batch in batches)
    found = pa.Table.from_batches(batches)
    assert found.num_rows == rows
    for number in range(len(cuts)):
        assert found[f"s{number}"].to_pylist() == [f"{number} {i}" for i in range(rows)]
        assert found[f"n{number}"].null_count == len(range(0, rows, 5))


@pytest.fixture
def awkward(tmp_path):
    """Row groups whose columns are of every kind, with gaps."""
    rng = np.random.default_rng(0)
    rows = 6_000
    texts = [None if i % 7 == 0 else "x" * int(n) for i, n in enumerate(rng.integers(0, 60, rows))]
    table = pa.table(
        {
            "whole": rng.integers(0, 9, rows),
            "gaps": pa.array([None if i % 3 == 0 else float(i) for i in range(rows)]),
            "text": texts,
            "code": pa.array([f"c{i % 11}" for i in range(rows)]).dictionary_encode(),
            "day": pa.array(rng.integers(0, 10**9, rows), pa.timestamp("s")),
            "flag": rng.random(rows) < 0.5,
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3_500)
    return tmp_path


def test_lean_reading_gives_the_rows_of_direct_reading(awkward, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 10_000)
    direct = scan(awkward, target="flag")
    lean = direct.lean(str(tmp_path / "scratch"))
    check_every_row_once(lean)
    names = direct.features.names
    for fragment in direct.fragments:
        one = pa.Table.from_batches([c.X for c in direct.read(fragment, names, 999)])
        other = pa.Table.from_batches([c.X for c in lean.read(fragment, names, 1_234)])
        assert one.equals(other)
    assert "group by group" in lean.cost(names).note
    assert "group by group" not in direct.cost(names).note
    assert not list((tmp_path / "scratch").iterdir())


def test_texts_that_grow_are_read_in_smaller_batches(tmp_path):
    rows = 20_000
    texts = ["x" * (5 if at < 12_000 else 2_000) for at in range(rows)]
    pq.write_table(pa.table({"text": texts, "n": range(rows)}), tmp_path / "a.parquet")
    data = scan(tmp_path, target="n")
    check_every_row_once(data, (7, 5_000, 1_000_000))
    sizes = [
        chunk.X.nbytes
        for fragment in data.fragments
        for chunk in data.read(fragment, ["text"], 20_000)
    ]
    # Twenty thousand rows of the mean length are 8 MB stored, and dictionaries hide the rest.
    assert max(sizes) < 25_000_000


def test_the_length_of_texts_in_a_dictionary_is_known_before_they_are_read(tmp_path):
    # One text of 20 kB in 20,000 rows is 20 kB stored, and 400 MB decoded.
    table = pa.table({"text": ["x" * 20_000] * 20_000, "n": range(20_000)})
    pq.write_table(table, tmp_path / "a.parquet")
    del table
    cost = scan(tmp_path, target="n").cost(["text"])
    assert 20_000 <= cost.chunk_row_bytes <= 25_000


def test_a_nested_column_is_refused_by_name_unless_it_is_left_out(tmp_path):
    table = pa.table({"x": [1.0, 2.0], "tags": [["a"], ["b", "c"]], "y": [0, 1]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match=r"'tags'.*list.*features="):
        scan(tmp_path, target="y").require(["x", "tags"])
    scan(tmp_path, target="y", features=["x"]).require(["x"])


def test_what_was_asked_before_does_not_change_the_length_of_texts(tmp_path):
    table = pa.table({"a": ["x" * (at % 900) for at in range(5_000)], "b": ["y"] * 5_000})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=500)
    fresh, asked = scan(tmp_path), scan(tmp_path)
    asked.cost(["b"])
    asked.cost(["b", "a"])
    assert fresh.cost(["a"]) == asked.cost(["a"])
