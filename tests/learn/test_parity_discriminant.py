"""LinearDiscriminantAnalysis: as fitted in memory."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.covariance import OAS
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from streamlearn.errors import CellError, DataError, UnsupportedEstimatorError
from streamlearn.learn.discriminant import ClassScatter

ROWS = 600
rng = np.random.default_rng(0)
CLASSES = rng.choice(np.array(["u", "v", "w"], dtype=object), ROWS, p=[0.2, 0.5, 0.3])
X = rng.normal(size=(ROWS, 5)) + 3
X[:, 0] += CLASSES == "u"
X[:, 1] += 2 * (CLASSES == "v")
TIED = np.column_stack([X, X[:, 2] * 2 + 1, np.full(ROWS, 0.25)])


def learn(estimator, X, y, cuts=(0, 1, 1, 150, 151), block=37):
    """Fit from blocks of fragments that are merged in order."""
    fitted, whole = clone(estimator), None
    for start, stop in zip(cuts, [*cuts[1:], len(y)], strict=True):
        part = ClassScatter(fitted)
        for at in range(start, stop, block):
            part.update(X[at : min(at + block, stop)], y[at : min(at + block, stop)], None)
        if whole is None:
            whole = part
        else:
            whole.merge(part)
    whole.finish(fitted, X[:3])
    return fitted


def check(parity, estimator, X, y, rtol=1e-8):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = clone(estimator).fit(X, y)
    fitted = learn(estimator, X, y)
    assert vars(fitted).keys() == vars(expected).keys()
    for name, value in vars(expected).items():
        found = getattr(fitted, name)
        if name == "scalings_":
            assert found.dtype == value.dtype
            assert found.shape == value.shape
            # Directions have no sign, and beyond the components nothing tells them apart.
            kept = expected._max_components
            value, found = value[:, :kept], found[:, :kept]
            found = found * np.sign((found * value).sum(axis=0))
        parity.same(found, value, name, rtol, rtol)
    parity.same(fitted.predict_proba(X), expected.predict_proba(X), "proba", 0, rtol)
    return fitted


SOLVERS = {
    "svd": LinearDiscriminantAnalysis(),
    "svd, covariance": LinearDiscriminantAnalysis(store_covariance=True),
    "svd, one component": LinearDiscriminantAnalysis(n_components=1),
    "lsqr": LinearDiscriminantAnalysis(solver="lsqr"),
    "lsqr, shrunk": LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3),
    "eigen": LinearDiscriminantAnalysis(solver="eigen"),
    "eigen, shrunk": LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.2),
}


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("priors", [None, [0.1, 0.3, 0.6]])
def test_every_solver_finds_what_it_finds_in_memory(parity, solver, priors):
    check(parity, clone(solver).set_params(priors=priors), X, CLASSES)
    two = None if priors is None else [0.3, 0.7]
    check(parity, clone(solver).set_params(priors=two, n_components=1), X, CLASSES == "v")
    frame = pd.DataFrame(X, columns=list("abcde"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(parity, clone(solver).set_params(priors=priors), frame, CLASSES)


@pytest.mark.parametrize("solver", ["svd", "svd, covariance", "lsqr, shrunk", "eigen, shrunk"])
def test_tied_and_constant_columns(parity, solver):
    check(parity, SOLVERS[solver], TIED, CLASSES)


def test_single_precision_is_kept(parity):
    # Sums are double here, and of seven digits in memory.
    check(parity, SOLVERS["svd"], X.astype(np.float32), CLASSES, 2e-4)


@pytest.mark.parametrize("offset", [1e6, 1e9])
def test_an_offset_does_not_turn_a_direction(offset):
    values = np.round(X * 1024) / 1024
    plain = learn(SOLVERS["svd"], values, CLASSES)
    moved = learn(SOLVERS["svd"], values + offset, CLASSES)
    np.testing.assert_allclose(moved.scalings_, plain.scalings_, 1e-9)
    np.testing.assert_allclose(moved.coef_, plain.coef_, 1e-9)


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(UnsupportedEstimatorError, match="shrinkage=0.1"):
        ClassScatter(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    with pytest.raises(UnsupportedEstimatorError, match="covariance_estimator"):
        ClassScatter(LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=OAS()))
    with pytest.raises(DataError, match="more rows than classes"):
        learn(LinearDiscriminantAnalysis(), X[:2], np.array([0, 1]), (0,))
    with pytest.raises(CellError, match="SimpleImputer"):
        learn(LinearDiscriminantAnalysis(), np.array([[1.0], [np.nan]]), np.array([0, 1]), (0,))


def test_a_state_holds_what_it_said_it_would():
    made = ClassScatter(LinearDiscriminantAnalysis())
    made.update(X, CLASSES, None)
    assert made._moments.scatter.nbytes <= made.planned_bytes(X.shape[1], ROWS)
