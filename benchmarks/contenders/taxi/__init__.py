"""Taxi-like trips: four codes one-hot, three numbers imputed and scaled, linear regression by SGD."""

CODES = ["PULocationID", "DOLocationID", "RatecodeID", "payment_type"]
NUMBERS = ["trip_distance", "passenger_count", "congestion_surcharge"]
TARGET = "fare_amount"
COLUMNS = [*CODES, *NUMBERS]


def make_taxi_pipeline(**options):
    """Return the pipeline that every contender learns; options are the model's."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import SGDRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                ("codes", OneHotEncoder(handle_unknown="ignore"), CODES),
            ]
        ),
        SGDRegressor(random_state=0, **options),
    )
