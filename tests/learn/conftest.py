"""The law every test here states: fitting from chunks equals fitting in memory.

`Parity.check` holds an estimator to it: fitted attributes, output, names, parameters, pickling,
and the caller's own estimator left alone.
"""

from __future__ import annotations

import itertools
import pickle
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone

import streamlearn as sl

LAYOUTS: dict[str, Sequence[Sequence[float]]] = {
    "one": [[1.0]],
    "groups": [[0.02, 0.5, 0.13, 0.35]],
    "files": [[0.3, 0.01], [0.09], [0.25, 0.35]],
}
"""Row groups of each file, as shares of the rows."""

READINGS = {
    "groups": [(7, 3), (1, 1), (1000, 3), (1000, 1)],
    "one": [(7, 1), (1000, 3)],
    "files": [(7, 3), (1000, 1)],
}
"""Chunk sizes and threads of each layout; the first alone where one is enough."""


def write(table: pa.Table, folder: Path, layout: str = "one") -> list[str]:
    """Write a table in one of the layouts; return the files in order."""
    folder.mkdir()
    shares = LAYOUTS[layout]
    flat = np.cumsum([share for file in shares for share in file])
    bounds = np.round(flat / flat[-1] * table.num_rows).astype(int)
    edges = iter(itertools.pairwise([0, *bounds]))
    paths = []
    for number, file in enumerate(shares):
        paths.append(str(folder / f"part-{number}.parquet"))
        with pq.ParquetWriter(paths[-1], table.schema) as writer:
            for _ in file:
                start, stop = next(edges)
                if stop > start:
                    writer.write_table(
                        table.slice(start, stop - start), row_group_size=stop - start
                    )
    return paths


def fitted_attributes(estimator: Any) -> Iterator[tuple[str, Any]]:
    """Yield what fitting left: public names that end in one underscore."""
    for name in sorted({*vars(estimator), "infrequent_categories_"}):
        if name.endswith("_") and not name.startswith("_") and not name.endswith("__"):
            try:
                yield name, getattr(estimator, name)
            except AttributeError:
                continue


