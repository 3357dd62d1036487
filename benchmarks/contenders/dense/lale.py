"""lale: fit_with_batches."""

import glob

import pyarrow.parquet as pq
from lale.lib.rasl import PrioBatch, StandardScaler, fit_with_batches
from lale.lib.sklearn import SGDClassifier

PACKAGES = ("lale",)


def batches(folder):
    for path in sorted(glob.glob(folder + "/*.parquet")):
        for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=32_768):
            frame = batch.to_pandas()
            yield frame.drop(columns="label"), frame["label"]


def run(job, ready):
    return fit_with_batches(
        pipeline=StandardScaler() >> SGDClassifier(random_state=0),
        batches_train=batches(job.folder),
        batches_valid=None,
        scoring=None,
        unique_class_labels=[0, 1],
        max_resident=None,
        prio=PrioBatch(),
        partial_transform=False,
        verbose=0,
        progress_callback=None,
    )


def predict(fitted, table):
    return fitted.predict(table.to_pandas())
