"""What is compared, in the order of the document."""

from benchmarks.work import Work
from benchmarks.works.dense import DENSE_SGD, DENSE_SGD_5, GROWTH, SMALL
from benchmarks.works.taxi import PREDICTIONS, TRIPS
from benchmarks.works.text import HASHED, TFIDF
from benchmarks.works.zarr import RAW, ZSTD

__all__ = ["WORKS"]

WORKS: dict[str, Work] = {
    work.name: work
    for work in (
        DENSE_SGD,
        DENSE_SGD_5,
        TRIPS,
        HASHED,
        TFIDF,
        RAW,
        ZSTD,
        PREDICTIONS,
        GROWTH,
        SMALL,
    )
}
