"""A floor: partial_fit alone, on prepared batches in memory, again and again to all rows."""

import itertools

from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.contenders.dense.hand import batches


def prepare(job):
    kept = [(X.copy(order="C"), y) for X, y in itertools.islice(batches(job.folder), 16)]
    scaler = StandardScaler().fit(kept[0][0])
    return [(scaler.transform(X), y) for X, y in kept]


def learn(model, kept, rows, **options):
    """Show the model that many rows."""
    left = rows
    for X, y in itertools.cycle(kept):
        size = min(left, X.shape[0])
        model.partial_fit(X[:size], y[:size], **options)
        left -= size
        if not left:
            break
    return model


def run(job, ready):
    return learn(SGDClassifier(random_state=0), ready, job.rows * job.epochs, classes=[0, 1])
