"""Parts of dates: as pandas has them, with and without zones, from frames and from Arrow."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import streamlearn as sl
from streamlearn.prepare.dates import PARTS, DatesKernel

rng = np.random.default_rng(2)
# After 2037 Arrow knows no daylight saving.
SECONDS = rng.integers(-2_100_000_000, 2_100_000_000, 300)
ZONES = [None, "UTC", "Europe/Warsaw", "America/New_York", "Asia/Kathmandu"]


def column(zone, unit):
    when = pd.Series(pd.to_datetime(SECONDS, unit="s").as_unit(unit))
    when[::17] = pd.NaT
    return when if zone is None else when.dt.tz_localize("UTC").dt.tz_convert(zone)


def expected(when, part):
    if part == "minute_of_day":
        return when.dt.hour * 60.0 + when.dt.minute
    if part == "is_weekend":
        return (when.dt.day_of_week >= 5).astype(float).where(when.notna())
    if part == "elapsed":
        zone = None if when.dt.tz is None else "UTC"
        return (when - pd.Timestamp(0, tz=zone)) / pd.Timedelta("1D")
    return getattr(when.dt, part).astype(float)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ZONES)
def test_parts_are_those_of_pandas_in_the_times_own_zone(zone, unit):
    frame = pd.DataFrame({"when": column(zone, unit)})
    dates = sl.DateFeatures(parts=PARTS).fit(frame)
    found = dates.transform(frame)
    for index, part in enumerate(PARTS):
        np.testing.assert_allclose(
            found[:, index], expected(frame["when"], part), rtol=1e-15, err_msg=part
        )
    batch = pa.RecordBatch.from_pandas(frame, preserve_index=False)
    np.testing.assert_array_equal(DatesKernel(dates).apply(batch), found)


def test_elapsed_days_do_not_jump_with_the_clock():
    hours = pd.date_range("2024-03-31", periods=8, freq="h", tz="UTC").tz_convert("Europe/Warsaw")
    frame = pd.DataFrame({"when": hours})
    days = sl.DateFeatures(parts=("elapsed",)).fit(frame).transform(frame)
    np.testing.assert_allclose(np.diff(days[:, 0]) * 24, 1.0, rtol=1e-9)


def test_cycles_close():
    frame = pd.DataFrame({"when": pd.to_datetime(["2024-01-01 00:00", "2024-01-01 23:59"])})
    dates = sl.DateFeatures(parts=("minute_of_day",), cyclic=True).fit(frame)
    found = dates.transform(frame)
    assert np.abs(found[0] - found[1]).max() < 0.005
    assert dates.get_feature_names_out().tolist() == [
        "when_minute_of_day_sin",
        "when_minute_of_day_cos",
    ]
