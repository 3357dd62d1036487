"""A loop by hand: HashingVectorizer, then partial_fit."""

from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

from benchmarks.contenders.text import documents, texts


def run(job, ready):
    hashing, model = HashingVectorizer(n_features=2**18), SGDClassifier(random_state=0)
    for X, y in documents(job.folder):
        model.partial_fit(hashing.transform(X), y, classes=[0, 1])
    return hashing, model


def predict(fitted, table):
    hashing, model = fitted
    return model.predict(hashing.transform(texts(table)))


def coefficients(fitted):
    return fitted[1].coef_
