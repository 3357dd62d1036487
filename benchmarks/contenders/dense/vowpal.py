"""Vowpal Wabbit: rows as text, by Arrow, then one pass of its reader in C++."""

import glob

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import vowpalwabbit

PACKAGES = ("vowpalwabbit",)


def lines(batch, label):
    names = [name for name in batch.schema.names if name != "label"]
    cells = [
        pc.binary_join_element_wise(name, batch[name].cast(pa.string()), ":") for name in names
    ]
    return pc.binary_join_element_wise(label, "|", *cells, " ").to_pylist()


def run(job, ready):
    text = job.out + "/rows.vw"
    with open(text, "w") as out:
        for path in sorted(glob.glob(job.folder + "/*.parquet")):
            for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=32_768):
                label = pc.if_else(pc.equal(batch["label"], 1), "1", "-1")
                out.write("\n".join(lines(batch, label)) + "\n")
    return vowpalwabbit.Workspace(f"--loss_function hinge --quiet --data {text}")


def predict(fitted, table):
    (batch,) = table.combine_chunks().to_batches()
    return [int(fitted.predict(line) > 0) for line in lines(batch, "")]
