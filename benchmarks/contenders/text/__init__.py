"""Short documents: hash or count their words, and learn a linear classifier by SGD."""

import glob

import pyarrow.parquet as pq

ROWS = 32_768


def documents(folder):
    """Yield batches of documents as a list of str, and their labels."""
    for path in sorted(glob.glob(folder + "/*.parquet")):
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=ROWS, columns=["text", "label"]):
                yield batch.column(0).to_pylist(), batch.column(1).to_numpy()


def texts(table):
    """Return the documents of a table as a list of str."""
    return table["text"].to_pylist()
