"""Row groups that cannot hold a row that passes are not read, and nothing else changes."""

# ruff: noqa: DTZ001  times without a zone are what is stored
from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
from streamlearn.errors import UsageError
from streamlearn.source.computed.sieve import Sieve
from streamlearn.source.parquet.source import ParquetSource

NUMBERS = st.one_of(
    st.none(),
    st.integers(-4, 4).map(float),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 0.1, 2.0**53 + 2, 5e-324]),
)
WHOLE = st.one_of(st.none(), st.integers(-4, 4), st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1]))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "ab", "b", "zz", "é", "5", "x" * 40]))
DAYS = st.one_of(st.none(), st.dates(dt.date(2023, 12, 30), dt.date(2024, 1, 4)))
TYPES = {
    "f": pa.float64(),
    "g": pa.float32(),
    "i": pa.int64(),
    "s": pa.string(),
    "d": pa.date32(),
    "t": pa.timestamp("us"),
    "b": pa.bool_(),
}


@st.composite
def tables(draw):
    """Rows in runs, so that statistics of row groups say something."""
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        few = {
            "f": draw(st.lists(NUMBERS, min_size=1, max_size=2)),
            "g": draw(st.lists(NUMBERS, min_size=1, max_size=2)),
            "i": draw(st.lists(WHOLE, min_size=1, max_size=2)),
            "s": draw(st.lists(TEXTS, min_size=1, max_size=2)),
            "d": draw(st.lists(DAYS, min_size=1, max_size=2)),
            "b": draw(st.lists(st.sampled_from([None, True, False]), min_size=1, max_size=2)),
        }
        for at in range(3):
            row = {name: values[at % len(values)] for name, values in few.items()}
            day = row["d"]
            row["t"] = day and dt.datetime(day.year, day.month, day.day, 5 * at)
            rows.append(row)
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in TYPES.items()}
    return pa.table(columns)


