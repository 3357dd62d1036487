"""Kernels of numbers other than scalers: bins, quantiles, gaps, picks, projections, one matrix."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection

from streamlearn.chunk import Schema
from streamlearn.errors import CellError
from streamlearn.prepare.base import EstimatorKernel, PassthroughKernel, Writes
from streamlearn.prepare.bins import BinEdges
from streamlearn.prepare.compile import compile_transformer, widest_dense
from streamlearn.prepare.dates import DateFeatures
from streamlearn.prepare.elementwise import ElementwiseKernel, FillKernel
from streamlearn.prepare.frame import numbers
from streamlearn.prepare.matrix import MatrixKernel

ROWS = 300
rng = np.random.default_rng(17)
TARGET = rng.random(ROWS) < 0.5


def table(columns):
    return pa.RecordBatch.from_pydict(columns)


def gappy(values):
    return pa.array(values, mask=rng.random(len(values)) < 0.2)


def plain(kind):
    columns = {name: rng.normal(3, 2, ROWS).astype(kind) for name in "abcd"}
    columns["d"] = np.round(columns["d"])
    return table({name: pa.array(values) for name, values in columns.items()})


FULL = {
    "float64": plain(np.float64),
    "float32": plain(np.float32),
    "mixed": table(
        {
            "x": rng.normal(3, 2, ROWS).astype(np.float32),
            "whole": rng.integers(-9, 9, ROWS),
            "small": rng.integers(0, 255, ROWS).astype(np.uint8),
        }
    ),
    "matrix64": rng.normal(1, 3, (ROWS, 3)),
    "matrix32": rng.normal(1, 3, (ROWS, 3)).astype(np.float32),
    "ordered by column": np.asfortranarray(rng.normal(1, 3, (ROWS, 3))),
}
GAPS = {
    "float64": table(
        {"x": rng.normal(3, 2, ROWS), "gap": gappy(rng.normal(3, 2, ROWS)), "none": pa.nulls(ROWS)}
    ),
    "float32": table({n: gappy(rng.normal(3, 2, ROWS).astype(np.float32)) for n in "abc"}),
    "whole": table({"w": gappy(rng.integers(0, 9, ROWS)), "x": gappy(rng.normal(size=ROWS))}),
    "matrix": np.where(rng.random((ROWS, 3)) < 0.2, np.nan, rng.normal(size=(ROWS, 3))),
}
GAPS["float64"] = table(
    {**dict(zip("ab", GAPS["float64"].columns[:2], strict=True)), "c": pa.nulls(ROWS, pa.float64())}
)


def frame_of(block):
    return block.to_pandas() if isinstance(block, pa.RecordBatch) else block.copy(order="K")


def quietly(function, *given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*given)


def fit(estimator, block):
    return quietly(estimator.fit, frame_of(block), TARGET[: block.shape[0]])


def fitted_on_floats(estimator, block):
    return fit(estimator, numbers(block) if isinstance(block, pa.RecordBatch) else block)


def same_bits(found, expected, *, rounding=False):
    if isinstance(found, pa.RecordBatch):
        found = numbers(found)
    expected = expected.to_numpy() if hasattr(expected, "to_numpy") else expected
    assert sparse.issparse(found) == sparse.issparse(expected)
    assert found.shape == expected.shape
    if not np.issubdtype(expected.dtype, np.integer):
        assert found.dtype == expected.dtype
    if sparse.issparse(found):
        assert found.format == expected.format
        found, expected = found.toarray(), expected.toarray()
    if rounding:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=10 * np.finfo(found.dtype).eps)
    else:
        np.testing.assert_array_equal(found, expected)


def equals_transform(estimator, block, *, kind=None, rounding=False):
    fitted = fit(estimator, block)
    kernel = compile_transformer(fitted)
    assert not isinstance(kernel, EstimatorKernel)
    assert kind is None or isinstance(kernel, kind)
    before = block.copy() if isinstance(block, np.ndarray) else None
    for part in (block, block[:1], block[5:90]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = kernel.apply(part)
        same_bits(found, quietly(fitted.transform, frame_of(part)), rounding=rounding)
    if before is not None:
        np.testing.assert_array_equal(block, before)
    return kernel


NO_GAPS = [
    *(
        KBinsDiscretizer(encode=encode, n_bins=bins, strategy=strategy, dtype=dtype)
        for encode in ("ordinal", "onehot", "onehot-dense")
        for bins, strategy, dtype in (
            (5, "quantile", None),
            (3, "uniform", np.float32),
            (80, "uniform", None),
        )
    ),
    Binarizer(),
    Binarizer(threshold=1.7, copy=False),
    Binarizer(threshold=np.float64(0.1)),
    SelectKBest(k=2),
    VarianceThreshold(),
    PCA(2),
    PCA(2, whiten=True),
    IncrementalPCA(2),
    TruncatedSVD(2),
    PolynomialFeatures(3),
    PolynomialFeatures(2, interaction_only=True, include_bias=False),
    Normalizer("l1", copy=False),
    Normalizer("max"),
    PowerTransformer(copy=False),
    PowerTransformer(standardize=False),
    GaussianRandomProjection(2, random_state=0),
    FunctionTransformer(),
]
FLOATS_ONLY = [
    SplineTransformer(n_knots=4),
    SplineTransformer(n_knots=4, sparse_output=True),
    RBFSampler(n_components=7, random_state=0),
    Nystroem(n_components=7, random_state=0),
]
WITH_GAPS = [
    QuantileTransformer(n_quantiles=30),
    QuantileTransformer(n_quantiles=30, output_distribution="normal", copy=False),
    MissingIndicator(),
    MissingIndicator(features="all"),
    SimpleImputer(add_indicator=True),
    SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
    SimpleImputer(strategy="constant", fill_value=2.5, add_indicator=True, copy=False),
    PowerTransformer(),
    VarianceThreshold(),
]


def names(values):
    return [f"{type(value).__name__} {index}" for index, value in enumerate(values)]


@pytest.mark.parametrize("block", FULL.values(), ids=FULL)
@pytest.mark.parametrize("estimator", NO_GAPS, ids=names(NO_GAPS))
def test_a_kernel_gives_the_bits_of_transform(estimator, block):
    equals_transform(estimator, block)


@pytest.mark.parametrize("block", [FULL["float64"], FULL["matrix32"]], ids=["table", "matrix"])
@pytest.mark.parametrize("estimator", FLOATS_ONLY, ids=names(FLOATS_ONLY))
def test_what_takes_floats_is_given_a_matrix(estimator, block):
    equals_transform(estimator, block, kind=MatrixKernel)


@pytest.mark.parametrize("block", GAPS.values(), ids=GAPS)
@pytest.mark.parametrize("estimator", WITH_GAPS, ids=names(WITH_GAPS))
def test_gaps_are_taken_as_transform_takes_them(estimator, block):
    empty = isinstance(block, pa.RecordBatch) and "c" in block.schema.names
    if empty and isinstance(estimator, QuantileTransformer | PowerTransformer | VarianceThreshold):
        block = block.select(["a", "b"])
    equals_transform(estimator, block)


@pytest.mark.parametrize("marker", [-999, 0, 2.5])
def test_an_imputer_fills_what_marks_a_gap(marker):
    values = rng.normal(size=(ROWS, 2))
    values[rng.random(values.shape) < 0.1] = marker
    for block in (values, table({"a": values[:, 0], "b": values[:, 1]})):
        equals_transform(SimpleImputer(missing_values=marker), block, kind=ElementwiseKernel)
        equals_transform(SimpleImputer(missing_values=marker, add_indicator=True), block)
        equals_transform(MissingIndicator(missing_values=marker), block, kind=MatrixKernel)


def test_whole_numbers_are_filled_as_whole_numbers():
    block = table({"a": rng.integers(0, 5, ROWS), "b": rng.integers(0, 9, ROWS).astype(np.int8)})
    fitted = fit(SimpleImputer(strategy="most_frequent"), block)
    kernel = compile_transformer(fitted, Schema.from_arrow(block.schema))
    assert isinstance(kernel, FillKernel)
    same_bits(kernel.apply(block), quietly(fitted.transform, frame_of(block)))
    holes = table({"a": [1, None, 3], "b": pa.array([None, 2, 3], pa.int8())})
    same_bits(kernel.apply(holes), quietly(fitted.transform, frame_of(holes)))


def test_a_number_on_an_edge_of_float64_falls_where_it_does_as_float32():
    edges = np.array([0.0, 0.1, 0.1 + 1e-12, 1 / 3, 0.7, 1.0])
    estimator = KBinsDiscretizer(n_bins=5, encode="ordinal", quantile_method="linear")
    fit(estimator, np.linspace(0, 1, 30).reshape(-1, 1))
    estimator.bin_edges_[0] = edges
    near = np.float32(edges)
    values = np.concatenate([near, np.nextafter(near, np.float32(9)), np.nextafter(near, near - 1)])
    expected = estimator.transform(values.reshape(-1, 1)).ravel()
    np.testing.assert_array_equal(BinEdges(estimator).find(values, 0), expected)


@pytest.mark.parametrize("normal", ["uniform", "normal"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_quantiles_that_repeat_and_numbers_beyond_them(normal, kind):
    learned = rng.integers(0, 5, (ROWS, 2)).astype(kind)
    learned[:, 1] = 4
    fitted = fit(QuantileTransformer(n_quantiles=20, output_distribution=normal), learned)
    asked = np.array([-1, 0, -0.0, 1e-8, 0.5, 1, 2, 3.9999, 4, 4 - 1e-9, 4.1, np.nan, 1e30], kind)
    block = np.column_stack([asked, asked])
    same_bits(compile_transformer(fitted).apply(block), fitted.transform(block))


CHAINS = {
    "imputer, bins": [SimpleImputer(), KBinsDiscretizer(encode="ordinal"), StandardScaler()],
    "imputer, onehot bins": [SimpleImputer(), KBinsDiscretizer(encode="onehot")],
    "imputer, dense bins": [SimpleImputer(), KBinsDiscretizer(encode="onehot-dense")],
    "quantiles, scaler": [SimpleImputer(), QuantileTransformer(n_quantiles=9), StandardScaler()],
    "scaler, pick": [SimpleImputer(), StandardScaler(), SelectKBest(k=1)],
    "scaler, pick, scaler": [SimpleImputer(), SelectKBest(k=2), MaxAbsScaler()],
    "pick twice": [StandardScaler(), VarianceThreshold(), SimpleImputer(), SelectKBest(k=1)],
    "gaps, pick": [SimpleImputer(add_indicator=True), VarianceThreshold(), StandardScaler()],
    "binarizer": [SimpleImputer(), Binarizer(threshold=3), OneHotEncoder()],
    "projection": [SimpleImputer(), StandardScaler(), PCA(2)],
    "identity, pick": [FunctionTransformer(), SimpleImputer(), VarianceThreshold(), PCA(1)],
}


@pytest.mark.parametrize("block", GAPS.values(), ids=GAPS)
@pytest.mark.parametrize("steps", CHAINS.values(), ids=CHAINS)
def test_kernels_in_a_row_give_the_bits_of_the_pipeline(steps, block):
    # Linear algebra rounds otherwise where a matrix lies in memory by rows, as kernels give it.
    equals_transform(make_pipeline(*steps), block, rounding=isinstance(steps[-1], PCA))


def test_columns_picked_after_scaling_cost_nothing():
    fitted = fit(make_pipeline(StandardScaler(), SelectKBest(k=2)), FULL["float64"])
    kernel = compile_transformer(fitted)
    assert isinstance(kernel, ElementwiseKernel)
    assert kernel.width == widest_dense(kernel) == 2


def test_columns_picked_of_a_table_are_not_copied():
    block = FULL["float64"]
    picked = compile_transformer(fit(SelectKBest(k=2), block)).apply(block)
    held = {column.buffers()[1].address for column in block.columns}
    assert {column.buffers()[1].address for column in picked.columns} <= held


def test_a_float32_column_picked_from_wider_ones_is_as_wide():
    block = table({"a": rng.normal(size=ROWS).astype(np.float32), "b": np.ones(ROWS)})
    equals_transform(VarianceThreshold(), block)
    equals_transform(make_pipeline(VarianceThreshold(), StandardScaler()), block)


def test_nothing_picked_is_said_by_scikit_learn():
    block = table({"a": np.arange(ROWS) % 2 * 1.0})
    fitted = fit(VarianceThreshold(), block)
    fitted.threshold, fitted.variances_ = 9, np.zeros(1)
    with pytest.warns(UserWarning, match="No features were selected"):
        assert compile_transformer(fitted).apply(block).shape == (ROWS, 0)


REFUSE_GAPS = [
    KBinsDiscretizer(encode="ordinal"),
    KBinsDiscretizer(encode="onehot"),
    Binarizer(),
    SelectKBest(k=2),
    PCA(2),
    Normalizer(),
    PolynomialFeatures(2),
    SplineTransformer(),
    make_pipeline(StandardScaler(), SelectKBest(k=2)),
]
REFUSE_INFINITY = [
    *REFUSE_GAPS,
    QuantileTransformer(n_quantiles=9),
    MissingIndicator(),
    SimpleImputer(add_indicator=True),
    VarianceThreshold(),
    PowerTransformer(),
]


@pytest.mark.parametrize("as_table", [True, False], ids=["table", "matrix"])
@pytest.mark.parametrize(
    ("estimator", "value"),
    [(found, np.nan) for found in REFUSE_GAPS] + [(found, np.inf) for found in REFUSE_INFINITY],
)
def test_a_cell_that_cannot_be_taken_is_named(estimator, value, as_table):
    values = rng.normal(3, 1, (ROWS, 3))
    bad = values.copy()
    # Picked by SelectKBest as well.
    values[:, 1] = bad[:, 1] = TARGET + rng.normal(0, 0.1, ROWS)
    bad[13, 1] = value
    clean, block = values, bad
    if as_table:
        clean, block = (table(dict(zip("abc", part.T, strict=True))) for part in (values, bad))
    kernel = compile_transformer(fit(estimator, clean))
    with pytest.raises(CellError) as caught:
        kernel.apply(block)
    assert caught.value.row == 13
    assert caught.value.column in ("b", "1")
    assert "missing" in str(caught.value) if np.isnan(value) else "infinite" in str(caught.value)


def test_a_gap_in_a_column_that_had_none_is_named():
    block = table({"a": np.arange(20.0), "b": [None, *np.arange(19.0)]})
    kernel = compile_transformer(quietly(MissingIndicator().fit, frame_of(block)))
    with pytest.raises(CellError, match="no gaps when MissingIndicator was fitted") as caught:
        kernel.apply(table({"a": [1.0, None], "b": [1.0, 2.0]}))
    assert (caught.value.row, caught.value.column) == (1, "a")


def test_words_where_numbers_are_needed_are_named():
    fitted = fit(PCA(1), FULL["float64"].select(["a", "b"]))
    with pytest.raises(CellError, match="where numbers are needed"):
        compile_transformer(fitted).apply(table({"a": [1.0], "b": ["x"]}))


@pytest.mark.parametrize(
    "estimator", [PCA(2), KBinsDiscretizer(encode="ordinal"), SelectKBest(k=1), Binarizer()]
)
def test_a_changed_output_format_keeps_its_own_transform(estimator):
    fitted = fit(estimator, FULL["float64"]).set_output(transform="pandas")
    try:
        assert isinstance(compile_transformer(fitted), EstimatorKernel)
    finally:
        fitted.set_output(transform="default")


@pytest.mark.parametrize(
    "estimator",
    [TruncatedSVD(2), Binarizer(), SelectKBest(k=2), VarianceThreshold(), MissingIndicator()],
)
def test_a_sparse_matrix_is_transformed_as_by_the_estimator(estimator):
    block = sparse.random(ROWS, 5, 0.3, "csr", random_state=3)
    fitted = quietly(estimator.fit, block, TARGET)
    found, expected = compile_transformer(fitted).apply(block), fitted.transform(block)
    same_bits(found, expected)


def test_rows_transformed_in_parts_have_the_same_bits():
    block = GAPS["float64"].select(["a", "b"])
    steps = make_pipeline(
        SimpleImputer(add_indicator=True), QuantileTransformer(n_quantiles=20), SelectKBest(k=2)
    )
    kernel = compile_transformer(fit(steps, block))
    whole = kernel.apply(block)
    for cuts in ([1, 2, 150], [299], list(range(0, ROWS, 7))):
        edges = [0, *[cut for cut in cuts if cut], ROWS]
        parts = [kernel.apply(block[a:b]) for a, b in pairwise(edges)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


WIDE = table(
    {
        "x": rng.normal(3, 2, ROWS),
        "gap": gappy(rng.normal(3, 2, ROWS)),
        "single": rng.normal(size=ROWS).astype(np.float32),
        "whole": rng.integers(0, 9, ROWS),
        "word": rng.choice(["a", "b", "c"], ROWS),
        "when": pa.array(rng.integers(0, 2**31, ROWS), pa.timestamp("s")),
    }
)
BRANCHES = {
    "all kinds": [
        ("n", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["x", "gap"]),
        ("o", OrdinalEncoder(), ["word"]),
        ("b", KBinsDiscretizer(encode="onehot-dense"), ["single"]),
        ("f", make_pipeline(StandardScaler(), KBinsDiscretizer(encode="ordinal")), ["x"]),
        ("c", OneHotEncoder(sparse_output=False), ["word", "whole"]),
        ("s", SelectKBest(k=1), ["x", "whole"]),
        ("g", MissingIndicator(), ["gap"]),
        ("p", "passthrough", ["whole"]),
        ("d", DateFeatures(parts=("month", "hour", "elapsed"), cyclic=True), ["when"]),
        ("m", PCA(1), ["x", "whole"]),
    ],
    "float32 beside float64": [
        ("a", StandardScaler(), ["single"]),
        ("b", StandardScaler(), ["x"]),
    ],
    "float32 alone": [("a", StandardScaler(), ["single"])],
    "onehot bins": [
        ("b", KBinsDiscretizer(encode="onehot"), ["single", "x"]),
        ("c", OneHotEncoder(), ["word"]),
        ("n", MaxAbsScaler(), ["whole"]),
        ("i", make_pipeline(SimpleImputer(), KBinsDiscretizer(encode="onehot")), ["gap"]),
    ],
    "onehot bins of float32": [
        ("b", KBinsDiscretizer(encode="onehot"), ["single"]),
        ("n", StandardScaler(), ["single"]),
    ],
    "one projection": [("m", PCA(2), ["x", "whole"])],
    "gaps": [("g", MissingIndicator(), ["gap"]), ("h", MissingIndicator(features="all"), ["x"])],
}


@pytest.mark.parametrize("threshold", [0.0, 1.0], ids=["dense", "sparse"])
@pytest.mark.parametrize("branches", BRANCHES.values(), ids=BRANCHES)
def test_branches_of_all_kinds_are_written_into_one_matrix(branches, threshold):
    transformer = ColumnTransformer(branches, sparse_threshold=threshold)
    kernel = equals_transform(transformer, WIDE)
    found = kernel.apply(WIDE)
    if not sparse.issparse(found):
        assert found.flags.c_contiguous or len(branches) == 1


def test_branches_of_a_matrix_are_written_into_one_matrix():
    branches = [
        ("n", StandardScaler(), [0, 2]),
        ("b", KBinsDiscretizer(encode="onehot-dense"), [1]),
        ("p", "passthrough", [1]),
        ("q", QuantileTransformer(n_quantiles=9), [2]),
    ]
    for name in ("matrix64", "matrix32", "ordered by column"):
        equals_transform(ColumnTransformer(branches), FULL[name])


def test_a_union_of_kernels():
    union = FeatureUnion([("s", SelectKBest(k=1)), ("p", PCA(2)), ("b", KBinsDiscretizer())])
    equals_transform(union, FULL["float64"])


def test_what_is_held_is_known():
    block = FULL["float64"]
    cases = [
        (PCA(2), 4),
        (PolynomialFeatures(2), 15),
        (KBinsDiscretizer(encode="onehot-dense", n_bins=5, strategy="uniform"), 20),
        (KBinsDiscretizer(encode="ordinal"), 4),
        (KBinsDiscretizer(encode="onehot"), 0),
        (SelectKBest(k=2), 2),
        (SplineTransformer(n_knots=4), 24),
        (SplineTransformer(n_knots=4, sparse_output=True), 4),
    ]
    for estimator, width in cases:
        kernel = compile_transformer(fit(estimator, block))
        assert widest_dense(kernel) == width
        assert kernel.width == quietly(estimator.transform, frame_of(block)).shape[1]
        assert isinstance(kernel, MatrixKernel | Writes)


def test_no_function_is_a_passthrough():
    kernel = compile_transformer(fit(FunctionTransformer(), WIDE))
    assert isinstance(kernel, PassthroughKernel)
    assert kernel.apply(WIDE) is WIDE


@pytest.mark.parametrize("options", [{}, {"dtype": np.int8}, {"drop": "first"}])
def test_unknown_words_are_all_zeros_in_a_dense_matrix(options):
    encoder = OneHotEncoder(handle_unknown="ignore", **options)
    branches = [("c", encoder, ["word", "whole"]), ("n", StandardScaler(), ["single"])]
    fitted = fit(ColumnTransformer(branches, sparse_threshold=0), WIDE)
    strange = table(
        {
            **{name: WIDE.column(name)[:3] for name in ("x", "gap", "single", "when")},
            "whole": [1, 77, 2],
            "word": ["a", "new", None],
        }
    ).select(WIDE.schema.names)
    kernel = compile_transformer(fitted)
    same_bits(kernel.apply(strange), quietly(fitted.transform, frame_of(strange)))
