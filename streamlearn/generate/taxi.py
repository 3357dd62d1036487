"""Trips like those of New York's green taxis: columns, types, gaps, skew and dirt."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamlearn.generate.parts import (
    FACES,
    ROWS,
    TAXI,
    WORLD,
    Dice,
    Doubles,
    Flags,
    Floats,
    Longs,
    PartsWriter,
    Progress,
    make_column,
    seeded_stream,
)

__all__ = ["generate_taxi"]


# Short blocks keep the memory in hand small; a month is made of several.
_TAXI_BLOCK = 1 << 14
_BLOCKS_PER_STEP = 4
_ZONES = 265
_START = np.datetime64("2019-01", "M")
_GROWING_MONTHS = 30
_HOUR = 3600
_WEEK = 168
# The epoch was a Thursday, three days after a Monday.
_EPOCH_HOUR_OF_WEEK = 72

# Trips by hour of the day, and minutes more or less that a trip takes then.
_DEMAND = np.array(
    [18, 12, 10, 8, 7, 6, 14, 37, 47, 52, 52, 54, 53, 59, 64, 70, 79, 77, 77, 61, 50, 38, 32, 24]
)
_TRAFFIC = 0.5 * np.array(
    [-4, -5, -6, -6, -5, -4, -2, 2, 4, 2, 0, 0, 0, 1, 3, 5, 5, 4, 2, 0, -2, -2, -2, -3]
)
_NIGHT_CENTS, _RUSH_CENTS = 100, 250
_WEEKEND_DEMAND = 0.85
_WEEKEND_RELIEF = 1.0


def _weekly(weekday: npt.NDArray[Any], weekend: npt.NDArray[Any]) -> Doubles:
    return np.concatenate([np.tile(weekday, 5), np.tile(weekend, 2)]).astype(np.float64)


def _extra_by_hour() -> npt.NDArray[np.int32]:
    hours = np.arange(24)
    night = np.where((hours >= 20) | (hours < 6), _NIGHT_CENTS, 0)
    rush = np.where((hours >= 16) & (hours < 20), _RUSH_CENTS, night)
    return _weekly(rush, night).astype(np.int32)


_DEMAND_BY_HOUR = _weekly(_DEMAND, _WEEKEND_DEMAND * _DEMAND)
_TRAFFIC_BY_HOUR = _weekly(_TRAFFIC, _TRAFFIC - _WEEKEND_RELIEF).astype(np.float32)
_EXTRA_BY_HOUR = _extra_by_hour()


def _faces(values: npt.ArrayLike, shares: npt.ArrayLike, dtype: npt.DTypeLike) -> Any:
    """Table of 65,536 entries: a 16-bit die looked up in it falls on values by their shares."""
    total = np.cumsum(np.asarray(shares, dtype=np.float64))
    edges = np.rint(total / total[-1] * FACES).astype(np.int64)
    return np.repeat(np.asarray(values, dtype=dtype), np.diff(edges, prepend=0))


def _below(share: float) -> int:
    """Threshold a 16-bit die is below with this probability."""
    return round(share * FACES)


_VENDOR = _faces([2, 1], [0.868, 0.132], np.int8)
_PASSENGERS = _faces(
    [1, 2, 5, 3, 6, 0, 4], [0.8553, 0.0779, 0.026, 0.0149, 0.0149, 0.0063, 0.0047], np.int8
)
_RATECODE = _faces([1, 5, 2, 4, 3, 99], [0.9654, 0.0304, 0.0026, 0.0009, 0.0006, 0.0001], np.int8)
_PAYMENT = _faces([1, 2, 3, 4], [0.645, 0.349, 0.0048, 0.0012], np.int8)
_IMPROVEMENT = _faces([100, 30, 0], [0.9428, 0.052, 0.0052], np.int8)
_CONGESTION = _faces([0, 275], [0.733, 0.267], np.int32)
_TIP_PERCENT = _faces([0, 10, 15, 20, 25, 30], [0.1, 0.1, 0.15, 0.4, 0.15, 0.1], np.int8)

_MISSING = _below(0.065)
_FORWARDED = _below(0.0035)
_UNMEASURED = _below(0.044)
_ABSURD_AMONG_MISSING = _below(0.009)
_DAY_LONG = _below(0.0019)
_REFUNDED = _below(0.0028)
_TOLLED_WHEN_FAR = _below(0.5)
_MOSTLY = _below(0.8)

_LOG_MILES, _LOG_MILES_SPREAD = 0.68, 0.73
_LOG_MILES_MORE_IF_MISSING = 0.65

_PAID_BY_CARD, _NO_CHARGE, _DISPUTE = 1, 3, 4
_NEGOTIATED = 5
_FAR_MILES = 8.0
_TOLL_CENTS = 655

_TAXI_SCHEMA = pa.schema(
    [
        ("VendorID", pa.int32()),
        ("lpep_pickup_datetime", pa.timestamp("us")),
        ("lpep_dropoff_datetime", pa.timestamp("us")),
        ("store_and_fwd_flag", pa.large_string()),
        ("RatecodeID", pa.int64()),
        ("PULocationID", pa.int32()),
        ("DOLocationID", pa.int32()),
        ("passenger_count", pa.int64()),
        ("trip_distance", pa.float64()),
        ("fare_amount", pa.float64()),
        ("extra", pa.float64()),
        ("mta_tax", pa.float64()),
        ("tip_amount", pa.float64()),
        ("tolls_amount", pa.float64()),
        ("ehail_fee", pa.float64()),
        ("improvement_surcharge", pa.float64()),
        ("total_amount", pa.float64()),
        ("payment_type", pa.int64()),
        ("trip_type", pa.int64()),
        ("congestion_surcharge", pa.float64()),
    ]
)

_LANES = (
    "pickup",
    "dropoff",
    "disorder",
    "vendor",
    "passengers",
    "ratecode",
    "payment",
    "tip",
    "improvement",
    "congestion",
    "missing",
    "forwarded",
    "unmeasured",
    "rare",
    "spread",
)


_CITY = 0
"""Other seeds give other trips in the same city, so that a model may be judged on them."""


class _City:
    """Zones by popularity and their effects: one city, whatever the seed of the trips."""

    def __init__(self) -> None:
        rng = seeded_stream(_CITY, TAXI, WORLD)
        # One order for both ends: where many trips start, many also end.
        zones = 1 + rng.permutation(_ZONES)
        rank = np.arange(1, _ZONES + 1, dtype=np.float64)
        # Power laws that follow the real shares: 18 % of pickups in the top zone and 0.04 % in
        # the hundredth, 5 % and 0.2 % of drop-offs.
        starts, ends = (rank + 4) ** -2.0, (rank + 10) ** -1.4
        self.pickup = _faces(zones, starts, np.int32)
        self.dropoff = _faces(zones, ends, np.int32)
        self.pickup_stretch = _effect(rng, zones, starts, 0.25)
        self.dropoff_stretch = _effect(rng, zones, ends, 0.25)
        self.pickup_minutes = _effect(rng, zones, starts, 1.7)
        self.dropoff_minutes = _effect(rng, zones, ends, 1.7)


def _effect(rng: np.random.Generator, zones: Longs, popularity: Doubles, spread: float) -> Floats:
    effect = spread * rng.standard_normal(len(zones))
    # Centred on the trips, or the busiest zone alone would move the median from seed to seed.
    effect -= np.average(effect, weights=popularity)
    by_zone = np.zeros(_ZONES + 1, dtype=np.float32)
    by_zone[zones] = effect
    return by_zone


# --- taxi: the trips -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Trips:
    """What happened on one block of trips, before the meter got it wrong."""

    pickup_seconds: Longs
    hour_of_week: Longs
    pickup_zone: npt.NDArray[np.int32]
    dropoff_zone: npt.NDArray[np.int32]
    miles: Floats
    minutes: Floats
    missing: Flags


class _Taxi:
    """Trips of one city, block after block in time."""

    schema = _TAXI_SCHEMA
    # Hardly two rows of a group share a second, so a dictionary of times would not pay.
    plain = frozenset({"lpep_pickup_datetime", "lpep_dropoff_datetime"})
    block_rows = _TAXI_BLOCK

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._city = _City()

    def block(self, index: int) -> pa.Table:
        rng = seeded_stream(self._seed, TAXI, ROWS, index)
        lanes = rng.integers(0, FACES, size=(len(_LANES), _TAXI_BLOCK), dtype=np.uint16)
        dice: dict[str, Dice] = dict(zip(_LANES, lanes, strict=True))
        trips = _drive(rng, dice, self._city, index)
        columns = _times_and_places(dice, trips) | _codes(dice, trips) | _money(dice, trips)
        return pa.Table.from_arrays(
            [columns[name] for name in _TAXI_SCHEMA.names], schema=_TAXI_SCHEMA
        )


def _drive(rng: np.random.Generator, dice: dict[str, Dice], city: _City, index: int) -> _Trips:
    # Widened before the product, which would not fit 16 bits.
    disorder = dice["disorder"].astype(np.int64) * _HOUR >> 16
    seconds = _ordered_seconds(index) + disorder
    hour_of_week = (seconds // _HOUR + _EPOCH_HOUR_OF_WEEK) % _WEEK
    pickup, dropoff = city.pickup[dice["pickup"]], city.dropoff[dice["dropoff"]]
    missing = dice["missing"] < _MISSING

    normal = rng.standard_normal((2, _TAXI_BLOCK), dtype=np.float32)
    log_miles = _LOG_MILES + _LOG_MILES_SPREAD * normal[0]
    log_miles += city.pickup_stretch[pickup] + city.dropoff_stretch[dropoff]
    # The real trips with gaps are twice as long as the others.
    log_miles[missing] += _LOG_MILES_MORE_IF_MISSING

    # Less than proportional: far trips use fast roads.
    minutes = 1.0 + 6.3 * np.exp(0.7 * log_miles)
    minutes *= 1.0 + 0.3 * normal[1]
    minutes += city.pickup_minutes[pickup] + city.dropoff_minutes[dropoff]
    minutes += _TRAFFIC_BY_HOUR[hour_of_week]
    np.maximum(minutes, 0.5, out=minutes)
    return _Trips(seconds, hour_of_week, pickup, dropoff, np.exp(log_miles), minutes, missing)


def _ordered_seconds(index: int) -> Longs:
    """Seconds since the epoch of a block's trips, dense where the demand is high."""
    month, piece, pieces = _place_in_time(index)
    start, stop = (
        int((_START + np.timedelta64(number, "M")).astype("datetime64[s]").astype(np.int64))
        for number in (month, month + 1)
    )
    first = start + (stop - start) * piece // pieces
    # An hour is left for the disorder that is added, so that no block reaches into the next.
    last = start + (stop - start) * (piece + 1) // pieces - _HOUR
    hours = np.arange(first // _HOUR + 1, (last - 1) // _HOUR + 1)
    knots = np.concatenate([[first], hours * _HOUR, [last]])
    demand = _DEMAND_BY_HOUR[(knots[:-1] // _HOUR + _EPOCH_HOUR_OF_WEEK) % _WEEK]
    trips = np.concatenate([[0.0], np.cumsum(demand * np.diff(knots))])
    share = np.arange(_TAXI_BLOCK) * (trips[-1] / _TAXI_BLOCK)
    seconds: Longs = np.interp(share, trips, knots).astype(np.int64)
    return seconds


def _place_in_time(index: int) -> tuple[int, int, int]:
    """Month of a block, its place in that month, and the blocks of that month."""
    step, rest = divmod(index, _BLOCKS_PER_STEP)
    growing = _GROWING_MONTHS * (_GROWING_MONTHS + 1) // 2
    if step >= growing:
        months, place = divmod(step - growing, _GROWING_MONTHS)
        month, steps = _GROWING_MONTHS + months, _GROWING_MONTHS
    else:
        # The months before month m hold 1 + 2 + ... + m steps.
        month = (isqrt(8 * step + 1) - 1) // 2
        place, steps = step - month * (month + 1) // 2, month + 1
    return month, place * _BLOCKS_PER_STEP + rest, steps * _BLOCKS_PER_STEP


def _times_and_places(dice: dict[str, Dice], trips: _Trips) -> dict[str, pa.Array]:
    spread = dice["spread"] * np.float32(1 / FACES)
    miles, minutes = trips.miles.copy(), trips.minutes.copy()

    unmeasured = dice["unmeasured"] < _UNMEASURED
    miles[unmeasured] = 0.0
    # Half of these are false starts, the rest trips with a meter that did not count.
    false_start = unmeasured & (spread < 0.5)
    minutes[false_start] = 2 * spread[false_start]
    day_long = (dice["rare"] < _DAY_LONG) & ~trips.missing
    minutes[day_long] = 1380 + 60 * spread[day_long]
    absurd = (dice["rare"] >= FACES - _ABSURD_AMONG_MISSING) & trips.missing
    miles[absurd] = 700 * np.float32(100_000 / 700) ** spread[absurd]

    pickup = trips.pickup_seconds
    dropoff = pickup + (60 * minutes).astype(np.int64)
    return {
        "lpep_pickup_datetime": _timestamps(pickup),
        "lpep_dropoff_datetime": _timestamps(dropoff),
        "PULocationID": make_column(pa.int32(), trips.pickup_zone),
        "DOLocationID": make_column(pa.int32(), trips.dropoff_zone),
        "trip_distance": _hundredths(np.rint(100 * miles)),
    }


def _codes(dice: dict[str, Dice], trips: _Trips) -> dict[str, pa.Array]:
    gaps = _Gaps(trips.missing)
    ratecode = _RATECODE[dice["ratecode"]]
    payment = _PAYMENT[dice["payment"]]
    refunded = _refunded(dice)
    payment[refunded] = np.where(dice["spread"][refunded] < _MOSTLY, _NO_CHARGE, _DISPUTE)
    return {
        "VendorID": make_column(pa.int32(), _VENDOR[dice["vendor"]].astype(np.int32)),
        "store_and_fwd_flag": gaps.flags(dice["forwarded"] < _FORWARDED),
        "RatecodeID": gaps.longs(ratecode),
        "passenger_count": gaps.longs(_PASSENGERS[dice["passengers"]]),
        "payment_type": gaps.longs(payment),
        "trip_type": gaps.longs(1 + (ratecode == _NEGOTIATED).view(np.int8)),
        "congestion_surcharge": gaps.doubles(_congestion_cents(dice, trips) / 100.0),
        "ehail_fee": pa.nulls(_TAXI_BLOCK, pa.float64()),
    }


def _money(dice: dict[str, Dice], trips: _Trips) -> dict[str, pa.Array]:
    missing, refunded = trips.missing, _refunded(dice)
    # The meter falls in steps of 70 cents; trips with gaps are priced to the cent beforehand.
    steps = np.rint((2.75 * trips.miles + 0.44 * trips.minutes) / 0.7).astype(np.int32)
    fare = 300 + 70 * steps
    fare[missing] += dice["spread"][missing] % 70
    fare[refunded] = 300

    extra = _EXTRA_BY_HOUR[trips.hour_of_week]
    extra[missing] = 0
    tax = np.where(_VENDOR[dice["vendor"]] == 1, np.int32(150), np.int32(50))
    tax[missing | (_RATECODE[dice["ratecode"]] == _NEGOTIATED)] = 0
    improvement = _IMPROVEMENT[dice["improvement"]].astype(np.int32)

    by_card = missing | (_PAYMENT[dice["payment"]] == _PAID_BY_CARD)
    tip = fare * _TIP_PERCENT[dice["tip"]] // 100
    tip[refunded | ~by_card] = 0
    tolled = (trips.miles > _FAR_MILES) & (dice["spread"] < _TOLLED_WHEN_FAR) & ~refunded
    tolls = np.where(tolled, np.int32(_TOLL_CENTS), np.int32(0))

    for cents in (fare, extra, tax, improvement):
        cents[refunded] *= -1
    total = fare + extra + tax + improvement + tip + tolls + _congestion_cents(dice, trips)
    return {
        "fare_amount": _hundredths(fare),
        "extra": _hundredths(extra),
        "mta_tax": _hundredths(tax),
        "tip_amount": _hundredths(tip),
        "tolls_amount": _hundredths(tolls),
        "improvement_surcharge": _hundredths(improvement),
        "total_amount": _hundredths(total),
    }


def _refunded(dice: dict[str, Dice]) -> Flags:
    # The faces after those of the day-long trips: no trip is both.
    rare = dice["rare"]
    return (rare >= _DAY_LONG) & (rare < _DAY_LONG + _REFUNDED)


def _congestion_cents(dice: dict[str, Dice], trips: _Trips) -> npt.NDArray[np.int32]:
    cents: npt.NDArray[np.int32] = _CONGESTION[dice["congestion"]]
    cents[trips.missing | _refunded(dice)] = 0
    return cents


def _timestamps(seconds: Longs) -> pa.Array:
    return make_column(pa.timestamp("us"), seconds * 1_000_000)


def _hundredths(whole: npt.NDArray[Any]) -> pa.Array:
    # Dividing whole numbers gives the double nearest to the decimal, as a parser would.
    return make_column(pa.float64(), np.divide(whole, 100.0, dtype=np.float64))


class _Gaps:
    """Columns of one block that are null in the same rows, by sharing one bitmap."""

    def __init__(self, missing: Flags) -> None:
        self._size = len(missing)
        self._valid = pa.py_buffer(np.packbits(~missing, bitorder="little"))

    def longs(self, values: npt.NDArray[Any]) -> pa.Array:
        return make_column(pa.int64(), values.astype(np.int64), valid=self._valid)

    def doubles(self, values: Doubles) -> pa.Array:
        return make_column(pa.float64(), values, valid=self._valid)

    def flags(self, yes: Flags) -> pa.Array:
        # Every string is one byte long, so the offsets just count.
        letters = np.where(yes, np.uint8(ord("Y")), np.uint8(ord("N")))
        offsets = np.arange(self._size + 1, dtype=np.int64)
        buffers = [self._valid, pa.py_buffer(offsets), pa.py_buffer(letters)]
        return pa.Array.from_buffers(pa.large_string(), self._size, buffers)


def generate_taxi(
    out: str | os.PathLike[str],
    rows: int,
    *,
    seed: int = 0,
    rows_per_file: int = 2_000_000,
    rows_per_group: int = 131_072,
    progress: Progress | None = None,
) -> list[Path]:
    """Write synthetic taxi trips with the columns, types, gaps and dirt of the real ones.

    The columns are those of a New York green taxi month of 2023. The target is not a column:
    it is the minutes from pickup to drop-off, which grow with the distance and depend on the
    hour of the week and on both zones (one additive effect each).

    Trips start in January 2019 and go on month after month; a month holds 65,536 trips at
    first, 65,536 more each month, and 1,966,080 from the 30th month on. Pickup times rise
    from row to row but for up to an hour of disorder.

    Parameters
    ----------
    out : str or os.PathLike
        Directory for ``part-00000.parquet``, ``part-00001.parquet``, ...; created if missing.
    rows : int
        Rows in all, at least 1.
    seed : int, default 0
        Non-negative, of the rows. The same seed gives the same rows, and fewer rows are a prefix of
        more; the city is one.
    rows_per_file : int, default 2_000_000
        Rows of every file but the last.
    rows_per_group : int, default 131_072
        Rows of every row group but the last of a file. Memory is about 400 bytes for each.
    progress : callable, optional
        Called after each row group with the rows written so far.

    Returns
    -------
    list of Path
        The files, in order of time.

    Raises
    ------
    UsageError
        A number is out of range, or `out` is not a directory or already holds
        ``part-*.parquet``.
    OSError
        A file cannot be written, as on a full disk; the file at fault is removed and those
        finished before it stay.

    Notes
    -----
    All 20 columns, in order: ``VendorID`` int32, ``lpep_pickup_datetime`` and
    ``lpep_dropoff_datetime`` timestamp[us], ``store_and_fwd_flag`` large_string (Y or N),
    ``RatecodeID`` int64, ``PULocationID`` and ``DOLocationID`` int32 (1 to 265),
    ``passenger_count`` int64, ``trip_distance`` double (miles); ``fare_amount``, ``extra``,
    ``mta_tax``, ``tip_amount``, ``tolls_amount``, ``ehail_fee``, ``improvement_surcharge`` and
    ``total_amount`` double (dollars); ``payment_type`` and ``trip_type`` int64,
    ``congestion_surcharge`` double (dollars).

    ``ehail_fee`` is null throughout. In 6.5 % of the rows the flag, rate code, passenger
    count, payment type, trip type and congestion surcharge are null together. The dirt, in
    shares of all rows: distances of 700 to 100,000 miles (0.06 %, all among the rows with
    nulls), distances of zero (4.4 %), trips of 23 to 24 hours (0.19 %), negative fares
    (0.28 %).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = generate_taxi(folder, 2_500, rows_per_file=1_000)
    ...     [file.name for file in files]
    ['part-00000.parquet', 'part-00001.parquet', 'part-00002.parquet']
    """
    job = PartsWriter(out, rows, seed, rows_per_file, rows_per_group, progress)
    return job.write(_Taxi(job.seed))
