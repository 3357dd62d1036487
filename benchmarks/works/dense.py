"""Works on 28 float32 columns: one epoch beside everyone, five epochs, sizes, a small one."""

from benchmarks.data import DENSE
from benchmarks.work import DECODE, MODEL, OURS, Contender, Reach, Work

__all__ = ["DENSE_SGD", "DENSE_SGD_5", "GROWTH", "SMALL"]

_FLOORS = (
    Contender(DECODE, "decode", expected_s=2),
    Contender(MODEL, "dense.model", expected_s=3),
)
_OURS = Contender(OURS, "dense.ours", expected_s=5)
_HAND = Contender("hand loop", "dense.hand", expected_s=7, coef_tolerance=1e-3)

DENSE_SGD = Work(
    "dense-sgd",
    "28 float32 columns in parquet: StandardScaler, SGDClassifier, one epoch",
    DENSE,
    (
        _OURS,
        _HAND,
        Contender(
            "in memory",
            "dense.memory",
            expected_s=12,
            different="it shuffles all rows",
            score_tolerance=0.02,
        ),
        Contender(
            "dask-ml",
            "dense.dask_ml",
            "dask-ml",
            expected_s=8,
            different="it learns from row groups",
        ),
        Contender(
            "River",
            "dense.river",
            "river",
            most_runs=2,
            expected_s=30,
            different="logistic, one step a batch, scaled as it goes",
            score_tolerance=0.03,
        ),
        Contender(
            "lale",
            "dense.lale",
            "lale",
            most_runs=3,
            expected_s=12,
            different="its own task graph orders the steps",
        ),
        Contender(
            "Vowpal Wabbit",
            "dense.vowpal",
            "vowpalwabbit",
            most_runs=1,
            expected_s=90,
            different="its own adaptive SGD, hinge loss, rows as text",
            score_tolerance=0.03,
        ),
        Contender(
            "scikit-learn-intelex",
            "dense.sklearnex",
            "scikit-learn-intelex",
            most_runs=3,
            expected_s=4,
            different="another model: exact least squares, no scaler",
            score_tolerance=0.03,
        ),
        Contender(
            "XGBoost",
            "dense.xgboost",
            "xgboost",
            most_runs=1,
            expected_s=150,
            different="another model: 20 boosted trees from external memory",
            score_tolerance=0.1,
        ),
        *_FLOORS,
    ),
    reaches=(
        Reach("speed", 2.0, "hand loop"),
        Reach("speed", 2.0, "dask-ml"),
        Reach("floor", 1.25),
        Reach("peak", 0.65, "hand loop"),
        Reach("speed", 3.0, "in memory"),
        Reach("peak", 0.1, "in memory"),
        Reach("speed", 3.0, "lale"),
    ),
)

DENSE_SGD_5 = Work(
    "dense-sgd-5",
    "28 float32 columns in parquet: StandardScaler, SGDClassifier, five epochs",
    DENSE,
    (_OURS, _HAND, *_FLOORS),
    reaches=(Reach("speed", 3.0, "hand loop"),),
    epochs=5,
)

GROWTH = Work(
    "growth",
    "28 float32 columns in parquet, more and more rows: StandardScaler, SGDClassifier, one epoch",
    DENSE,
    (_OURS,),
    reaches=(Reach("even time", 0.10), Reach("even peak", 0.05)),
    rows_factor=3.0,
    sizes=(1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000),
)

SMALL = Work(
    "small",
    "10,000 rows of 28 float32 columns, after import: StandardScaler, SGDClassifier, one epoch",
    DENSE,
    (
        Contender(OURS, "small.ours", expected_s=4),
        Contender(
            "in memory",
            "small.memory",
            expected_s=4,
            different="it shuffles all rows",
            score_tolerance=0.05,
        ),
    ),
    reaches=(Reach("first", 0.060), Reach("later", 0.060)),
    rows=10_000,
    notes="One process; the first call after import, and the median of 15 later ones.",
)
