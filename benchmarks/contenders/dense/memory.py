"""scikit-learn with everything in memory."""

import pandas as pd
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def run(job, ready):
    frame = pd.read_parquet(job.folder)
    model = SGDClassifier(random_state=0, max_iter=job.epochs, tol=None)
    return make_pipeline(StandardScaler(), model).fit(frame.drop(columns="label"), frame["label"])


def predict(fitted, table):
    return fitted.predict(table.to_pandas())


def coefficients(fitted):
    return fitted[-1].coef_
