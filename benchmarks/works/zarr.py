"""Works on zarr stores."""

from benchmarks.data import ZARR_RAW, ZARR_ZSTD
from benchmarks.work import DECODE, MODEL, OURS, Contender, Data, Reach, Work

__all__ = ["RAW", "ZSTD"]


def _work(data: Data, title: str) -> Work:
    return Work(
        data.name,
        f"28 float32 columns in zarr, {title}: StandardScaler, SGDClassifier, one epoch",
        data,
        (
            Contender(OURS, "zarr.ours", expected_s=5),
            Contender("slices loop", "zarr.slices", expected_s=9, coef_tolerance=1e-3),
            Contender(DECODE, "zarr.decode", expected_s=1),
            Contender(MODEL, "zarr.model", expected_s=3),
        ),
        reaches=(Reach("speed", 2.5, "slices loop"),),
    )


RAW = _work(ZARR_RAW, "raw")
ZSTD = _work(ZARR_ZSTD, "zstd")
