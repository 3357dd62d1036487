"""Works on trips: learning from codes and numbers with gaps, and predicting."""

from benchmarks.data import PREDICT, TAXI
from benchmarks.work import DECODE, MODEL, OURS, Contender, Reach, Work

__all__ = ["PREDICTIONS", "TRIPS"]

TRIPS = Work(
    "taxi",
    "taxi-like trips in parquet: one-hot x 4, impute and scale x 3, SGDRegressor, one epoch",
    TAXI,
    (
        Contender(OURS, "taxi.ours", expected_s=4),
        Contender(
            "hand loop",
            "taxi.hand",
            expected_s=8,
            different="statistics of the first file only",
        ),
        Contender(
            "DictVectorizer loop",
            "taxi.dicts",
            share=0.05,
            most_runs=3,
            expected_s=200,
            different="rows as dicts, statistics of the first ones, and so many learned as said below",
            score_tolerance=0.05,
        ),
        Contender(
            "FeatureHasher loop",
            "taxi.hasher",
            share=0.05,
            most_runs=3,
            expected_s=150,
            different="rows as dicts, hashed, and so many learned as said below",
            score_tolerance=0.05,
        ),
        Contender(
            "in memory",
            "taxi.memory",
            expected_s=14,
            different="it shuffles all rows",
            score_tolerance=0.05,
        ),
        Contender(DECODE, "taxi.decode", expected_s=1),
        Contender(MODEL, "taxi.model", expected_s=2),
    ),
    reaches=(
        Reach("speed", 3.5, "hand loop"),
        Reach("speed", 25.0, "DictVectorizer loop"),
        Reach("peak", 0.5, "hand loop"),
    ),
    target="fare_amount",
    metric="rmse",
    notes="""One epoch in another order of rows gives another model: RMSE differed by 3 % from ours at
400,000 rows, with trips of 100 miles and more or without. What learns from a part of the rows scores
worse on such trips: 20.7 against 11.4 dollars after 20,000 rows, 11.3 without those trips.""",
)

PREDICTIONS = Work(
    "predict",
    "taxi-like trips in parquet: predictions of a fitted pipeline, to parquet",
    PREDICT,
    (
        Contender(OURS, "predict.ours", expected_s=4),
        Contender("hand loop", "predict.hand", expected_s=8, coef_tolerance=1e-9),
        Contender("in memory", "predict.memory", expected_s=12, coef_tolerance=1e-9),
        Contender(DECODE, "predict.decode", expected_s=1),
        Contender(MODEL, "predict.model", expected_s=1),
    ),
    reaches=(Reach("speed", 3.0, "hand loop"),),
    target="fare_amount",
    metric="rmse",
    notes="What is compared are the predictions themselves, and their number.",
)
