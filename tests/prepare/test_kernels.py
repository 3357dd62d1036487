"""Kernels: a compiled transformer gives what the transformer gives, to the bit."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import CellError
from streamlearn.learn.parse import parse
from streamlearn.prepare.base import EstimatorKernel
from streamlearn.prepare.compile import chain, compile_transformer
from streamlearn.prepare.encode import CategoryIndex

ROWS = 200
rng = np.random.default_rng(13)
WORDS = np.array(["b", "a", "é", "日本", "A", "", "rare"], dtype=object)
WORD_SHARES = [0.3, 0.2, 0.2, 0.1, 0.1, 0.07, 0.03]


def some(values, share=0.2):
    return pa.array(list(values), mask=rng.random(len(values)) < share)


def batch(columns):
    return pa.RecordBatch.from_pydict(columns)


NUMBERS = batch(
    {
        "x": rng.normal(3, 2, ROWS),
        "gap": some(rng.normal(1, 5, ROWS)),
        "whole": rng.integers(-9, 9, ROWS),
        "whole_null": some(rng.integers(0, 9, ROWS)),
        "small": rng.integers(0, 255, ROWS).astype(np.uint8),
        "bool": rng.random(ROWS) < 0.5,
        "empty": pa.nulls(ROWS, pa.float64()),
    }
)
FLOAT32 = batch({name: some(rng.normal(100, 1, ROWS).astype(np.float32)) for name in "abc"})
FULL = NUMBERS.select(["x", "whole", "small"])
MATRICES = {
    "float64": np.where(rng.random((ROWS, 3)) < 0.1, np.nan, rng.normal(size=(ROWS, 3))),
    "float32": rng.normal(size=(ROWS, 3)).astype(np.float32),
    "int64": rng.integers(-9, 9, (ROWS, 3)),
    "bool": rng.random((ROWS, 3)) < 0.5,
}
BLOCKS = {"table": NUMBERS, "table float32": FLOAT32, "table full": FULL, **MATRICES}
SCALERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    StandardScaler(with_mean=False, with_std=False),
    MinMaxScaler((-2, 3.5)),
    MinMaxScaler((0.1, 0.3), clip=True),
    MaxAbsScaler(),
    RobustScaler(),
    RobustScaler(with_centering=False),
    RobustScaler(with_scaling=False, quantile_range=(10, 60)),
    MaxAbsScaler(clip=True),
    SimpleImputer(),
    SimpleImputer(keep_empty_features=True),
    SimpleImputer(strategy="most_frequent"),
    SimpleImputer(strategy="constant", fill_value=3),
    SimpleImputer(add_indicator=True),
]
CATEGORIES = batch(
    {
        "word": rng.choice(WORDS, ROWS, p=WORD_SHARES),
        "word_null": some(rng.choice(WORDS, ROWS, p=WORD_SHARES)),
        "whole": rng.integers(-3, 4, ROWS),
        "whole_null": some(rng.integers(0, 4, ROWS)),
        "float": rng.integers(1, 9, ROWS) / 4,
        "float_null": some(rng.integers(1, 5, ROWS) * 1.0),
        "bool": rng.random(ROWS) < 0.3,
        "bool_null": some(rng.random(ROWS) < 0.3),
    }
)
STRANGE = batch(
    {
        "word": ["a", "new", "Ä", None, "rare", "b"],
        "word_null": ["a", "new", "", None, "rare", "日本"],
        "whole": [0, 3, 99, -(2**62), 2**62, -3],
        "whole_null": [0, None, 99, -1, 2**40, 3],
        "float": [0.25, 0.3, None, 1e300, -1.0, 2.0],
        "float_null": [1.0, 1.5, None, float("nan"), 1e300, 4.0],
        "bool": [True, False, True, False, True, True],
        "bool_null": [True, None, False, None, True, False],
    }
)
"""Values that were not there when the encoder was fitted, and missing ones."""
ONE_HOT = [
    {},
    {"drop": "first"},
    {"drop": "if_binary"},
    {"sparse_output": False},
    {"dtype": np.float32},
    {"sparse_output": False, "dtype": np.int8},
    {"min_frequency": 30},
    {"max_categories": 3},
    {"min_frequency": 0.1, "drop": "first"},
]
ORDINAL = [
    {},
    {"dtype": np.float32},
    {"encoded_missing_value": -2},
    {"min_frequency": 30},
    {"max_categories": 3, "encoded_missing_value": -1},
]
FORGIVING = [
    *(OneHotEncoder(**options, handle_unknown="ignore") for options in ONE_HOT),
    *(OneHotEncoder(**options, handle_unknown="infrequent_if_exist") for options in ONE_HOT),
    *(OneHotEncoder(**options, handle_unknown="warn") for options in ONE_HOT),
    *(
        OrdinalEncoder(**options, handle_unknown="use_encoded_value", unknown_value=value)
        for options in ORDINAL
        for value in (-5, np.nan)
    ),
]


def frame_of(block):
    return block.to_pandas() if isinstance(block, pa.RecordBatch) else block.copy()


def fit(estimator, block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(frame_of(block))


def transformed(fitted, block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitted.transform(frame_of(block))


def applied(kernel, block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kernel.apply(block)


def same_bits(found, expected):
    assert sparse.issparse(found) == sparse.issparse(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if sparse.issparse(found):
        assert found.format == expected.format
        assert found.has_canonical_format
        expected = expected.copy()
        expected.sum_duplicates()
        np.testing.assert_array_equal(found.indptr, expected.indptr)
        np.testing.assert_array_equal(found.indices, expected.indices)
        found, expected = found.data, expected.data
    np.testing.assert_array_equal(found, expected)


def names(values):
    return [f"{type(value).__name__} {index}" for index, value in enumerate(values)]


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("estimator", SCALERS, ids=names(SCALERS))
def test_a_numeric_kernel_gives_the_bits_of_transform(estimator, block):
    if block is MATRICES["bool"] and getattr(estimator, "strategy", "mean") != "mean":
        pytest.skip("scikit-learn refuses booleans here")
    fitted = fit(estimator, block)
    kernel = compile_transformer(fitted)
    same_bits(applied(kernel, block), transformed(fitted, block))
    for part in (block[:1], block[5:90]):
        same_bits(applied(kernel, part), transformed(fitted, part))


IN_PLACE = [
    StandardScaler(copy=False),
    MinMaxScaler(copy=False),
    MaxAbsScaler(copy=False),
    SimpleImputer(copy=False),
    SimpleImputer(copy=False, add_indicator=True),
    make_pipeline(SimpleImputer(copy=False), Normalizer(copy=False)),
]


@pytest.mark.parametrize("estimator", [*SCALERS, *IN_PLACE], ids=names([*SCALERS, *IN_PLACE]))
def test_a_numeric_kernel_leaves_its_input_alone(estimator):
    block = MATRICES["float64"].copy()
    kernel = compile_transformer(fit(estimator, block))
    block.flags.writeable = False
    before = block.copy()
    applied(kernel, block)
    np.testing.assert_array_equal(block, before)


@pytest.mark.parametrize(
    "estimator",
    [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler(), SimpleImputer()],
    ids=["standard", "minmax", "maxabs", "robust", "imputer"],
)
@pytest.mark.parametrize("as_table", [True, False], ids=["table", "matrix"])
def test_infinity_is_refused_with_row_and_column(estimator, as_table):
    values = np.ones((20, 2))
    values[:, 1] = np.arange(20)
    bad = values.copy()
    bad[13, 1] = -np.inf
    clean, block = values, bad
    if as_table:
        clean, block = (batch({"a": part[:, 0], "b": part[:, 1]}) for part in (values, bad))
    kernel = compile_transformer(fit(estimator, clean))
    with pytest.raises(CellError) as caught:
        kernel.apply(block)
    assert caught.value.row == 13
    assert caught.value.column == ("b" if as_table else "1")


CHAINS = {
    "imputer, standard": [SimpleImputer(), StandardScaler()],
    "imputer, minmax clip": [SimpleImputer(), MinMaxScaler((0.2, 0.4), clip=True)],
    "imputer, standard, minmax": [SimpleImputer(), StandardScaler(), MinMaxScaler()],
    "imputer, polynomial, maxabs": [SimpleImputer(), PolynomialFeatures(2), MaxAbsScaler()],
    "standard, imputer": [StandardScaler(), SimpleImputer()],
    "function, standard": [FunctionTransformer(np.cbrt), StandardScaler()],
}


@pytest.mark.parametrize(
    "block", [NUMBERS, FLOAT32, MATRICES["float64"]], ids=["table", "f32", "m"]
)
@pytest.mark.parametrize("steps", CHAINS.values(), ids=CHAINS)
def test_fused_kernels_give_the_bits_of_the_pipeline(steps, block):
    fitted = fit(make_pipeline(*steps), block)
    kernel = chain([compile_transformer(step) for _, step in fitted.steps])
    same_bits(applied(kernel, block), transformed(fitted, block))


@pytest.mark.parametrize(
    "columns", [[name] for name in CATEGORIES.schema.names] + [CATEGORIES.schema.names]
)
@pytest.mark.parametrize("estimator", FORGIVING, ids=names(FORGIVING))
def test_an_encoder_kernel_gives_the_bits_of_transform_for_known_and_unknown(estimator, columns):
    block, strange = CATEGORIES.select(columns), STRANGE.select(columns)
    fitted = fit(estimator, block)
    kernel = compile_transformer(fitted)
    same_bits(applied(kernel, block), transformed(fitted, block))
    same_bits(applied(kernel, strange), transformed(fitted, strange))


@pytest.mark.parametrize("data", ["int64", "float", "bool"])
@pytest.mark.parametrize("estimator", FORGIVING, ids=names(FORGIVING))
def test_an_encoder_kernel_gives_the_bits_of_transform_of_a_matrix(estimator, data):
    matrix = {
        "int64": rng.integers(-3, 4, (ROWS, 2)),
        "float": np.where(rng.random((ROWS, 2)) < 0.1, np.nan, rng.integers(1, 5, (ROWS, 2)) / 2),
        "bool": rng.random((ROWS, 2)) < 0.3,
    }[data]
    fitted = fit(estimator, matrix)
    kernel = compile_transformer(fitted)
    other = matrix[:9].copy()
    if data != "bool":
        other[2:5] = 77
    other.flags.writeable = False
    for block in (matrix, other):
        same_bits(applied(kernel, block), transformed(fitted, block))


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=["onehot", "ordinal"])
@pytest.mark.parametrize(
    ("column", "value"),
    [("word", "new"), ("whole", 99), ("float", 0.3), ("word", None), ("whole", None)],
)
def test_an_unknown_category_is_refused_with_row_and_column(encoder, column, value):
    block = CATEGORIES.select(["word", "whole", "float"])
    columns = {name: block.column(name).to_pylist() for name in block.schema.names}
    columns[column][17] = value
    kernel = compile_transformer(fit(encoder, block))
    with pytest.raises(CellError, match="was not there") as caught:
        kernel.apply(pa.RecordBatch.from_pydict(columns, schema=block.schema))
    assert caught.value.row == 17
    assert caught.value.column == column
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=["onehot", "ordinal"])
def test_an_unknown_category_of_a_matrix_is_refused_with_row_and_column(encoder):
    matrix = rng.integers(0, 4, (50, 3))
    kernel = compile_transformer(fit(encoder, matrix))
    bad = matrix.copy()
    bad[31, 2] = 8
    with pytest.raises(CellError) as caught:
        kernel.apply(bad)
    assert (caught.value.row, caught.value.column) == (31, "2")


SCALED = make_pipeline(SimpleImputer(), StandardScaler())
NAMED = pa.RecordBatch.from_arrays(
    [*NUMBERS.select(["x", "gap", "whole"]).columns, *CATEGORIES.select(["word", "float"]).columns],
    names=["x", "gap", "whole", "word", "float"],
)
CODES = {
    "function, onehot": [FunctionTransformer(), OneHotEncoder()],
    "function, ordinal": [FunctionTransformer(), OrdinalEncoder()],
    "onehot, maxabs": [OneHotEncoder(), MaxAbsScaler()],
    "onehot, standard, maxabs": [OneHotEncoder(), StandardScaler(with_mean=False), MaxAbsScaler()],
    "ordinal, standard": [OrdinalEncoder(), StandardScaler()],
    "ordinal, onehot": [OrdinalEncoder(), OneHotEncoder()],
}


@pytest.mark.parametrize("columns", [["word", "whole"], ["word_null", "float"]])
@pytest.mark.parametrize("steps", CODES.values(), ids=CODES)
def test_kernels_take_what_the_kernel_before_them_gives(steps, columns):
    block = CATEGORIES.select(columns)
    fitted = fit(make_pipeline(*steps), block)
    kernel = chain([compile_transformer(step) for _, step in fitted.steps])
    found, expected = applied(kernel, block), transformed(fitted, block)
    same_bits(found, expected)


TRANSFORMERS = {
    "dense": [("n", SCALED, ["x", "gap"]), ("o", OrdinalEncoder(), ["word"])],
    "elementwise": [("n", SCALED, ["gap"]), ("m", MinMaxScaler(), ["whole", "x"])],
    "sparse": [("n", SCALED, ["x", "gap"]), ("c", OneHotEncoder(), ["word", "float"])],
    "sparse and passed": [
        ("c", OneHotEncoder(drop="first"), ["float", "word"]),
        ("p", "passthrough", ["whole"]),
    ],
    "imputed": [
        (
            "c",
            make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(dtype=np.float32)),
            ["word"],
        ),
        ("m", MaxAbsScaler(), ["whole"]),
    ],
    "scaled codes": [
        ("c", make_pipeline(OneHotEncoder(), MaxAbsScaler()), ["word"]),
        ("m", MaxAbsScaler(), ["x"]),
    ],
}


@pytest.mark.parametrize("threshold", [0.0, 1.0], ids=["dense", "sparse"])
@pytest.mark.parametrize("transformers", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_a_column_kernel_gives_the_bits_of_transform(transformers, threshold):
    fitted = fit(ColumnTransformer(transformers, sparse_threshold=threshold), NAMED)
    from streamlearn.learn.graph import PassState

    node = parse(
        ColumnTransformer(transformers, sparse_threshold=threshold), Schema.from_arrow(NAMED.schema)
    )
    sample = frame_of(NAMED)[:8]
    node.settle(sample, None)
    while not node.fitted:
        state = PassState(rows=NAMED.num_rows)
        node.visit(Chunk(NAMED, np.arange(NAMED.num_rows)), state, False)
        node.settle(sample, state)
    for block in (NAMED, NAMED[:1], NAMED[3:50]):
        found = node.kernel.apply(block)
        same_bits(found, node.estimator.transform(frame_of(block)))
        assert sparse.issparse(found) == sparse.issparse(transformed(fitted, block))


def test_a_transformer_that_gives_pandas_keeps_its_own_transform():
    fitted = fit(StandardScaler().set_output(transform="pandas"), FULL)
    assert isinstance(compile_transformer(fitted), EstimatorKernel)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5), min_size=1, max_size=20),
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5), min_size=1, max_size=20),
)
def test_every_integer_is_found_at_its_place_or_not_at_all(known, asked):
    categories = np.unique(np.array(known, dtype=np.int64))
    place = {value: index for index, value in enumerate(categories.tolist())}
    index = CategoryIndex(categories)
    expected = [place.get(value, -1) for value in asked]
    assert index.find(np.array(asked, dtype=np.int64)).tolist() == expected
    assert index.find(pa.array(asked, pa.int64())).tolist() == expected


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(st.floats(allow_infinity=True), min_size=1, max_size=20),
    st.lists(st.floats(allow_infinity=True) | st.none(), min_size=1, max_size=20),
)
def test_every_float_is_found_at_its_place_or_not_at_all(known, asked):
    categories = np.unique(np.array(known))
    place = {value: index for index, value in enumerate(categories.tolist()) if value == value}
    missing = len(categories) - 1 if np.isnan(categories[-1]) else -1
    expected = [
        missing if value is None or value != value else place.get(value, -1) for value in asked
    ]
    found = CategoryIndex(categories).find(pa.array(asked, pa.float64()))
    assert found.tolist() == expected


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(st.text(max_size=3), min_size=1, max_size=20, unique=True),
    st.lists(st.text(max_size=3) | st.none(), min_size=1, max_size=20),
    st.sampled_from([pa.string(), pa.large_string()]),
    st.booleans(),
)
def test_every_string_is_found_at_its_place_or_not_at_all(known, asked, type_, with_missing):
    ordered = [*sorted(known), *([np.nan] if with_missing else [])]
    place = {value: index for index, value in enumerate(sorted(known))}
    missing = len(known) if with_missing else -1
    expected = [missing if value is None else place.get(value, -1) for value in asked]
    index = CategoryIndex(np.array(ordered, dtype=object))
    assert index.find(pa.array(asked, type_)).tolist() == expected
    assert index.find(np.array(asked, dtype=object)).tolist() == expected


KINDS = ["int8", "int32", "int64", "uint8", "uint16", "uint32", "float32", "float64"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_categories_that_are_numbers_with_gaps_are_found_by_place(kind, seed):
    """Whole numbers, fractions, values beyond the table, missing ones known or not."""
    rng = np.random.default_rng(seed)
    low, high = (0, 200) if kind.startswith("u") else (-100, 100)
    pool = rng.integers(low, high, 8)

    def column(values, share):
        values = rng.choice(values, 60).astype(kind)
        if kind.startswith("float"):
            odd = np.array([0.5, 1e30, -1e30])[rng.integers(0, 3, 60)]
            values = np.where(rng.random(60) < share, odd, values).astype(kind)
        return pa.array(values, mask=rng.random(60) < share)

    known, new = column(pool[:5], 0.2 * (seed % 2)), column([*pool, 3, 120], 0.2)
    frame, later = (part.to_pandas().to_frame("a") for part in (known, new))
    block = pa.record_batch({"a": new})
    onehot = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frame)
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -9}
    ordinal = OrdinalEncoder(**unknown, encoded_missing_value=-5).fit(frame)
    for encoder in (onehot, ordinal):
        got = compile_transformer(encoder, None).apply(block)
        wanted = encoder.transform(later)
        assert np.array_equal(got, wanted, equal_nan=True)
