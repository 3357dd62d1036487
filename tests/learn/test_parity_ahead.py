"""Bins and knots behind an imputer: learned in its passes, from data with gaps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer

import streamlearn as sl
from streamlearn.errors import DataError

ROWS = 300
rng = np.random.default_rng(9)


def some(values, share):
    return pa.array(values, mask=rng.random(len(values)) < share)


TABLE = pa.table(
    {
        "few": some(rng.normal(size=ROWS), 0.05),
        "many": some(rng.gamma(2.0, size=ROWS), 0.7),
        "tied": some(rng.integers(0, 6, ROWS), 0.3),
        "full": rng.normal(1e6, 1.0, ROWS),
        "empty": pa.nulls(ROWS, pa.float64()),
    }
)
IMPUTERS = {
    "median": SimpleImputer(strategy="median"),
    "mode": SimpleImputer(strategy="most_frequent"),
    "constant": SimpleImputer(strategy="constant", fill_value=-3.0),
    "far": SimpleImputer(strategy="constant", fill_value=1e9),
}
FOLLOWERS = {
    "bins": KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"),
    "bins, linear": KBinsDiscretizer(7, encode="onehot-dense", quantile_method="linear"),
    "knots": SplineTransformer(knots="quantile", n_knots=4),
}


@pytest.mark.parametrize("keep", [False, True], ids=["drop", "keep"])
@pytest.mark.parametrize("imputer", IMPUTERS)
@pytest.mark.parametrize("follower", FOLLOWERS)
@pytest.mark.filterwarnings("ignore")
def test_bins_and_knots_learn_in_the_imputers_passes(parity, follower, imputer, keep):
    pipeline = make_pipeline(
        IMPUTERS[imputer].set_params(keep_empty_features=keep), FOLLOWERS[follower]
    )
    if follower == "knots" and keep:
        pytest.skip("a constant column has no knots at its quantiles")
    plan = sl.explain(pipeline, sl.scan(TABLE))
    assert "ahead of 'simpleimputer'" in plan.passes[0].why
    parity.check(pipeline, TABLE, rtol=1e-12, atol=1e-12, everywhere=True)


def test_gaps_are_refused_where_no_imputer_stands_before():
    with pytest.raises(DataError, match="'few'.*put an imputer before it"):
        sl.fit(KBinsDiscretizer(3), sl.scan(TABLE.select(["few"])))


@pytest.mark.filterwarnings("ignore")
def test_bins_of_other_kinds_wait_for_the_imputer(parity):
    for bins in (KBinsDiscretizer(3, strategy="uniform"), KBinsDiscretizer([2, 3])):
        pipeline = make_pipeline(SimpleImputer(), bins)
        plan = sl.explain(pipeline, sl.scan(TABLE.select(["few", "full"])))
        assert "KBins" not in plan.passes[0].why
        parity.check(pipeline, TABLE.select(["few", "full"]), rtol=1e-12, atol=1e-12)
