"""A loop by hand: count the documents of each word in one pass, weigh and learn in a second."""

from collections import Counter

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import SGDClassifier

from benchmarks.contenders.text import documents, texts


def fit_tfidf(folder):
    """Return a TfidfVectorizer as it would be after a fit on all documents."""
    seen, rows = Counter(), 0
    for X, _ in documents(folder):
        words = CountVectorizer(binary=True)
        counts = np.asarray(words.fit_transform(X).sum(axis=0)).ravel().tolist()
        seen.update(dict(zip(words.get_feature_names_out().tolist(), counts, strict=True)))
        rows += len(X)
    vocabulary = sorted(seen)
    frequency = np.array([seen[word] for word in vocabulary])
    tfidf = TfidfVectorizer(vocabulary=vocabulary)
    tfidf.idf_ = np.log((1 + rows) / (1 + frequency)) + 1
    return tfidf


def run(job, ready):
    tfidf, model = fit_tfidf(job.folder), SGDClassifier(random_state=0)
    for X, y in documents(job.folder):
        model.partial_fit(tfidf.transform(X), y, classes=[0, 1])
    return tfidf, model


def predict(fitted, table):
    tfidf, model = fitted
    return model.predict(tfidf.transform(texts(table)))


def coefficients(fitted):
    return fitted[1].coef_