ARROW = st.recursive(
    st.one_of(
        st.builds(
            lambda name, sign, value: getattr(pc.field(name), f"__{sign}__")(value),
            st.sampled_from(["f", "g", "i"]),
            st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]),
            st.one_of(st.integers(-5, 5), st.sampled_from([0.1, 1.5, math.inf, math.nan])),
        ),
        st.builds(
            lambda sign, value: getattr(pc.field("s"), f"__{sign}__")(value),
            st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]),
            st.sampled_from(["", "a", "aa", "b", "x"]),
        ),
        st.builds(
            lambda sign, day: getattr(pc.field("d"), f"__{sign}__")(day),
            st.sampled_from(["lt", "ge", "eq"]),
            st.dates(dt.date(2023, 12, 29), dt.date(2024, 1, 5)),
        ),
        st.builds(
            lambda sign, day: getattr(pc.field("t"), f"__{sign}__")(
                dt.datetime(day.year, day.month, day.day, 7)
            ),
            st.sampled_from(["lt", "ge", "eq"]),
            st.dates(dt.date(2023, 12, 29), dt.date(2024, 1, 5)),
        ),
        st.builds(
            lambda name, values: pc.field(name).isin(values),
            st.sampled_from(["f", "i"]),
            st.lists(st.integers(-4, 4), min_size=1, max_size=3),
        ),
        st.builds(
            lambda name, what: getattr(pc.field(name), what)(),
            st.sampled_from(list(TYPES)),
            st.sampled_from(["is_null", "is_valid"]),
        ),
        st.sampled_from(
            [
                pc.is_nan(pc.field("f")),
                pc.is_finite(pc.field("g")),
                pc.field("f").is_null(nan_is_null=True),
                pc.field("b"),
                pc.field("f") + pc.field("g") > 2,
                pc.field("f") < pc.field("i"),
                pc.scalar(1.0) / pc.field("f") > 0,
                pc.scalar(False),
                pc.field("twice") > 3,
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=4,
)


def sql_atom(name, sign, value, turned):
    return f"{value} {sign} {name}" if turned else f"{name} {sign} {value}"


SQL = st.recursive(
    st.one_of(
        st.builds(
            sql_atom,
            st.sampled_from(["f", "g", "i"]),
            st.sampled_from(["<", "<=", ">", ">=", "=", "<>"]),
            st.sampled_from(
                ["-3", "0", "2", "0.1", "1.5", "1e1", "9007199254740993", "'nan'::DOUBLE", "1 + 1"]
            ),
            st.booleans(),
        ),
        st.builds(
            sql_atom,
            st.just("s"),
            st.sampled_from(["<", "<=", ">", ">=", "=", "<>"]),
            st.sampled_from(["''", "'a'", "'aa'", "'b'", "'é'"]),
            st.booleans(),
        ),
        st.builds(
            sql_atom,
            st.sampled_from(["d", "t"]),
            st.sampled_from(["<", "<=", ">", ">=", "="]),
            st.sampled_from(
                [
                    "DATE '2024-01-01'",
                    "'2024-01-02'",
                    "TIMESTAMP '2024-01-01 05:00:00'",
                    "TIMESTAMP '2024-01-01 05:00:00.000001'",
                    "DATE '2024-01-01' + INTERVAL 1 DAY",
                ]
            ),
            st.booleans(),
        ),
        st.sampled_from(
            [
                "f BETWEEN 0 AND 2",
                "i BETWEEN -1 AND 1.5",
                "i NOT BETWEEN 0 AND 2",
                "f IN (1, 2, 0.1)",
                "i NOT IN (1, 2)",
                "i IN (1, NULL)",
                "s IN ('a', 'zz')",
                "f IS NOT NULL",
                "s IS NULL",
                "isfinite(f)",
                "b",
                "NOT b",
                "b = true",
                "f < i",
                "abs(f) > 2",
                "twice > 3",
                "F > 1",
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a}) AND ({b})", inner, inner),
        st.builds(lambda a, b: f"({a}) OR ({b})", inner, inner),
        st.builds(lambda a: f"NOT ({a})", inner),
    ),
    max_leaves=4,
)


def write(table, folder, rows=3, **options):
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / "a.parquet", row_group_size=rows, **options)
    return folder


def rows_kept(data):
    return [int(n) for f in data.fragments for c in data.read(f, ["f", "s"], 4) for n in c.rows]


def rows_expected(data):
    """Rows that the expressions keep of everything, without any sieve."""
    found = []
    names = [name for name in data.source.schema.names if name in data.expressions.inputs]
    for fragment in data.fragments:
        for chunk in data.source.read(fragment, names, 1_000):
            _, keep = data.expressions.apply(chunk.X)
            found += chunk.rows[keep].tolist()
    return found


QUICK = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUICK
@given(table=tables(), where=ARROW, nulls=st.booleans())
def test_arrow_conditions_keep_the_same_rows(tmp_path, table, where, nulls):
    folder = write(table, tmp_path / "d", write_statistics=["f", "i", "s"] if nulls else True)
    data = sl.scan(folder, derive={"twice": pc.field("f") * 2}, where=where)
    try:
        expected = rows_expected(data)
    except pa.ArrowInvalid as error:
        # What is pruned is not computed, and raises nothing.
        assert "not in range" in str(error) or "divide by zero" in str(error)
        return
    assert rows_kept(data) == expected


@QUICK
@given(table=tables(), where=SQL, replaced=st.booleans())
def test_sql_conditions_keep_the_same_rows(tmp_path, table, where, replaced):
    folder = write(table, tmp_path / "d")
    derive = ["f * 2 AS twice", "i + 100 AS i"] if replaced else ["f * 2 AS twice"]
    data = sl.scan(folder, derive=derive, where=where)
    try:
        expected = rows_expected(data)
    except Exception as error:  # noqa: BLE001
        # DuckDB computes what overflows, or does not; either way what is pruned cannot.
        assert "Range" in str(error) or "Conversion" in str(error), error
        return
    assert rows_kept(data) == expected


