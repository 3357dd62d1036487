"""OneHotEncoder and OrdinalEncoder: categories, codes and options as in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

import streamlearn as sl
from streamlearn.errors import DataError
from streamlearn.learn import categories
from streamlearn.testing.compare import assert_same_fit, assert_same_matrix

ROWS = 300
rng = np.random.default_rng(5)
WORDS = np.array(["b", "a", "é", "日本", "A", "", "🙂", "a b"], dtype=object)


def some(values, share=0.2):
    return pa.array(list(values), mask=rng.random(len(values)) < share)


def skewed(values, size=ROWS):
    share = 1.0 / np.arange(1, len(values) + 1) ** 1.3
    return rng.choice(np.asarray(values), size, p=share / share.sum())


MIXED = pa.table(
    {
        "word": skewed(WORDS),
        "word_null": some(skewed(WORDS)),
        "whole": skewed([3, -2, 0, 7, 100_000]),
        "whole_null": some(skewed([1, 2, 3, 4])),
        "float": skewed([0.5, -1.25, 3.0, 1e9]),
        "float_nan": np.where(rng.random(ROWS) < 0.2, np.nan, skewed([0.5, 2.0, -7.0])),
        "float32": skewed([0.1, 0.2, 3.0]).astype(np.float32),
        "bool": rng.random(ROWS) < 0.3,
        "bool_null": some(rng.random(ROWS) < 0.3),
    }
)
COLUMNS = [[name] for name in MIXED.column_names] + [MIXED.column_names]
MATRICES = {
    "int64": rng.integers(-3, 5, (ROWS, 3)),
    "uint8": rng.integers(0, 5, (ROWS, 2)).astype(np.uint8),
    "float64": np.where(rng.random((ROWS, 2)) < 0.1, np.nan, rng.integers(1, 5, (ROWS, 2))),
    "float32": rng.integers(1, 5, (ROWS, 2)).astype(np.float32) / 3,
    "bool": rng.random((ROWS, 2)) < 0.5,
}
ONE_HOT = {
    "plain": {},
    "drop first": {"drop": "first"},
    "drop if binary": {"drop": "if_binary"},
    "dense": {"sparse_output": False},
    "float32": {"dtype": np.float32},
    "int8 dense": {"dtype": np.int8, "sparse_output": False},
    "min count": {"min_frequency": 40},
    "min share": {"min_frequency": 0.15},
    "most": {"max_categories": 3},
    "one": {"max_categories": 1},
    "min count and most": {"min_frequency": 10, "max_categories": 4},
    "rare, drop first": {"min_frequency": 40, "drop": "first"},
    "ignore": {"handle_unknown": "ignore"},
    "infrequent": {"handle_unknown": "infrequent_if_exist", "min_frequency": 40},
    "warn": {"handle_unknown": "warn", "min_frequency": 40},
}
ORDINAL = {
    "plain": {},
    "float32": {"dtype": np.float32},
    "unknown": {"handle_unknown": "use_encoded_value", "unknown_value": -1},
    "unknown nan": {"handle_unknown": "use_encoded_value", "unknown_value": np.nan},
    "missing": {"encoded_missing_value": -2},
    "missing as unknown": {
        "handle_unknown": "use_encoded_value",
        "unknown_value": -1,
        "encoded_missing_value": -1,
    },
    "min count": {"min_frequency": 40},
    "min share": {"min_frequency": 0.15, "encoded_missing_value": 50},
    "most": {
        "max_categories": 3,
        "handle_unknown": "use_encoded_value",
        "unknown_value": 99,
    },
}
BOTH = [
    *(
        pytest.param(OneHotEncoder(**options), id=f"onehot {key}")
        for key, options in ONE_HOT.items()
    ),
    *(
        pytest.param(OrdinalEncoder(**options), id=f"ordinal {key}")
        for key, options in ORDINAL.items()
    ),
]


@pytest.mark.parametrize("columns", COLUMNS, ids="-".join)
@pytest.mark.parametrize("encoder", BOTH)
def test_a_table_is_encoded_as_in_memory(parity, encoder, columns):
    parity.check(encoder, MIXED.select(columns))


@pytest.mark.parametrize("encoder", BOTH)
def test_nothing_depends_on_how_rows_are_read(parity, encoder):
    parity.check(encoder, MIXED, everywhere=True)


@pytest.mark.parametrize("data", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("encoder", BOTH)
def test_a_matrix_is_encoded_as_in_memory(parity, encoder, data):
    parity.check(encoder, data)


@pytest.mark.parametrize(
    ("encoder", "columns"),
    [
        (OneHotEncoder(drop=["a", 3, False]), ["word", "whole", "bool"]),
        (OneHotEncoder(drop=np.array(["b", 0], dtype=object)), ["word", "whole"]),
        (OneHotEncoder(drop=["a"], min_frequency=20), ["word"]),
        (OneHotEncoder(drop=[np.nan]), ["float_nan"]),
        (OneHotEncoder(drop=[None, 2.0]), ["bool_null", "whole_null"]),
    ],
)
def test_named_categories_are_dropped_as_in_memory(parity, encoder, columns):
    parity.check(encoder, MIXED.select(columns), everywhere=True)


SORTED = [sorted(WORDS.tolist())]
GIVEN = [
    (OneHotEncoder(categories=[[*SORTED[0], "unseen"]]), "word"),
    (OneHotEncoder(categories=[["日本", "b", "a"]], handle_unknown="ignore"), "word"),
    (
        OneHotEncoder(
            categories=[["日本", "b", "a"]],
            handle_unknown="infrequent_if_exist",
            min_frequency=60,
        ),
        "word",
    ),
    (OneHotEncoder(categories=[["unseen", "a"]], handle_unknown="ignore", drop="first"), "word"),
    (OneHotEncoder(categories=[[-2, 0, 3, 7, 100_000, 200_000]]), "whole"),
    (OneHotEncoder(categories=[[-2, 100]], handle_unknown="ignore"), "whole"),
    (OneHotEncoder(categories=[[-7.0, 0.5, 2.0, np.nan]]), "float_nan"),
    (OneHotEncoder(categories=[[0.5, 2.0]], handle_unknown="ignore"), "float_nan"),
    (OneHotEncoder(categories=[["a", "b", np.nan]], handle_unknown="ignore"), "word_null"),
    (OneHotEncoder(categories=[[False, True]]), "bool"),
    (OrdinalEncoder(categories=[SORTED[0][::-1]]), "word"),
    (OrdinalEncoder(categories=[SORTED[0][::-1]], min_frequency=40), "word"),
    (
        OrdinalEncoder(
            categories=[["b", "a"]], handle_unknown="use_encoded_value", unknown_value=-5
        ),
        "word",
    ),
]


@pytest.mark.parametrize(("encoder", "column"), GIVEN)
def test_given_categories_are_kept_and_counted_as_in_memory(parity, encoder, column):
    parity.check(encoder, MIXED.select([column]), everywhere=True)


@pytest.mark.parametrize("encoder", [OneHotEncoder, OrdinalEncoder])
def test_a_value_outside_the_given_categories_is_refused(parity, encoder):
    given_ = encoder(categories=[["a", "b"]])
    with pytest.raises(DataError, match="unknown categories"):
        sl.fit(given_, parity.source(MIXED.select(["word"]), "groups"))


def test_missing_values_without_a_code_are_refused_as_in_memory(parity):
    encoder = OrdinalEncoder(dtype=np.int32)
    with pytest.raises(ValueError, match="missing values"):
        encoder.fit(MIXED.select(["word_null"]).to_pandas())
    with pytest.raises(DataError, match="missing values"):
        sl.fit(encoder, parity.source(MIXED.select(["word_null"]), "groups"))


TYPES = {
    "timestamp": pa.array([1, 2, 3, 1, 2] * 20, pa.timestamp("us")),
    "date": pa.array([1, 2, None, 1, 2] * 20, pa.date32()),
    "decimal": pa.array([1, 2, 1, 2, 2] * 20).cast(pa.decimal128(21, 2)),
    "bytes": pa.array([b"a", b"b", b"", b"b", b"a"] * 20),
    "large string": pa.array(["a", None, "b", "b", "a"] * 20, pa.large_string()),
    "all null strings": pa.nulls(100, pa.string()),
    "all null floats": pa.nulls(100, pa.float64()),
    "null": pa.nulls(100),
    "uint64": pa.array([2**63 + 1, 2**63 + 5, 7, 7, 7] * 20, pa.uint64()),
    "wide int64": pa.array([2**62 + 1, 2**62, -(2**62), 0, 0] * 20),
    "wide int64 with null": pa.array([2**53 + 1, 2**53, None, 0, 0] * 20),
    "digits": pa.array(["1", "10", "2", "2", "1"] * 20),
    "long": pa.array(["x" * 5000, "y\0z", "y", "y ", " y"] * 20),
    "infinite": pa.array([1.5, -2.0, 1e308, 5e-324, 0.1 + 0.2] * 20),
}


@pytest.mark.parametrize("column", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()])
def test_any_type_is_encoded_as_in_memory(parity, encoder, column):
    parity.check(encoder, pa.table({"a": column}))


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(),
        OneHotEncoder(min_frequency=2, handle_unknown="ignore"),
        OrdinalEncoder(max_categories=1000),
    ],
)
def test_a_hundred_thousand_categories_are_kept_apart(parity, encoder):
    rows = np.arange(130_000)
    table = pa.table({"key": [f"k{i % 100_003}" for i in rows], "id": (rows * 7919) % 99_991})
    source = parity.source(table, "groups")
    found = sl.fit(encoder, source, chunk_size=30_000, threads=3).estimator
    expected = type(encoder)(**encoder.get_params()).fit(table.to_pandas())
    parity.same(found, expected, type(encoder).__name__)
    head = table.slice(0, 1000).to_pandas()
    parity.same(found.transform(head), expected.transform(head), "output")


CELLS = {
    "words": (st.sampled_from(WORDS.tolist()) | st.text(max_size=3), pa.string()),
    "whole": (st.integers(-(2**40), 2**40) | st.integers(-3, 3), pa.int64()),
    "float": (
        st.sampled_from([0.5, -1.0, 2.5]) | st.floats(-5, 5).map(lambda x: x + 0.0),
        pa.float64(),
    ),
    "bool": (st.booleans(), pa.bool_()),
}


@pytest.mark.parametrize("kind", CELLS)
@settings(max_examples=12, derandomize=True, deadline=None)
@given(data=st.data())
def test_categories_and_rare_ones_are_those_of_any_rows(parity, kind, data):
    cells, type_ = CELLS[kind]
    values = data.draw(st.lists(cells | st.none(), min_size=1, max_size=50))
    rare = data.draw(st.sampled_from([None, 1, 2, 5, 0.1, 0.5]))
    most = data.draw(st.sampled_from([None, 1, 2, 4]))
    table = pa.table({"a": pa.array(values, type_)})
    for encoder in (
        OneHotEncoder(min_frequency=rare, max_categories=most),
        OrdinalEncoder(min_frequency=rare, max_categories=most),
    ):
        parity.check(encoder, table)


@pytest.mark.parametrize("kind", ["int64", "int32", "float64"])
@pytest.mark.parametrize(
    "estimator",
    [
        OneHotEncoder(),
        OneHotEncoder(max_categories=5),
        OneHotEncoder(min_frequency=4),
        OneHotEncoder(max_categories=5, drop="first"),
        OneHotEncoder(drop="first"),
        OneHotEncoder(max_categories=1),
        OrdinalEncoder(),
        OrdinalEncoder(max_categories=5),
        OrdinalEncoder(min_frequency=3),
    ],
    ids=repr,
)
def test_very_many_numbers_are_put_in_place_as_scikit_learn_would(kind, estimator, monkeypatch):
    monkeypatch.setattr(categories, "_LARGE_VALUES", 20)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "many": rng.zipf(1.3, 500).clip(max=300).astype(kind),
            "few": rng.integers(0, 4, 500),
            "words": rng.choice(list("xyz"), 500),
        }
    )
    counted = categories.Categories(estimator)
    for start in range(0, 500, 100):
        part = pa.RecordBatch.from_pandas(frame[start : start + 100], preserve_index=False)
        counted.update(part, None, None)
    found, expected = clone(estimator), clone(estimator).fit(frame)
    assert counted.finish(found, frame[:8]) is None
    assert_same_fit(found, expected, rtol=0.0)
    assert_same_matrix(found.transform(frame), expected.transform(frame), rtol=0.0)
    (growth, *_) = counted.growth()
    assert (growth.column, growth.count) == ("many", frame["many"].nunique())