def same(found: Any, expected: Any, where: str, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Assert that two values are the same thing: kind, dtype, shape, values, to the depth."""
    if isinstance(expected, BaseEstimator):
        assert type(found) is type(expected), where
        same_fitted(found, expected, where, rtol)
    elif isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray), f"{where}: {type(found)}"
        assert found.dtype == expected.dtype, f"{where}: {found.dtype} is not {expected.dtype}"
        assert found.shape == expected.shape, f"{where}: {found.shape} is not {expected.shape}"
        if expected.dtype.kind in "fc" and (rtol or atol):
            np.testing.assert_allclose(found, expected, rtol, atol, err_msg=where)
        elif expected.dtype == object:
            for index, (mine, theirs) in enumerate(zip(found.flat, expected.flat, strict=True)):
                same(mine, theirs, f"{where}[{index}]", rtol, atol)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=where, strict=True)
    elif sparse.issparse(expected):
        assert type(found) is type(expected), f"{where}: {type(found)} is not {type(expected)}"
        assert found.shape == expected.shape, where
        assert found.has_canonical_format, f"{where}: unsorted"
        expected = expected.copy()
        expected.sum_duplicates()
        same(found.indptr.astype(int), expected.indptr.astype(int), where)
        same(found.indices.astype(int), expected.indices.astype(int), where)
        same(found.data, expected.data, where, rtol, atol)
    elif type(expected).__name__ == "BSpline":
        assert type(found) is type(expected), where
        same(vars(found), vars(expected), where, rtol, atol)
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, rtol=rtol, atol=atol, obj=where)
    elif isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key, value in expected.items():
            same(found[key], value, f"{where}[{key!r}]", rtol, atol)
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected), f"{where}: {type(found)} is not {type(expected)}"
        assert len(found) == len(expected), where
        for index, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
            same(mine, theirs, f"{where}[{index}]", rtol, atol)
    elif isinstance(expected, float | np.floating):
        assert isinstance(found, float | np.floating), f"{where}: {found!r} is not {expected!r}"
        np.testing.assert_allclose(found, expected, rtol, atol, err_msg=where)
    else:
        if not isinstance(expected, int | np.integer) or isinstance(expected, bool):
            assert type(found) is type(expected), f"{where}: {found!r} is not {expected!r}"
        assert found is expected or found == expected, f"{where}: {found!r} is not {expected!r}"


def same_fitted(found: Any, expected: Any, where: str = "", rtol: float = 0.0) -> None:
    """Assert that two estimators have been fitted to the same state."""
    mine, theirs = dict(fitted_attributes(found)), dict(fitted_attributes(expected))
    assert mine.keys() == theirs.keys(), f"{where}: {mine.keys() ^ theirs.keys()}"
    for name, value in theirs.items():
        if name == "transformer_list" or callable(value):
            continue
        same(mine[name], value, f"{where}.{name}", rtol)
    if hasattr(expected, "steps"):
        for (name, step), (_, other) in zip(found.steps, expected.steps, strict=True):
            same(step, other, f"{where}.{name}", rtol)


def _shown(value: Any) -> str:
    return re.sub(r" at 0x\w+", "", repr(value))


class Parity:
    """Fits from chunks and in memory, and compares."""

    same = staticmethod(same)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def source(self, data: Any, layout: str = "one") -> sl.Dataset:
        """Write a table to parquet and scan it; an array is scanned as it is."""
        if isinstance(data, np.ndarray):
            return sl.scan(data)
        self._number += 1
        return sl.scan(write(data, self._folder / str(self._number), layout))

    def check(
        self,
        estimator: Any,
        data: Any,
        *,
        rtol: float = 0.0,
        atol: float = 0.0,
        everywhere: bool = False,
    ) -> Any:
        """Hold an estimator to the law; ``atol`` is for its output only.

        Parameters
        ----------
        everywhere : bool
            All layouts, chunk sizes and threads, rather than one of each.
        """
        rows = data if isinstance(data, np.ndarray) else data.to_pandas()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reference = clone(estimator).fit(rows)
            expected = reference.transform(rows.copy())
        given = pickle.dumps(estimator)
        layouts = list(LAYOUTS) if everywhere and not isinstance(data, np.ndarray) else ["groups"]
        fitted = None
        for layout in layouts:
            source = self.source(data, layout)
            first = None
            for chunk_size, threads in READINGS[layout] if everywhere else READINGS[layout][:1]:
                fitted = sl.fit(estimator, source, chunk_size=chunk_size, threads=threads).estimator
                if first is None:
                    first = fitted
                    self._compare(fitted, reference, expected, rows, rtol, atol)
                else:
                    same_fitted(
                        fitted, first, f"{layout}, chunks of {chunk_size}, {threads} threads"
                    )
        assert pickle.dumps(estimator) == given, "the caller's estimator was changed"
        # Not the unfitted one's: FeatureUnion puts a transformer in the place of "passthrough".
        assert _shown(fitted.get_params()) == _shown(reference.get_params())
        assert _shown(clone(fitted)) == _shown(clone(reference))
        return fitted

    @staticmethod
    def _compare(
        fitted: Any, reference: Any, expected: Any, rows: Any, rtol: float, atol: float
    ) -> None:
        same(fitted, reference, type(reference).__name__, rtol)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            same(fitted.transform(rows.copy()), expected, "output", rtol, atol)
            again = pickle.loads(pickle.dumps(fitted))
            same(again.transform(rows.copy()), fitted.transform(rows.copy()), "output, unpickled")
        for name in ("n_features_in_", "feature_names_in_"):
            assert hasattr(fitted, name) == hasattr(reference, name), name
        if hasattr(reference, "feature_names_in_"):
            same(fitted.feature_names_in_, reference.feature_names_in_, "feature_names_in_")
        try:
            names = reference.get_feature_names_out()
        except (AttributeError, ValueError):
            return
        same(fitted.get_feature_names_out(), names, "get_feature_names_out()")


@pytest.fixture(scope="session")
def parity(tmp_path_factory: pytest.TempPathFactory) -> Parity:
    """Return what holds an estimator to the law."""
    return Parity(tmp_path_factory.mktemp("parity"))