@pytest.fixture
def clustered(tmp_path):
    """Ten row groups; x, s and day grow from one to the next."""
    rows = 1_000
    at = np.arange(rows)
    table = pa.table(
        {
            "x": at.astype(float),
            "n": at,
            "s": [f"{value:04}" for value in at],
            "day": pa.array(at // 100, pa.int32()).cast(pa.date32()),
            "when": pa.array(at * 3_600, pa.timestamp("s")),
            "c": pa.array([f"c{value // 100}" for value in at]).dictionary_encode(),
            "flag": at >= 500,
        }
    )
    return write(table, tmp_path / "clustered", 100)


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (pc.field("x") > 750, 3),
        (pc.field("n") > 750.5, 3),
        ((pc.field("x") > 750) & (pc.field("n") < 820), 2),
        ((pc.field("x") > 950) | (pc.field("n") < 20), 2),
        (pc.field("s") == "0120", 1),
        (pc.field("c") == "c3", 1),
        (pc.field("day") == dt.date(1970, 1, 3), 1),
        (pc.field("when") < dt.datetime(1970, 1, 2), 1),
        (pc.field("flag"), 5),
        (pc.field("x").isin([5, 950]), 2),
        (pc.field("x") > 1e9, 0),
        (pc.field("x").is_null(), 0),
        (pc.field("n") > 750, 3),
        ("x BETWEEN 120 AND 130", 1),
        ("isfinite(x) AND x > 750", 3),
        ("x > 750", 10),  # to DuckDB NaN is above all, and statistics do not say where it is
        ("n > 750 AND n * 2 < 1600", 3),
        ("s = '0120'", 1),
        ("c IN ('c3', 'c5')", 2),
        ("day = DATE '1970-01-03'", 1),
        ("\"when\" >= TIMESTAMP '1970-01-30'", 4),
        ("\"when\" >= '1970-01-30'", 4),
        ("flag", 5),
        ("n + 1 > 750", 10),
    ],
)
def test_statistics_leave_few_row_groups(clustered, where, left):
    data = sl.scan(clustered, where=where)
    impossible = data._sieve.impossible
    assert 10 - len(impossible) == left
    assert [n for f in data.fragments for c in data.read(f, ["x"], 64) for n in c.rows] == (
        rows_expected(data)
    )
    notes = " ".join(data.notes(["x"]))
    assert (f"{10 - left} of 10 row groups" in notes) == (left < 10)


def test_what_is_pruned_counts_as_filtered(clustered):
    data = sl.scan(clustered, features=["x"], where=pc.field("n") >= 800)
    result = sl.fit(StandardScaler(), data)
    assert result.estimator.mean_[0] == pytest.approx(np.arange(800, 1_000).mean(), rel=1e-12)
    assert result.estimator.n_samples_seen_ == 200


def test_a_computed_column_is_never_pruned_on(clustered):
    moved = sl.scan(clustered, derive={"x": pc.field("x") + 5_000}, where=pc.field("x") > 5_750)
    assert not moved._sieve.impossible
    assert len(rows_expected(moved)) == 249
    in_sql = sl.scan(clustered, derive="n + 5000 AS n", where="n > 5750 AND n < 10000")
    assert not in_sql._sieve.impossible


def test_drift_partitions_and_absent_columns_are_known(tmp_path):
    for year, values, kind in ((2022, [1, 2], pa.int32()), (2023, [0.5, 70.0], pa.float64())):
        folder = tmp_path / f"year={year}"
        folder.mkdir()
        columns = {"v": pa.array(values, kind)}
        if year == 2023:
            columns["extra"] = pa.array([1.0, 2.0])
        pq.write_table(pa.table(columns), folder / "a.parquet")

    def pruned(where):
        data = sl.scan(tmp_path, schema={"extra": "double"}, where=where)
        kept = [n for f in data.fragments for c in data.read(f, ["v"], 9) for n in c.rows]
        assert kept == rows_expected(data)
        return sorted(data._sieve.impossible)

    assert pruned(pc.field("v") > 50.0) == [0]
    assert pruned(pc.field("year") == 2022) == [1]
    assert pruned("year = 2023") == [0]
    assert pruned(pc.field("extra") > 0) == [0]
    assert pruned(pc.field("extra").is_null()) == [1]


