"""A loop by hand: statistics of the first file only, then partial_fit over frames."""

import glob

import pyarrow.parquet as pq

from benchmarks.contenders.taxi import COLUMNS, TARGET, make_taxi_pipeline

PIPELINE = make_taxi_pipeline()


def frames(paths, columns, rows=32_768):
    for path in paths:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=rows, columns=columns):
                yield batch.to_pandas()


def run(job, ready):
    paths = sorted(glob.glob(job.folder + "/*.parquet"))
    prepare, model = PIPELINE[0], PIPELINE[-1]
    prepare.fit(pq.read_table(paths[0], columns=COLUMNS).to_pandas())
    for frame in frames(paths, [*COLUMNS, TARGET]):
        y = frame.pop(TARGET).to_numpy()
        model.partial_fit(prepare.transform(frame), y)
    return PIPELINE


def predict(fitted, table):
    return fitted.predict(table.select(COLUMNS).to_pandas())


def coefficients(fitted):
    return fitted[-1].coef_
