"""Tables that tests make."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def mixed_table(rows: int, seed: int = 0) -> pa.Table:
    """Numbers with gaps, categories, strings, a float target and a label."""
    rng = np.random.default_rng(seed)
    zone = rng.zipf(1.7, rows).clip(max=60).astype(np.int32)
    distance = rng.lognormal(1.0, 0.7, rows)
    count = rng.integers(1, 7, rows).astype(np.float64)
    count[rng.random(rows) < 0.1] = np.nan
    flag = np.where(rng.random(rows) < 0.3, "Y", "N").astype(object)
    flag[rng.random(rows) < 0.05] = None
    target = 3 * distance + zone * 0.2 + rng.normal(size=rows)
    return pa.table(
        {
            "zone": zone,
            "distance": distance,
            "count": pa.array(count, from_pandas=True),
            "flag": pa.array(flag),
            "y": target,
            "label": (target > np.median(target)).astype(np.int64),
            "name": np.where(target > np.median(target), "high", "low"),
            "w": rng.random(rows) + 0.5,
        }
    )