def test_bounds_that_are_nan_or_absent_prove_nothing(tmp_path):
    table = pa.table({"f": [math.nan, math.nan, 3.0], "s": ["a", "b", None]})
    for options in ({"write_statistics": False}, {}):
        folder = write(table, tmp_path / "d", 1, **options)
        for where in (~(pc.field("f") > 9), pc.is_nan(pc.field("f")), pc.field("f") != 3.0):
            data = sl.scan(folder, where=where)
            assert rows_kept(data) == rows_expected(data)
            assert rows_kept(data)[:2] == [0, 1]


def test_columns_of_the_condition_are_read_first(tmp_path, monkeypatch):
    rows = 4_000
    rng = np.random.default_rng(0)
    table = pa.table(
        {"key": rng.permutation(rows), **{f"v{at}": rng.normal(size=rows) for at in range(9)}}
    )
    keys = table["key"].to_numpy().copy()
    keys[1_000:3_000] = np.where(keys[1_000:3_000] == 7, 8, keys[1_000:3_000])
    table = table.set_column(0, "key", pa.array(keys))
    folder = write(table, tmp_path / "d", 500)
    asked = []
    read = ParquetSource.read

    def seen(self, fragment, columns, rows):
        asked.append((fragment.index, len(columns)))
        return read(self, fragment, columns, rows)

    monkeypatch.setattr(ParquetSource, "read", seen)
    data = sl.scan(folder, where="key % 4000 = 7")
    names = [f"v{at}" for at in range(9)]
    kept = [n for f in data.fragments for c in data.read(f, names, 200) for n in c.rows]
    assert kept == np.flatnonzero(keys == 7).tolist()
    whole = {index for index, columns in asked if columns > 1}
    assert whole == {row // 500 for row in kept}
    assert {index for index, columns in asked if columns == 1} == set(range(8))


def test_where_looking_ahead_spares_nothing_it_is_given_up(tmp_path, monkeypatch):
    table = pa.table({"key": [0, 1] * 800, **{f"v{at}": [0.5] * 1_600 for at in range(9)}})
    data = sl.scan(write(table, tmp_path / "d", 20), where=pc.field("key") == 1)
    looks = []
    look = Sieve._look
    monkeypatch.setattr(Sieve, "_look", lambda self, *a: looks.append(1) or look(self, *a))
    kept = [
        n
        for f in data.fragments
        for c in data.read(f, ["v0", "v1", "v2", "v3"], 99)
        for n in c.rows
    ]
    assert len(kept) == 800
    assert len(looks) < 16


def test_a_wrong_condition_is_said_as_before(clustered):
    with pytest.raises(UsageError):
        sl.scan(clustered, where=pc.field("nothing") > 1)


@pytest.mark.parametrize("writer", ["polars", "duckdb"])
def test_truncated_bounds_of_texts_are_bounds(tmp_path, writer):
    library = pytest.importorskip(writer)
    texts = ["a" * 300 + str(at) for at in range(50)] + ["\U0010ffff" * 100]
    table = pa.table({"s": texts, "f": [1.0] * 51})
    path = str(tmp_path / "a.parquet")
    if writer == "polars":
        library.from_arrow(table).write_parquet(path, statistics="full", row_group_size=10)
    else:
        library.from_arrow(table).write_parquet(path)
    for text, sign in ((texts[17], "eq"), ("a" * 300 + "4", "gt"), (texts[-1], "ge")):
        data = sl.scan(path, where=getattr(pc.field("s"), f"__{sign}__")(text))
        assert rows_kept(data)
        assert rows_kept(data) == rows_expected(data)
