"""Steps nested in any way: unions, columns in the middle, frames between steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, UnsupportedEstimatorError, UsageError

ROWS = 300
rng = np.random.default_rng(5)
TABLE = pa.table(
    {
        "a": pa.array(rng.normal(3, 2, ROWS), mask=rng.random(ROWS) < 0.2),
        "b": rng.normal(-1, 4, ROWS),
        "word": np.array(["x", "y", "żółw"], dtype=object)[rng.integers(0, 3, ROWS)],
        "code": rng.integers(0, 5, ROWS),
    }
)
NUMBERS = make_pipeline(SimpleImputer(), StandardScaler())
DENSE = OneHotEncoder(sparse_output=False)


def columns(encoder=None, **options):
    return ColumnTransformer(
        [
            ("n", NUMBERS, ["a", "b"]),
            ("w", encoder or OneHotEncoder(), ["word"]),
            ("p", "passthrough", ["code"]),
        ],
        **options,
    )


NESTED = {
    "scaled again": Pipeline([("c", columns()), ("s", MaxAbsScaler())]),
    "columns by position, in the middle": Pipeline(
        [
            ("c", columns(DENSE)),
            (
                "again",
                ColumnTransformer(
                    [("s", MinMaxScaler(), [0, 1]), ("k", StandardScaler(), slice(2, 4))],
                    remainder=MaxAbsScaler(),
                ),
            ),
        ]
    ),
    "columns by position, of a sparse matrix": Pipeline(
        [
            ("c", columns(sparse_threshold=1.0)),
            ("again", ColumnTransformer([("m", MaxAbsScaler(), [0, 2])], remainder="passthrough")),
        ]
    ),
    "a union on columns": ColumnTransformer(
        [("u", FeatureUnion([("one", OneHotEncoder()), ("two", OrdinalEncoder())]), ["word"])],
        remainder="drop",
    ),
    "a union of dense parts": Pipeline(
        [
            ("c", ColumnTransformer([("n", SimpleImputer(), ["a", "b"])])),
            (
                "u",
                FeatureUnion(
                    [
                        ("s", StandardScaler()),
                        ("deep", make_pipeline(MinMaxScaler(), PolynomialFeatures())),
                        ("as is", "passthrough"),
                        ("gone", "drop"),
                    ],
                    transformer_weights={"s": 2.0},
                ),
            ),
            ("last", MaxAbsScaler()),
        ]
    ),
    "a pipeline in columns in a pipeline in columns": ColumnTransformer(
        [
            (
                "outer",
                make_pipeline(
                    ColumnTransformer([("n", NUMBERS, ["a"]), ("m", MinMaxScaler(), ["b"])]),
                    MaxAbsScaler(),
                ),
                ["a", "b"],
            ),
            ("rest", OrdinalEncoder(), make_column_selector(dtype_include=[object, "string"])),
        ],
        verbose_feature_names_out=False,
        remainder=MaxAbsScaler(),
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_steps_nested_in_any_way(parity, name):
    parity.check(NESTED[name], TABLE, rtol=1e-11, atol=1e-12, everywhere=True)


FRAMES = {
    "columns": columns(DENSE),
    "columns by name, in the middle": Pipeline(
        [
            ("c", columns(DENSE)),
            (
                "again",
                ColumnTransformer(
                    [
                        ("s", MinMaxScaler(), ["n__a"]),
                        ("k", StandardScaler(), make_column_selector("w__")),
                    ],
                    remainder="passthrough",
                ),
            ),
        ]
    ),
    "a union": Pipeline(
        [
            ("c", columns(DENSE)),
            ("u", FeatureUnion([("s", StandardScaler()), ("m", MinMaxScaler())])),
        ]
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_between_steps(parity, name):
    estimator = clone(FRAMES[name]).set_output(transform="pandas")
    parity.check(estimator, TABLE, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"validation": 0.3}, {"shuffle": True, "epochs": 2}])
def test_frames_before_a_model_change_nothing_but_names(options):
    y = (TABLE["b"].to_numpy() > 0).astype(int)
    data = sl.scan(TABLE.append_column("y", pa.array(y)), target="y")
    pipeline = make_pipeline(columns(DENSE), SGDClassifier(random_state=0))
    plain = sl.fit(pipeline, data, **options).estimator
    pipeline.set_output(transform="pandas")
    result = sl.fit(pipeline, data, **options)
    np.testing.assert_array_equal(result.estimator[-1].coef_, plain[-1].coef_)
    names = pipeline[0].fit(TABLE.to_pandas()).get_feature_names_out()
    assert list(result.estimator[-1].feature_names_in_) == list(names)
    assert result.estimator.predict(TABLE.to_pandas()).shape == (ROWS,)


def test_a_model_after_frames_knows_its_features(parity):
    pipeline = make_pipeline(columns(DENSE), SGDClassifier(random_state=0))
    pipeline.set_output(transform="pandas")
    y = (TABLE["b"].to_numpy() > 0).astype(int)
    data = sl.scan(TABLE.append_column("y", pa.array(y)), target="y")
    fitted = sl.fit(pipeline, data, chunk_size=7).estimator
    frame = TABLE.to_pandas()
    expected = clone(pipeline[0]).fit_transform(frame)
    assert list(fitted[-1].feature_names_in_) == list(expected.columns)
    by_hand = SGDClassifier(random_state=0).partial_fit(expected, y, classes=[0, 1])
    np.testing.assert_allclose(fitted[-1].coef_, by_hand.coef_, rtol=1e-9)


def test_a_union_learns_all_its_parts_in_one_pass():
    union = FeatureUnion([("s", StandardScaler()), ("m", MinMaxScaler()), ("x", MaxAbsScaler())])
    data = sl.scan(TABLE.select(["a", "b"]))
    assert len(sl.explain(union, data).passes) == 1


def test_columns_that_nobody_needs_are_not_read():
    chosen = ColumnTransformer(
        [("n", StandardScaler(), ["a"]), ("gone", "drop", ["word"])], remainder="drop"
    )
    plan = sl.explain(chosen, sl.scan(TABLE))
    assert plan.passes[0].columns == ("a",)


def test_columns_in_the_middle_that_are_not_there_are_named():
    wrong = Pipeline(
        [
            ("c", columns(DENSE)),
            ("again", ColumnTransformer([("s", MinMaxScaler(), ["n__a"])])),
        ]
    )
    with pytest.raises(SchemaError, match="again.s"):
        sl.fit(wrong, sl.scan(TABLE))


class Logarithm(FunctionTransformer):
    """A user's own: nothing is learned."""


