"""scikit-learn with everything in memory: HashingVectorizer and SGDClassifier."""

import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

from benchmarks.contenders.text import texts


def run(job, ready):
    frame = pd.read_parquet(job.folder)
    model = SGDClassifier(random_state=0, max_iter=1, tol=None)
    return make_pipeline(HashingVectorizer(n_features=2**18), model).fit(
        frame["text"], frame["label"]
    )


def predict(fitted, table):
    return fitted.predict(texts(table))


def coefficients(fitted):
    return fitted[-1].coef_
