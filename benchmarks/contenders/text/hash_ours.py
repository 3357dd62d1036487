"""streamlearn: HashingVectorizer and SGDClassifier."""

from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

import streamlearn as sl
import streamlearn.run
from benchmarks.contenders.text import texts


def run(job, ready):
    pipeline = make_pipeline(HashingVectorizer(n_features=2**18), SGDClassifier(random_state=0))
    data = sl.scan(job.folder, target="label", features=["text"])
    return sl.fit(pipeline, data, memory_budget=job.budget).estimator


def predict(fitted, table):
    return fitted.predict(texts(table))


def coefficients(fitted):
    return fitted[-1].coef_
