"""Every transformer of scikit-learn: how it is fitted from chunks, in how many passes, how exactly.

``python -m benchmarks.catalogue`` fits each one from chunks and in memory, and writes
``docs/catalogue.md``.
"""

from __future__ import annotations

import argparse
import pickle
import platform
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn import __version__ as sklearn_version
from sklearn import cluster, compose, decomposition, feature_selection, preprocessing
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    Nystroem,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

import streamlearn as sl
from streamlearn.learn.registry import Exact, Learner, Stateless, find_recipe, refuse
from streamlearn.stream.events import PassStarted

ROWS = 20_000
COLUMNS = 8


@dataclass(frozen=True)
class Case:
    """One transformer, and data it is for."""

    estimator: Any
    data: str = "numbers"
    target: str | None = None
    note: str = ""
    by_hand: bool = False
    """Compared with a loop by hand, not with ``fit``."""
    any_sign: bool = False
    """The sign of components is arbitrary."""


def cases() -> dict[str, Case]:
    """Return an example of every transformer that is fitted from chunks, by its class name."""
    pre, dec, sel = preprocessing, decomposition, feature_selection
    classes, _numbers = {"target": "classes"}, {"target": "numbers"}
    all_rows = "of all rows, as with subsample=None"
    found = [
        Case(AdditiveChi2Sampler(), "counts"),
        Case(pre.Binarizer()),
        Case(FeatureHasher(n_features=64), "records"),
        Case(pre.FunctionTransformer(np.cbrt)),
        Case(HashingVectorizer(n_features=1024), "texts"),
        Case(pre.Normalizer()),
        Case(pre.PolynomialFeatures(2)),
        Case(PolynomialCountSketch(n_components=20, random_state=0)),
        Case(SkewedChi2Sampler(n_components=20, random_state=0), "counts"),
        Case(pre.StandardScaler()),
        Case(pre.MinMaxScaler()),
        Case(pre.MaxAbsScaler()),
        Case(pre.RobustScaler(), note="exact quantiles"),
        Case(pre.QuantileTransformer(n_quantiles=200, subsample=None), note=all_rows),
        Case(pre.PowerTransformer(), "skewed", note="maximum likelihood, Newton"),
        Case(pre.KBinsDiscretizer(5, subsample=None), note=all_rows),
        Case(pre.SplineTransformer(knots="quantile"), note="exact quantiles"),
        Case(SimpleImputer(strategy="median"), "gaps", note="mean, median, mode, constant"),
        Case(MissingIndicator(), "gaps"),
        Case(pre.OneHotEncoder(), "categories"),
        Case(pre.OrdinalEncoder(), "categories"),
        Case(pre.TargetEncoder(), "categories", "numbers", "training rows cross-fitted"),
        Case(pre.LabelEncoder(), "numbers", "classes"),
        Case(pre.LabelBinarizer(), "numbers", "classes"),
        Case(pre.MultiLabelBinarizer(), "numbers", "label lists"),
        Case(CountVectorizer(min_df=3), "texts"),
        Case(TfidfVectorizer(max_features=500), "texts"),
        Case(TfidfTransformer(), "counts"),
        Case(DictVectorizer(), "records"),
        Case(sel.VarianceThreshold(1.0)),
        Case(
            sel.SelectKBest(sel.f_classif, k=3),
            "plain",
            **classes,
            note="f_classif, f_regression, r_regression, chi2",
        ),
        Case(sel.SelectPercentile(sel.f_regression, percentile=40), "plain", "numbers"),
        Case(sel.SelectFpr(sel.f_regression), "plain", "numbers"),
        Case(sel.SelectFdr(sel.f_classif), "plain", "classes"),
        Case(sel.SelectFwe(sel.chi2), "counts", "classes"),
        Case(
            sel.GenericUnivariateSelect(sel.r_regression, mode="k_best", param=3),
            "plain",
            "numbers",
        ),
        Case(
            sel.SelectFromModel(SGDClassifier(random_state=0)),
            **classes,
            by_hand=True,
            note="over a model with partial_fit",
        ),
        Case(dec.PCA(4, svd_solver="full"), note="Gram matrix"),
        Case(dec.TruncatedSVD(4, algorithm="arpack", random_state=0), note="Gram matrix"),
        Case(
            dec.FactorAnalysis(3, svd_method="lapack"), note="covariance; up to sign", any_sign=True
        ),
        Case(dec.IncrementalPCA(4, batch_size=500), note="equals its own fit"),
        Case(
            LinearDiscriminantAnalysis(solver="svd"),
            "plain",
            "classes",
            note="class means and scatter",
            any_sign=True,
        ),
        Case(GaussianRandomProjection(5, random_state=0)),
        Case(SparseRandomProjection(5, random_state=0)),
        Case(RBFSampler(n_components=20, random_state=0)),
        Case(
            Nystroem(n_components=20, gamma=0.1, random_state=0),
            "plain",
            note="a uniform sample of rows, by hash",
        ),
        Case(dec.MiniBatchDictionaryLearning(3, batch_size=512, random_state=0), by_hand=True),
        Case(dec.MiniBatchNMF(3, random_state=0), "counts", by_hand=True),
        Case(
            dec.LatentDirichletAllocation(3, batch_size=2048, random_state=0),
            "counts",
            by_hand=True,
        ),
        Case(BernoulliRBM(4, batch_size=500, random_state=0), "counts", by_hand=True),
        Case(cluster.MiniBatchKMeans(4, n_init=1, random_state=0), by_hand=True),
        Case(cluster.Birch(n_clusters=None, threshold=8.0), by_hand=True),
        Case(
            compose.ColumnTransformer(
                [("s", pre.StandardScaler(), [0, 1])], remainder="passthrough"
            ),
            note="any nesting",
        ),
        Case(FeatureUnion([("s", pre.StandardScaler()), ("m", pre.MinMaxScaler())])),
        Case(make_pipeline(pre.StandardScaler(), dec.PCA(2, svd_solver="full"))),
    ]
    return {type(case.estimator).__name__: case for case in found}


