"""DictVectorizer: as fitted in memory, from dicts and from the columns of a table."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import streamlearn as sl
from streamlearn.errors import CellError, DataError, UsageError
from streamlearn.learn.dict_features import DictFeatures

ROWS = 150
READINGS = [("groups", 7, 3), ("groups", 1, 1), ("one", 1000, 1), ("files", 1000, 3)]
rng = np.random.default_rng(3)
WORDS = np.array(["b", "a", "é", "e\u0301", "日本", "🦊", "A", "", "a=b", "שלום"], dtype=object)


def some(values, share=0.2):
    return pa.array(list(values), mask=rng.random(len(values)) < share)


TABLE = pa.table(
    {
        "word": some(WORDS[rng.integers(0, len(WORDS), ROWS)]),
        "x": some(rng.normal(size=ROWS)),
        "whole": rng.integers(-3, 3, ROWS),
        "word=a": rng.normal(size=ROWS),
        "yes": some(rng.random(ROWS) < 0.5),
        "small": rng.normal(size=ROWS).astype(np.float32),
        "exact": pa.array([Decimal("1.10")] * ROWS),
        "Name": pa.array(WORDS[rng.integers(0, 3, ROWS)], pa.large_string()),
        "none": pa.nulls(ROWS),
    }
)
VECTORIZERS = {
    "plain": DictVectorizer(),
    "as they come": DictVectorizer(sort=False),
    "dense": DictVectorizer(sparse=False),
    "separator": DictVectorizer(separator="::", sort=False),
    "float32": DictVectorizer(dtype=np.float32),
}


def records(table):
    return table.to_pandas().to_dict("records")


def same_fit(found, expected):
    assert found.feature_names_ == expected.feature_names_
    assert list(found.vocabulary_.items()) == list(expected.vocabulary_.items())
    assert vars(found).keys() == vars(expected).keys()


@pytest.mark.parametrize("vectorizer", VECTORIZERS.values(), ids=VECTORIZERS)
def test_a_table_is_learned_as_its_records(parity, vectorizer):
    expected = clone(vectorizer).fit(records(TABLE))
    for layout, chunk_size, threads in READINGS:
        source = parity.source(TABLE, layout)
        found = sl.fit(vectorizer, source, chunk_size=chunk_size, threads=threads).estimator
        same_fit(found, expected)
        matrices = [one.transform(records(TABLE)) for one in (found, expected)]
        if not vectorizer.sparse:
            parity.same(*matrices, "output")
            continue
        for part in ("data", "indices", "indptr"):  # "word=a" comes twice, and is stored twice
            parity.same(*(getattr(matrix, part) for matrix in matrices), part)
    assert not hasattr(vectorizer, "vocabulary_")


def in_parts(vectorizer, parts):
    state = DictFeatures(vectorizer)
    for part in parts:
        other = DictFeatures(vectorizer)
        other.update(part, None, None)
        state.merge(other)
    found = clone(vectorizer)
    state.finish(found, None)
    return found


LISTS = [["b", "a", "b"], [], None, ["日本"], ["a"], ["z", "b"]]
DICTS = [
    {"a": 1, "b": "x"},
    {"b": ["y", "x", "y"], 7: 2.5},
    {},
    {"a": None, "c": True, "b": ("q",)},
    {"d": np.float32(2), "e": {"s"}, "f": Decimal(1)},
]


@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize("cut", [1, 2, 6])
def test_structs_lists_and_maps(parity, sort, cut):
    vectorizer = DictVectorizer(sort=sort)
    table = pa.RecordBatch.from_pydict({"l": LISTS, "n": range(6), "w": list("bacbac")})
    expected = clone(vectorizer).fit(table.to_pandas().to_dict("records"))
    same_fit(in_parts(vectorizer, [table.slice(at, cut) for at in range(0, 6, cut)]), expected)

    rows = table.to_pylist()
    struct = pa.RecordBatch.from_pydict({"d": pa.array(rows)})
    expected = clone(vectorizer).fit(rows)
    same_fit(in_parts(vectorizer, [struct.slice(at, cut) for at in range(0, 6, cut)]), expected)

    pairs = pa.map_(pa.string(), pa.string())
    rows = [{"a": "x"}, {"b": "y", "a": "z"}, {}, {"a": "x"}, {"c": "c"}, {"b": "b"}]
    maps = pa.RecordBatch.from_pydict({"m": pa.array([list(r.items()) for r in rows], pairs)})
    expected = clone(vectorizer).fit(rows)
    same_fit(in_parts(vectorizer, [maps.slice(at, cut) for at in range(0, 6, cut)]), expected)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_dicts_of_any_values(parity, cut):
    vectorizer = DictVectorizer(sort=False)
    expected = clone(vectorizer).fit(DICTS)
    for form in (list, pd.Series, lambda rows: np.array(rows, dtype=object)):
        parts = [form(DICTS[at : at + cut]) for at in range(0, len(DICTS), cut)]
        same_fit(in_parts(vectorizer, parts), expected)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"a": st.sampled_from(["x", "", "é", None]), "b": st.sampled_from(["x", "yy", None])}
        ),
        min_size=1,
        max_size=12,
    ),
    st.lists(st.integers(0, 12), max_size=3).map(sorted),
    st.booleans(),
)
def test_rows_in_any_cut_give_the_same_features(rows, cuts, sort):
    kinds = pa.schema([("a", pa.string()), ("b", pa.string())])
    batch = pa.RecordBatch.from_pylist(rows, kinds)
    vectorizer = DictVectorizer(sort=sort)
    parts = [
        batch.slice(start, max(0, stop - start))
        for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True)
    ]
    same_fit(in_parts(vectorizer, parts), clone(vectorizer).fit(batch.to_pylist()))


def test_very_many_values(parity):
    table = pa.table({"id": [f"user {at:x}" for at in range(100_000)]})
    vectorizer = DictVectorizer()
    found = sl.fit(vectorizer, parity.source(table, "groups"), chunk_size=9_000).estimator
    same_fit(found, DictVectorizer().fit(records(table)))


def test_one_row_and_growth(parity):
    table = pa.table({"a": ["x"], "b": [1.5]})
    found = sl.fit(DictVectorizer(), parity.source(table)).estimator
    assert found.feature_names_ == ["a=x", "b"]
    state = DictFeatures(DictVectorizer())
    state.update(pa.RecordBatch.from_pydict({"w": ["x", "y", None], "n": [1, 2, 3]}), None, None)
    grown = {item.column: item.outputs for item in state.growth(exact=True)}
    assert grown == {"w": 3, "n": 1}


def to_records(frame):
    return frame.to_dict("records")


@pytest.mark.parametrize(
    "steps",
    [
        [DictVectorizer()],
        [DictVectorizer(sparse=False), StandardScaler()],
        [DictVectorizer(sparse=False).set_output(transform="pandas"), StandardScaler()],
        [FeatureHasher(64)],
        [FunctionTransformer(to_records), DictVectorizer()],
        [FunctionTransformer(to_records), FeatureHasher(64)],
    ],
    ids=["dicts", "dense", "frame", "hasher", "records", "records hashed"],
)
def test_a_pipeline_over_a_table_equals_the_loop_by_hand_to_the_bit(tmp_path, steps):
    table = pa.table({"w": WORDS[rng.integers(0, 6, ROWS)], "x": rng.normal(size=ROWS)})
    y = rng.integers(0, 2, ROWS)
    frame = table.to_pandas()
    takes_frame = isinstance(steps[0], FunctionTransformer)

    def given(start, stop):
        part = frame.iloc[start:stop]
        return part if takes_frame else to_records(part)

    pq.write_table(table.append_column("y", pa.array(y)), tmp_path / "a.parquet", row_group_size=60)
    source = sl.scan(tmp_path, target="y")
    model = SGDClassifier(random_state=0)
    found = sl.fit(make_pipeline(*steps, model), source, batch_size=40, chunk_size=7).estimator
    prepared = make_pipeline(*map(clone, steps)).fit(given(0, ROWS))
    if isinstance(steps[-1], StandardScaler):
        prepared.steps[-1] = found.steps[-2]  # its means are right to 1e-12, and not to the bit
    expected = clone(model)
    for start in range(0, ROWS, 40):
        matrix = prepared.transform(given(start, start + 40))
        if hasattr(matrix, "indptr"):  # as they come from dicts, no model learns from them
            matrix.indices, matrix.indptr = matrix.indices.astype("i4"), matrix.indptr.astype("i4")
        expected.partial_fit(matrix, y[start : start + 40], classes=[0, 1])
    assert np.array_equal(found[-1].coef_, expected.coef_)
    assert len(found.predict(given(0, ROWS))) == ROWS


def test_errors_say_what_where_and_what_to_do(parity):
    dates = parity.source(pa.table({"t": pa.array([1, 2], pa.timestamp("ms"))}))
    with pytest.raises(DataError, match=r"'t'.*timestamp.*derive="):
        sl.fit(DictVectorizer(), dates)
    with pytest.raises(DataError, match="a matrix has no names"):
        sl.fit(DictVectorizer(), sl.scan(np.eye(3)))
    two = parity.source(pa.table({"a": ["x"], "b": [1]}))
    for step in (DictVectorizer(), FeatureHasher()):
        with pytest.raises(UsageError, match=r"row after the other.*to_dict"):
            sl.fit(ColumnTransformer([("d", step, ["a", "b"])]), two)
    state = DictFeatures(DictVectorizer())
    for row, shown in (
        ({"a": {"b": 1}}, "holds a dict"),
        ({"a": [1]}, "holds a int"),
        ({"a": [None]}, "holds a NoneType"),
        ({"a": object()}, "holds a object"),
        (None, "a NoneType where DictVectorizer takes a dict"),
    ):
        with pytest.raises(CellError, match=shown) as caught:
            state.update(pd.Series([{}, row], name="d"), None, None)
        assert (caught.value.row, caught.value.column) == (1, "d")
    with pytest.raises(CellError, match="missing row") as caught:
        state.update(pa.RecordBatch.from_pydict({"d": [{"a": 1}, None]}), None, None)
    assert caught.value.row == 1
    with pytest.raises(CellError, match="missing text in a list") as caught:
        state.update(pa.RecordBatch.from_pydict({"l": [["a"], ["b", None]]}), None, None)
    assert caught.value.row == 1
    with pytest.raises(DataError, match=r"put in order.*sort=False"):
        sl.fit(
            make_pipeline(
                FunctionTransformer(lambda f: [{1: 1, "a": 2}] * len(f)), DictVectorizer()
            ),
            two,
        )
