"""Kernels of what takes rows one after the other: texts, and dicts of a table's columns."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from streamlearn.chunk import Schema
from streamlearn.errors import CellError
from streamlearn.prepare.compile import compile_transformer
from streamlearn.prepare.frame import blank_frame, to_frame

ROWS = 300
rng = np.random.default_rng(8)
WORDS = np.array(["b", "a", "é", "e\u0301", "日本", "🦊", "A", "", "a=b", "שלום"], dtype=object)
TEXTS = [" ".join(WORDS[rng.integers(0, len(WORDS), rng.integers(0, 9))]) for _ in range(ROWS)]
SINGLE = {"token_pattern": r"(?u)\w+"}


def some(values, share=0.2):
    return pa.array(list(values), mask=rng.random(len(values)) < share)


def batch(columns):
    return pa.RecordBatch.from_pydict(columns)


FULL = batch(
    {
        "word": WORDS[rng.integers(0, len(WORDS), ROWS)],
        "x": rng.normal(size=ROWS),
        "whole": rng.integers(-2, 3, ROWS),
        "big": 2**53 + rng.integers(0, 9, ROWS),
        "odd": (2**25 + 1) * rng.integers(1, 9, ROWS),
        "bool": rng.random(ROWS) < 0.5,
        "small": rng.normal(size=ROWS).astype(np.float32),
        "exact": pa.array([Decimal("1.15")] * ROWS),
        "word=a": rng.normal(size=ROWS),
        "text": pa.array(TEXTS, pa.large_string()),
    }
)
GAPS = batch(
    {
        "word": some(WORDS[rng.integers(0, len(WORDS), ROWS)]),
        "x": some(rng.normal(size=ROWS)),
        "whole": some(rng.integers(-2, 3, ROWS)),
        "nan": np.where(rng.random(ROWS) < 0.5, np.nan, 1.5),
    }
)
NONES = batch(
    {
        "bool": some(rng.random(ROWS) < 0.5),
        "exact": some([Decimal("1.15")] * ROWS),
        "none": pa.nulls(ROWS),
    }
)
LISTS = batch({"l": [["b", "a", "b"], [], None] * 100, "x": rng.normal(size=ROWS)})
TABLES = {"full": FULL, "gaps": GAPS, "nones": NONES, "lists": LISTS}
DICT = {
    "plain": DictVectorizer(),
    "as they come": DictVectorizer(sort=False),
    "dense": DictVectorizer(sparse=False),
    "separator": DictVectorizer(separator="/"),
    "float32": DictVectorizer(dtype=np.float32),
}
HASH = {
    "plain": FeatureHasher(),
    "few": FeatureHasher(5),
    "one": FeatureHasher(1),
    "no sign": FeatureHasher(7, alternate_sign=False),
    "float32": FeatureHasher(16, dtype=np.float32),
    "whole": FeatureHasher(16, dtype=np.int64),
}


def same_bits(found, expected):
    assert type(found) is type(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if not hasattr(expected, "indptr"):
        np.testing.assert_array_equal(found, expected)
        return
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part), part)
    assert found.indices.dtype == found.indptr.dtype == np.int32


def records(block):
    return to_frame(block).to_dict("records")


def check(estimator, block):
    """Hold a kernel to what the estimator makes of the rows, however they are cut."""
    kernel = compile_transformer(estimator, Schema.from_arrow(block.schema))
    rows = records(block)
    assert kernel.width == estimator.transform(rows[:1]).shape[1]
    for start, stop in ((0, ROWS), (3, 50), (7, 8)):
        same_bits(
            kernel.apply(block.slice(start, stop - start)), estimator.transform(rows[start:stop])
        )


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("estimator", DICT.values(), ids=DICT)
def test_dicts_of_columns_are_those_of_the_rows_to_the_bit(estimator, table):
    check(clone(estimator).fit(records(table)), table)


@pytest.mark.parametrize("estimator", DICT.values(), ids=DICT)
def test_features_that_were_not_learned_are_left_out(estimator):
    check(clone(estimator).fit(records(FULL.slice(0, 4).select(["word", "whole"]))), FULL)
    check(clone(estimator).fit([{"other": 1}]), FULL)


@pytest.mark.parametrize("table", [FULL.drop_columns(["text"]), FULL, GAPS.select(["word", "x"])])
@pytest.mark.parametrize("estimator", HASH.values(), ids=HASH)
def test_columns_hash_as_their_rows_to_the_bit(estimator, table):
    if estimator.dtype is np.int64:
        table = FULL.select(["word", "whole", "big"])
    check(clone(estimator), table)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=5), st.floats(allow_infinity=False), st.integers(-(2**62), 2**62)
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([1, 3, 1 << 20]),
)
def test_any_table_hashes_and_is_counted_as_its_rows(rows, width):
    texts, floats, wholes = zip(*rows, strict=True)
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    block = batch({"t": pa.array(texts, pa.string()), "f": pa.array(floats), "n": pa.array(wholes)})
    for estimator in (FeatureHasher(width), DictVectorizer().fit(records(block))):
        kernel = compile_transformer(estimator, Schema.from_arrow(block.schema))
        same_bits(kernel.apply(block), estimator.transform(records(block)))


def test_what_a_hasher_does_not_take_is_refused_with_its_place():
    kernel = compile_transformer(FeatureHasher(8))
    for block, row in (
        (batch({"yes": [True, None]}), 1),
        (batch({"exact": pa.array([None, Decimal(1)])}), 0),
        (batch({"d": [{"yes": 1}, {"yes": None}]}), 1),
    ):
        with pytest.raises(CellError, match="a missing value, and FeatureHasher") as caught:
            kernel.apply(block)
        assert caught.value.row == row
    with pytest.raises(CellError, match=r"'t'.*timestamp"):
        kernel.apply(batch({"t": pa.array([1], pa.timestamp("s"))}))


@pytest.mark.parametrize("estimator", [DictVectorizer(), FeatureHasher(9)])
def test_structs_maps_and_series_of_dicts(estimator):
    rows = [{"a": "x", "n": 1}, {"a": "y", "n": 0}, {"a": "x", "n": 3}]
    fitted = clone(estimator).fit(rows)
    kernel = compile_transformer(fitted)
    expected = fitted.transform(rows)
    for block in (
        batch({"d": rows}),
        pd.Series(rows),
        rows,
        np.array(rows),
        pd.DataFrame({"d": rows}),
    ):
        same_bits(kernel.apply(block), expected)
    maps = pa.map_(pa.string(), pa.float64())
    rows = [{"a": 1.0}, {}, {"b": 2.0, "a": 0.5}]
    fitted = clone(estimator).fit(rows)
    block = batch({"m": pa.array([list(row.items()) for row in rows], maps)})
    same_bits(compile_transformer(fitted).apply(block), fitted.transform(rows))


def test_a_hasher_of_lists_takes_each_row_as_a_list():
    lists = [["a", "b", "a"], ["c"], []]
    hasher = FeatureHasher(8, input_type="string")
    kernel = compile_transformer(hasher)
    expected = hasher.transform(lists)
    same_bits(kernel.apply(batch({"l": lists})), expected)
    same_bits(kernel.apply(pd.Series(lists)), expected)
    two = batch({"p": ["a", "b"], "q": ["c", "a"]})
    same_bits(kernel.apply(two), hasher.transform([["a", "c"], ["b", "a"]]))


@pytest.mark.parametrize(
    "vectorizer",
    [
        CountVectorizer(**SINGLE),
        TfidfVectorizer(min_df=2, **SINGLE),
        HashingVectorizer(n_features=32, **SINGLE),
        TfidfVectorizer(vocabulary=["a", "日本"], **SINGLE),
    ],
)
def test_texts_of_a_table_are_transformed_as_documents(vectorizer):
    fitted = clone(vectorizer).fit(TEXTS)
    kernel = compile_transformer(fitted)
    expected = fitted.transform(TEXTS)
    assert kernel.width == expected.shape[1]
    forms = [
        batch({"t": TEXTS}),
        batch({"t": pa.array(TEXTS, pa.large_string())}),
        batch({"t": [text.encode() for text in TEXTS]}),
        pd.Series(TEXTS),
        TEXTS,
        np.array(TEXTS, dtype=object),
        pd.DataFrame({"t": TEXTS}),
    ]
    for form in forms:
        same_bits(kernel.apply(form), expected)


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer(**SINGLE), HashingVectorizer(n_features=4)])
def test_a_text_that_cannot_be_used_is_refused_with_its_place(vectorizer):
    kernel = compile_transformer(clone(vectorizer).fit(TEXTS))
    with pytest.raises(CellError, match="missing document") as caught:
        kernel.apply(batch({"t": ["a", None]}))
    assert caught.value.row == 1
    with pytest.raises(CellError, match="decoded") as caught:
        kernel.apply(batch({"t": [b"a", b"b", b"\xff"]}))
    assert caught.value.row == 2
    with pytest.raises(ValueError, match=r"one text column.*there are 2"):
        kernel.apply(batch({"t": ["a"], "u": ["b"]}))


def test_a_frame_between_steps_is_theirs_alone():
    block = FULL.select(["word", "x"])
    for first, second in (
        (DictVectorizer(sparse=False).set_output(transform="pandas"), StandardScaler()),
        (DictVectorizer(sparse=False), StandardScaler().set_output(transform="pandas")),
    ):
        fitted = make_pipeline(first, second).fit(records(block))
        found = compile_transformer(fitted, Schema.from_arrow(block.schema)).apply(block)
        np.testing.assert_array_equal(found, fitted.transform(records(block)))
    texts = batch({"t": TEXTS})
    fitted = make_pipeline(TfidfVectorizer(**SINGLE), MaxAbsScaler()).fit(TEXTS)
    same_bits(compile_transformer(fitted).apply(texts), fitted.transform(TEXTS))


def test_a_blank_row_of_nested_columns_can_be_taken_apart():
    schema = pa.schema(
        [("d", pa.struct({"a": pa.int64(), "b": pa.string()})), ("l", pa.list_(pa.string()))]
    )
    frame = blank_frame(Schema.from_arrow(schema))
    assert frame["d"].tolist() == [{"a": 0, "b": "0"}] * 2
    assert [list(texts) for texts in frame["l"]] == [[], []]
