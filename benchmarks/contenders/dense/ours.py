"""streamlearn."""

from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
import streamlearn.run


def run(job, ready):
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    data = sl.scan(job.folder, target="label")
    return sl.fit(pipeline, data, memory_budget=job.budget, epochs=job.epochs).estimator


def predict(fitted, table):
    return fitted.predict(table.to_pandas())


def coefficients(fitted):
    return fitted[-1].coef_
