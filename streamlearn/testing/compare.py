"""Whether two fitted estimators, or two matrices, are the same."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["assert_same_fit", "assert_same_matrix"]


def assert_same_fit(found: Any, expected: Any, *, rtol: float = 0.0, context: str = "") -> None:
    """Compare every fitted attribute of two estimators, those inside them included.

    Parameters
    ----------
    rtol : float
        Relative tolerance of float arrays; 0 for the same bits.

    Raises
    ------
    AssertionError
        Naming the attribute.
    """
    assert type(found) is type(expected), f"{context} {type(found)} is not {type(expected)}"
    names = {name for name in vars(expected) if name.endswith("_") and not name.startswith("_")}
    missing = names - set(vars(found))
    assert not missing, f"{context} {type(found).__name__} lacks {sorted(missing)}"
    for name in sorted(names):
        where = f"{context} {type(found).__name__}.{name}"
        _assert_same(getattr(found, name), getattr(expected, name), rtol, where)
    for name, step in getattr(expected, "named_steps", {}).items():
        if hasattr(step, "get_params"):
            assert_same_fit(found.named_steps[name], step, rtol=rtol, context=f"{context} {name}")


def _assert_same(found: Any, expected: Any, rtol: float, where: str) -> None:
    if hasattr(expected, "get_params"):
        assert_same_fit(found, expected, rtol=rtol, context=where)
    elif isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in expected:
            _assert_same(found[key], expected[key], rtol, f"{where}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            _assert_same(one, other, rtol, f"{where}[{index}]")
    elif hasattr(expected, "indptr"):
        assert_same_matrix(found, expected, rtol=rtol)
    elif type(expected).__name__ == "BSpline":
        for part in ("t", "c", "k"):
            _assert_same(getattr(found, part), getattr(expected, part), rtol, f"{where}.{part}")
    elif isinstance(expected, np.ndarray) and _holds_arrays(expected):
        _assert_same(list(found), list(expected), rtol, where)
    elif isinstance(expected, np.ndarray | np.generic | float):
        _assert_same_values(np.asarray(found), np.asarray(expected), rtol, where)
    elif isinstance(expected, int | str | bool | slice | None):
        assert found == expected, f"{where}: {found!r} is not {expected!r}"


def _holds_arrays(value: Any) -> bool:
    return value.dtype == object and any(isinstance(item, np.ndarray) for item in value.flat)


def _assert_same_values(found: Any, expected: Any, rtol: float, where: str) -> None:
    assert found.shape == expected.shape, f"{where}: shape {found.shape} is not {expected.shape}"
    assert found.dtype.kind == expected.dtype.kind, f"{where}: {found.dtype}, {expected.dtype}"
    if expected.dtype.kind in "fc" and rtol:
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=0, err_msg=where)
    elif expected.dtype.kind == "O":
        same = all(
            one is other or one == other or (one != one and other != other)  # noqa: PLR0124 - NaN
            for one, other in zip(found.ravel(), expected.ravel(), strict=True)
        )
        assert same, f"{where}: {found} is not {expected}"
    else:
        equal = np.array_equal(found, expected, equal_nan=expected.dtype.kind in "fcmM")
        assert equal, f"{where}: {found} is not {expected}"


def assert_same_matrix(found: Any, expected: Any, *, rtol: float = 0.0) -> None:
    """Compare two outputs of transform: both dense or both sparse, frames by their values.

    With a tolerance, a value that rounds to zero in one sparse matrix may be stored in the
    other; without, the same values must be stored in the same places.
    """
    sparse = hasattr(expected, "indptr")
    assert hasattr(found, "indptr") == sparse, "one is sparse, the other is not"
    if sparse:
        assert found.shape == expected.shape
        found, expected = found.tocsr(), expected.tocsr()
        if rtol:
            largest = np.abs(expected.data).max(initial=0.0)
            furthest = np.abs((found - expected).data).max(initial=0.0)
            assert furthest <= rtol * largest, f"values differ by {furthest} of {largest}"
            return
        found.sort_indices()
        expected.sort_indices()
        assert np.array_equal(found.indptr, expected.indptr), "rows store different counts"
        assert np.array_equal(found.indices, expected.indices), "values stand in other columns"
        found, expected = found.data, expected.data
    _assert_same_values(np.asarray(found), np.asarray(expected), rtol, "matrix")
