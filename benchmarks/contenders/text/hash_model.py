"""A floor: partial_fit alone, on hashed batches in memory, again and again to all rows."""

import itertools

from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

from benchmarks.contenders.dense.model import learn
from benchmarks.contenders.text import documents


def prepare(job):
    hashing = HashingVectorizer(n_features=2**18)
    return [(hashing.transform(X), y) for X, y in itertools.islice(documents(job.folder), 8)]


def run(job, ready):
    return learn(SGDClassifier(random_state=0), ready, job.rows, classes=[0, 1])