class Counting(SGDClassifier):
    """Has partial_fit, and no transform."""


def test_a_users_own_stateless_transformer_works(parity):
    pipeline = make_pipeline(
        ColumnTransformer([("a", Logarithm(np.abs), ["b", "code"])]), StandardScaler()
    )
    parity.check(pipeline, TABLE, rtol=1e-12, atol=1e-12)


def test_a_predictor_in_the_middle_is_refused_by_name():
    with pytest.raises(UnsupportedEstimatorError, match="'counting'"):
        sl.fit(make_pipeline(Counting(), StandardScaler()), sl.scan(TABLE.select(["b"])))


@pytest.mark.parametrize("threads", [1, 3])
def test_frames_asked_for_by_a_setting_reach_every_step(parity, threads):
    named = FunctionTransformer(lambda frame: frame.assign(twice=frame["b"] * 2))
    pipeline = make_pipeline(
        ColumnTransformer([("b", MinMaxScaler(), ["b"])], verbose_feature_names_out=False),
        named,
        ColumnTransformer([("t", MaxAbsScaler(), ["twice"])], remainder="passthrough"),
    )
    with config_context(transform_output="pandas"):
        expected = clone(pipeline).fit_transform(TABLE.to_pandas())
        fitted = sl.fit(pipeline, parity.source(TABLE, "groups"), threads=threads, chunk_size=7)
        found = fitted.estimator.transform(TABLE.to_pandas())
    parity.same(found, expected, "output", 1e-12)


@pytest.mark.parametrize(
    ("transformer", "told"),
    [
        (("a", StandardScaler(), "a"), r"write \['a'\] instead of 'a'"),
        (("a", make_pipeline(SimpleImputer(), StandardScaler()), "a"), r"write \['a'\]"),
        (("a", "passtrough", ["a"]), "'passtrough' is no transformer"),
    ],
)
def test_slips_are_told_before_anything_is_read(transformer, told):
    with pytest.raises(UsageError, match=told):
        sl.explain(ColumnTransformer([transformer]), sl.scan(TABLE))


@pytest.mark.parametrize(
    ("function", "warns"),
    [(lambda frame: frame.rank(), True), (np.abs, False), (lambda frame: frame * 2, False)],
)
def test_a_function_that_looks_across_rows_is_warned_of(function, warns):
    pipeline = make_pipeline(FunctionTransformer(function), StandardScaler())
    told = sl.fit(pipeline, sl.scan(TABLE.select(["b", "code"]))).warnings
    assert bool(told) is warns


def test_a_function_whose_columns_depend_on_the_rows_is_named():
    codes = FunctionTransformer(lambda frame: pd.get_dummies(frame["code"]))
    with pytest.raises(DataError, match=r"'functiontransformer'.*depends on the rows"):
        sl.fit(make_pipeline(codes, StandardScaler()), sl.scan(TABLE.select(["code"])))


def test_a_function_of_a_sparse_matrix_is_looked_at_too():
    twice = FunctionTransformer(lambda X: X * 2, accept_sparse=True)
    pipeline = make_pipeline(MaxAbsScaler(), twice, MaxAbsScaler())
    rows = sparse.random(200, 9, 0.3, format="csr", random_state=0)
    result = sl.fit(pipeline, rows)
    assert result.warnings == ()
    found = result.estimator.transform(rows).toarray()
    np.testing.assert_allclose(found, MaxAbsScaler().fit_transform(rows).toarray(), rtol=1e-12)
