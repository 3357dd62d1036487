"""A floor: partial_fit alone, on weighed batches in memory, again and again to all rows."""

import itertools

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier

from benchmarks.contenders.dense.model import learn
from benchmarks.contenders.text import documents


def prepare(job):
    kept = list(itertools.islice(documents(job.folder), 8))
    tfidf = TfidfVectorizer().fit(list(itertools.chain.from_iterable(X for X, _ in kept)))
    return [(tfidf.transform(X), y) for X, y in kept]


def run(job, ready):
    return learn(SGDClassifier(random_state=0), ready, job.rows, classes=[0, 1])