def make_data(kind: str, rows: int = ROWS) -> Any:
    """Return rows of one kind: an array, or an Arrow table."""
    rng = np.random.default_rng(7)
    scale, middle = 10.0 ** rng.integers(-2, 3, COLUMNS), rng.normal(0, 50, COLUMNS)
    values = rng.normal(size=(rows, COLUMNS)) @ (
        np.eye(COLUMNS) + rng.normal(0, 0.3, (COLUMNS, COLUMNS))
    )
    values = values * scale + middle
    if kind == "numbers":
        return values
    if kind == "plain":
        # Middles far from zero cost scikit-learn's sums of squares digits, and not ours.
        return rng.normal(size=(rows, COLUMNS))
    if kind == "skewed":
        return np.exp(rng.normal(size=(rows, COLUMNS)) * rng.uniform(0.2, 1.0, COLUMNS)) - 0.5
    if kind == "counts":
        return rng.poisson(rng.random(COLUMNS) * 3, (rows, COLUMNS)).astype(np.float64)
    if kind == "gaps":
        return np.where(rng.random(values.shape) < 0.1, np.nan, values)
    if kind == "texts":
        words = np.array([f"w{number}" for number in range(2000)], dtype=object)
        picks = rng.zipf(1.3, (rows, 12)).clip(max=2000) - 1
        return pa.table({"text": [" ".join(row) for row in words[picks]]})
    texts = np.array(["red", "green", "blue", "żółty"], dtype=object)[rng.integers(0, 4, rows)]
    table = {"colour": pa.array(texts), "code": rng.integers(0, 40, rows)}
    if kind == "records":
        table["size"] = rng.normal(size=rows)
    return pa.table(table)


