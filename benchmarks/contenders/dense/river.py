"""River: StandardScaler | LogisticRegression, learn_many on frames."""

import glob

import pyarrow.parquet as pq
from river import linear_model, optim, preprocessing

PACKAGES = ("river",)


def run(job, ready):
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression(
        optimizer=optim.SGD(0.01)
    )
    for path in sorted(glob.glob(job.folder + "/*.parquet")):
        # One step of its model a call, so that calls of 32,768 rows would be too few of them.
        for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=4_096):
            frame = batch.to_pandas()
            y = frame.pop("label").astype(bool)
            model.learn_many(frame, y)
    return model


def predict(fitted, table):
    return fitted.predict_many(table.to_pandas()).to_numpy().astype(int)
