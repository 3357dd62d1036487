"""ColumnTransformer: which columns, in which order, dense or sparse, named as in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

ROWS = 200
rng = np.random.default_rng(7)
WORDS = np.array(["b", "a", "é", "日本", "A", ""], dtype=object)
TABLE = pa.table(
    {
        "x": rng.normal(2, 1, ROWS),
        "gap": pa.array(rng.normal(5, 3, ROWS), mask=rng.random(ROWS) < 0.2),
        "i": rng.integers(-5, 100, ROWS),
        "b": rng.random(ROWS) < 0.5,
        "s": WORDS[rng.integers(0, 6, ROWS)],
        "sg": pa.array(WORDS[rng.integers(0, 6, ROWS)].tolist(), mask=rng.random(ROWS) < 0.2),
    }
)
NUMBERS = TABLE.drop(["s", "sg"])
FLOAT32 = pa.table({name: rng.normal(size=ROWS).astype(np.float32) for name in "ab"})
MATRIX = rng.integers(-3, 5, (ROWS, 4))


def of(*transformers, **options):
    return ColumnTransformer(list(transformers), **options)


def even_columns(X):
    return list(X.columns[::2])


def log_size(X):
    return np.log1p(np.abs(X))


STANDARD = ("n", StandardScaler(), ["x", "gap"])
ONE_HOT = ("c", OneHotEncoder(), ["s", "sg"])
CASES = {
    "remainder drop": (of(STANDARD), TABLE),
    "remainder passthrough": (
        of(("n", StandardScaler(), ["gap", "x"]), remainder="passthrough"),
        NUMBERS,
    ),
    "strings pass": (of(STANDARD, remainder="passthrough"), TABLE),
    "strings pass named": (of(("p", "passthrough", ["s"]), STANDARD), TABLE),
    "remainder estimator": (of(ONE_HOT, remainder=StandardScaler()), TABLE),
    "remainder pipeline": (
        of(ONE_HOT, remainder=make_pipeline(SimpleImputer(), MinMaxScaler())),
        TABLE,
    ),
    "order": (
        of(
            ("c", OneHotEncoder(), ["sg"]),
            ("n", StandardScaler(), ["i", "x"]),
            ("p", "passthrough", ["gap"]),
            ("d", "drop", ["b"]),
        ),
        TABLE,
    ),
    "selector": (
        of(
            (
                "n",
                make_pipeline(SimpleImputer(), StandardScaler()),
                make_column_selector(dtype_include="number"),
            ),
            ("c", OneHotEncoder(), make_column_selector(dtype_exclude="number")),
        ),
        TABLE,
    ),
    "pattern": (of(("n", StandardScaler(), make_column_selector(pattern="^[xg]"))), TABLE),
    "callable": (of(("o", OrdinalEncoder(), even_columns)), TABLE),
    "slices": (
        of(("n", StandardScaler(), slice(0, 2)), ("c", OneHotEncoder(), slice("s", "sg"))),
        TABLE,
    ),
    "positions": (of(("n", StandardScaler(), [1, 0]), ("c", OneHotEncoder(), [-1])), TABLE),
    "positions and the rest": (
        of(("n", StandardScaler(), [2, 0]), remainder="passthrough"),
        NUMBERS,
    ),
    "mask": (of(("n", StandardScaler(), [True, False, True, False, False, False])), TABLE),
    "names as they are": (
        of(
            ("n", StandardScaler(), ["x"]),
            ("c", OneHotEncoder(), ["s"]),
            verbose_feature_names_out=False,
        ),
        TABLE,
    ),
    "names by a format": (
        of(
            ("n", StandardScaler(), ["x"]),
            verbose_feature_names_out="{transformer_name}!{feature_name}",
        ),
        TABLE,
    ),
    "twice": (of(("a", StandardScaler(), ["x", "i"]), ("b", MinMaxScaler(), ["x", "i"])), TABLE),
    "nothing chosen": (of(("a", StandardScaler(), []), ("b", MinMaxScaler(), ["x", "i"])), TABLE),
    "nothing matches": (
        of(
            ("a", StandardScaler(), make_column_selector(pattern="nothing")),
            ("b", MinMaxScaler(), ["x"]),
        ),
        TABLE,
    ),
    "weights": (of(STANDARD, ("b", MinMaxScaler(), ["x"]), transformer_weights={"n": 2.0}), TABLE),
    "function": (
        of(
            ("a", FunctionTransformer(log_size, feature_names_out="one-to-one"), ["x", "i"]),
            ONE_HOT,
        ),
        TABLE,
    ),
    "function, then scaler": (
        of(("a", make_pipeline(FunctionTransformer(log_size), StandardScaler()), ["x", "i"])),
        TABLE,
    ),
    "nested": (
        of(
            ("a", of(("s", StandardScaler(), ["x"]), ("m", MaxAbsScaler(), ["i"])), ["x", "i"]),
            ONE_HOT,
        ),
        TABLE,
    ),
    "booleans pass": (of(("p", "passthrough", ["b"]), STANDARD), TABLE),
    "only passthrough": (of(("p", "passthrough", ["i", "b"])), TABLE),
    "imputed strings": (
        of(("p", SimpleImputer(strategy="most_frequent"), ["sg"]), STANDARD),
        TABLE,
    ),
    "float32": (of(("p", "passthrough", ["a"]), ("n", StandardScaler(), ["b"])), FLOAT32),
    "matrix": (of(("a", StandardScaler(), [0, 1]), ("b", OneHotEncoder(), [2])), MATRIX),
    "matrix slice": (of(("a", StandardScaler(), slice(0, 2)), remainder="passthrough"), MATRIX),
    "matrix from the end": (of(("a", StandardScaler(), [-1]), remainder=MinMaxScaler()), MATRIX),
    "everything": (
        of(
            ("n", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["x", "gap"]),
            (
                "c",
                make_pipeline(
                    SimpleImputer(strategy="most_frequent"),
                    OneHotEncoder(drop="if_binary", min_frequency=0.05, handle_unknown="ignore"),
                ),
                ["s", "sg"],
            ),
            remainder="passthrough",
        ),
        TABLE,
    ),
}


@pytest.mark.parametrize(("transformer", "data"), CASES.values(), ids=CASES)
def test_columns_are_transformed_as_in_memory_however_they_are_read(parity, transformer, data):
    parity.check(transformer, data, rtol=1e-12, atol=1e-12, everywhere=True)


@pytest.mark.parametrize("threshold", [0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(),
        OneHotEncoder(drop="first", min_frequency=33),
        OneHotEncoder(categories=[["a", "b"]], handle_unknown="ignore"),
        OneHotEncoder(sparse_output=False),
    ],
    ids=["all", "drop and rare", "given", "dense"],
)
@pytest.mark.parametrize("other", [StandardScaler(), "passthrough"], ids=["scaled", "passed"])
def test_the_output_is_sparse_when_it_is_in_memory(parity, encoder, other, threshold):
    transformer = of(("c", encoder, ["s"]), ("n", other, ["i", "x"]), sparse_threshold=threshold)
    parity.check(transformer, TABLE, rtol=1e-12, atol=1e-12)


def test_the_output_turns_sparse_at_the_very_threshold(parity):
    """Density of one-hot columns beside dense ones, to the last stored value."""
    kinds = []
    for threshold in np.linspace(0.25, 0.55, 31):
        transformer = of(
            ("c", OneHotEncoder(min_frequency=30, drop="first"), ["s", "sg"]),
            ("n", "passthrough", ["i"]),
            sparse_threshold=float(threshold),
        )
        fitted = parity.check(transformer, TABLE)
        kinds.append(fitted.sparse_output_)
    assert kinds == sorted(kinds)
    assert len(set(kinds)) == 2


@pytest.mark.parametrize(
    "transformer",
    [
        of(STANDARD, ("c", OneHotEncoder(sparse_output=False), ["s"]), remainder="passthrough"),
        make_pipeline(
            of(
                ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["x", "gap"]),
                ("o", OrdinalEncoder(), ["s"]),
            ),
            MinMaxScaler(),
        ),
    ],
    ids=["columns", "pipeline"],
)
def test_pandas_output_stays_pandas(parity, transformer):
    transformer.set_output(transform="pandas")
    fitted = parity.check(transformer, TABLE, rtol=1e-12, atol=1e-12, everywhere=True)
    assert hasattr(fitted.transform(TABLE.slice(0, 9).to_pandas()), "columns")