def make_target(kind: str | None, rows: int = ROWS) -> Any:
    """Return a target of one kind."""
    rng = np.random.default_rng(8)
    if kind == "classes":
        return rng.integers(0, 3, rows)
    if kind == "numbers":
        return rng.normal(size=rows)
    if kind == "label lists":
        return [[f"l{one}" for one in set(row)] for row in rng.integers(0, 9, (rows, 3)).tolist()]
    return None


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of one transformer."""

    name: str
    way: str
    passes: str = ""
    difference: str = ""
    state: str = ""
    note: str = ""


def measure(name: str, case: Case, rows: int = ROWS) -> Entry:
    """Fit from chunks and otherwise; compare."""
    recipe = find_recipe(case.estimator)
    X, y = make_data(case.data, rows), make_target(case.target, rows)
    passes: list[str] = []

    def count(event: Any) -> None:
        if isinstance(event, PassStarted):
            passes.append(event.name)

    data = sl.scan(with_target(X, y), target="y") if y is not None else sl.scan(X)
    found = sl.fit(
        case.estimator, data, chunk_size=3_000, listeners=[count], batch_size=_batch(case)
    ).estimator
    given = in_memory(case, X)
    with threadpool_limits(1):  # as inside fit, for the sake of the last bit
        expected = _fit_otherwise(case, _sampled(found, given), y)
    way = {Exact: "exact", Learner: "in order", Stateless: "learns nothing"}.get(
        type(recipe), "of its parts"
    )
    return Entry(
        name,
        way,
        str(len(passes)),
        f"{_difference(found, expected, given, any_sign=case.any_sign):.1e}",
        _state(case, X, y, rows) if isinstance(recipe, Exact) else "",
        case.note,
    )


def with_target(X: Any, y: Any) -> Any:
    """Put rows and target into one table."""
    table = (
        X
        if isinstance(X, pa.Table)
        else pa.Table.from_arrays(
            [*np.ascontiguousarray(X.T)], names=[f"x{index}" for index in range(X.shape[1])]
        )
    )
    return table.append_column("y", pa.array(y))


def in_memory(case: Case, X: Any) -> Any:
    """Return the rows as scikit-learn would get them."""
    if not isinstance(X, pa.Table):
        return (
            X
            if case.target is None
            else pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        )
    frame = X.to_pandas()
    if case.data == "texts":
        return frame["text"]
    return frame.to_dict("records") if case.data == "records" else frame


def _batch(case: Case) -> int | None:
    return getattr(case.estimator, "batch_size", None) if case.by_hand else None


def _sampled(found: Any, X: Any) -> Any:
    """Return the rows that a sample was fitted on, for what is fitted on one by its nature."""
    return X[np.sort(found.component_indices_)] if isinstance(found, Nystroem) else X


def _fit_otherwise(case: Case, X: Any, y: Any) -> Any:
    estimator = clone(case.estimator)
    if not case.by_hand:
        return (
            estimator.fit(y)
            if case.data == "numbers" and "Label" in type(estimator).__name__
            else estimator.fit(X, y)
        )
    size = getattr(estimator, "batch_size", 32_768)
    options = {"classes": np.unique(y)} if y is not None else {}
    X = np.asarray(X) if y is None else X
    for start in range(0, len(X), size):
        part = slice(start, start + size)
        if y is None:
            estimator.partial_fit(X[part])
        else:
            estimator.partial_fit(X[part], y[part], **(options if start == 0 else {}))
    return estimator


def _difference(found: Any, expected: Any, X: Any, *, any_sign: bool) -> float:
    """Return the largest difference of fitted attributes and output, against their largest value."""
    pairs = list(_attributes(found, expected))
    if not type(found).__name__.startswith(("Label", "MultiLabel")):
        pairs.append((_dense(found.transform(X)), _dense(expected.transform(X))))
    if any_sign:
        pairs = [(np.abs(one), np.abs(other)) for one, other in pairs]
    return max((_apart(one, other) for one, other in pairs), default=0.0)


_NOT_COMPARED = ("component_indices_", "transformers_")
"""Row numbers of another numbering, and what is compared by what it gives."""


def _attributes(found: Any, expected: Any) -> Iterator[tuple[Any, Any]]:
    for name, value in vars(expected).items():
        if name.endswith("_") and not name.startswith("_") and name not in _NOT_COMPARED:
            mine = getattr(found, name)
            if isinstance(value, np.ndarray) and value.dtype == object:
                mine, value = list(mine), list(value)
            if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
                yield from zip(mine, value, strict=True)
            elif isinstance(value, np.ndarray | float | dict):
                yield mine, value


def _dense(X: Any) -> Any:
    return X.toarray() if hasattr(X, "toarray") else np.asarray(X)


def _apart(one: Any, other: Any) -> float:
    if isinstance(other, dict) or np.asarray(other).dtype.kind in "OUSb":
        same = one == other if isinstance(other, dict) else np.array_equal(one, other)
        return 0.0 if same else np.inf
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if one.shape != other.shape:
        return np.inf
    gaps = np.isnan(one) & np.isnan(other)
    largest = np.abs(np.where(gaps, 0, other)).max(initial=0.0)
    apart = np.abs(np.where(gaps, 0, one - other)).max(initial=0.0)
    return float(apart / largest) if largest > 0 else float(apart)


def _state(case: Case, X: Any, y: Any, rows: int) -> str:
    """Return the bytes of one state, after the first pass over all rows."""
    recipe = find_recipe(case.estimator)
    assert isinstance(recipe, Exact)
    state: Any = recipe.make(case.estimator)
    block = X.to_batches()[0] if isinstance(X, pa.Table) else X
    if case.data == "texts":
        block = X.to_pandas()["text"]
    size = min(rows, 4_000)
    for start in range(0, rows, size):
        part = (
            block.slice(start, size)
            if isinstance(block, pa.RecordBatch)
            else block[start : start + size]
        )
        if hasattr(state, "note_rows"):
            state.note_rows(np.arange(start, start + size))
        state.update(
            part,
            None
            if y is None
            else np.asarray(y, dtype=object if isinstance(y, list) else None)[start : start + size],
            None,
        )
    return f"{len(pickle.dumps(state)) / 1000:,.0f} kB"


def others() -> Iterator[Entry]:
    """Yield what has no fit from chunks, with what to use instead, and what needs none."""
    known = cases()
    for name, kind in sorted(all_estimators(type_filter="transformer")):
        if name in known:
            continue
        estimator = kind(*_MADE_WITH.get(name, []))
        recipe = find_recipe(estimator)
        if isinstance(recipe, Stateless):
            yield Entry(name, "learns nothing", note="not measured")
        elif recipe is None:
            message = str(refuse(estimator, ""))
            hint = message.partition("; ")[2].partition(", or ")[0]
            yield Entry(
                name,
                "refused",
                note=hint.replace("let it be fitted", "fit it").partition(" with ")[0],
            )
        else:
            raise AssertionError(f"{name} is fitted as {recipe}, and is in no case")


_MADE_WITH: dict[str, list[Any]] = {
    "RFE": [SGDClassifier()],
    "RFECV": [SGDClassifier()],
    "SequentialFeatureSelector": [SGDClassifier()],
    "SparseCoder": [np.eye(2)],
    "StackingClassifier": [[]],
    "StackingRegressor": [[]],
    "VotingClassifier": [[]],
    "VotingRegressor": [[]],
}


def entries(names: list[str] | None = None) -> list[Entry]:
    """Measure every transformer, or those named."""
    found = []
    for name, case in sorted(cases().items()):
        if names and name not in names:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(measure(name, case))
        print(found[-1], flush=True)
    return found if names else [*found, *others()]


def render(found: list[Entry]) -> str:
    """Return the page."""
    good = [entry for entry in found if entry.way != "refused"]
    lines = [
        "# Catalogue: every transformer of scikit-learn",
        "",
        f"Written by `make catalogue` (`python -m benchmarks.catalogue`): scikit-learn {sklearn_version}, "
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}. "
        f"Each is fitted from chunks of 3,000 rows on {ROWS:,} rows of made-up data, and again by "
        "scikit-learn in memory (those that learn in order: by a loop of `partial_fit` over the same "
        "batches).",
        "",
        f"{len(good)} of {len(found)} are fitted from chunks, or learn nothing; "
        f"{sum(bool(entry.difference) for entry in good)} of them are measured here.",
        "",
        "- **exact**: fitted attributes equal those of the fit in memory, whatever the chunks.",
        "- **in order**: learns from batches of fixed size, in the order of the rows; to the bit what "
        "a loop by hand gives.",
        "- **learns nothing**: needs names, types or the number of columns only.",
        '- **refused**: learns from all rows at once; `on_unsupported="sample"` fits it on a random '
        "sample.",
        "",
        "*Passes* are those measured here; with continuous numbers quantiles take up to three. "
        "*Difference* is the largest of fitted attributes and output, against the largest value of "
        "each. *State* is what one state held after the first pass (pickled); there is one for each "
        "thread and one more.",
        "",
        "| transformer | way | passes | difference | state | |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {entry.name} | {entry.way} | {entry.passes} | {entry.difference} | {entry.state} | {entry.note} |"
        for entry in sorted(found, key=lambda entry: entry.name)
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="Only these; nothing is written.")
    names = parser.parse_args().names
    found = entries(names or None)
    if not names:
        Path("docs/catalogue.md").write_text(render(found), encoding="utf-8")


if __name__ == "__main__":
    main()
