"""Order statistics: the values NumPy's sort has, however rows come and however little is held."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamlearn.learn.compactor import Compactor
from streamlearn.learn.order import OrderStatistics, Sizes


class Tiny(Sizes):
    """So small that a few thousand rows take all ways there are."""

    summary_bytes = collected_bytes = waiting_bytes = 1


def normal(rng, size):
    return rng.normal(size=size)


COLUMNS = {
    "normal": normal,
    "sorted": lambda rng, size: np.sort(rng.normal(size=size)),
    "reversed": lambda rng, size: np.sort(rng.normal(size=size))[::-1],
    "sawtooth": lambda rng, size: np.arange(size) % 997 + rng.random(size),
    "constant": lambda rng, size: np.full(size, 7.25),
    "ties": lambda rng, size: np.where(rng.random(size) < 0.6, 0.0, rng.normal(size=size)),
    "rounded": lambda rng, size: np.round(rng.normal(size=size), 3),
    "few": lambda rng, size: rng.integers(0, 3, size).astype(float),
    "denormal": lambda rng, size: 5e-324 * rng.integers(-(2**40), 2**40, size),
    "zeros": lambda rng, size: np.where(rng.random(size) < 0.5, -0.0, 0.0),
    "huge": lambda rng, size: 1e9 + 1e-3 * rng.normal(size=size),
    "wide": lambda rng, size: np.exp(300 * rng.normal(size=size).clip(-2, 2)),
    "clustered": lambda rng, size: np.r_[1e300, 1 + 1e-12 * rng.normal(size=size)][:size],
    "missing": lambda rng, size: np.full(size, np.nan),
    "gaps": lambda rng, size: np.where(rng.random(size) < 0.4, np.nan, rng.normal(size=size)),
}


def gather(matrix, cuts, block, begin):
    """Return the state after one pass over stretches of rows, each of blocks."""
    states = []
    for start, stop in zip([0, *cuts], [*cuts, len(matrix)], strict=True):
        states.append(copy.deepcopy(begin))
        for first in range(start, stop, block):
            states[-1].add(matrix[first : min(stop, first + block)])
    for state in states[1:]:
        states[0].merge(state)
    return states[0]


def find(matrix, cuts, block, ranks, sizes, most=8):
    """Return the values of ranks, and how many passes that took."""
    state = gather(matrix, cuts, block, OrderStatistics(matrix.shape[1], matrix.dtype, sizes))
    state.settle()
    np.testing.assert_array_equal(state.count, (~np.isnan(matrix)).sum(axis=0))
    wanted = [np.unique(ranks(int(count))) for count in state.count]
    state.want(wanted)
    passes = 1
    while state.refine():
        passes += 1
        assert passes <= most
        state = gather(matrix, cuts, block, state)
    return [state.values(column, found) for column, found in enumerate(wanted)], wanted, passes


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("sizes", [Tiny, Sizes])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_rank_has_the_value_that_sorting_gives_it(name, sizes, kind):
    rng = np.random.default_rng(1)
    with np.errstate(over="ignore"):
        matrix = np.column_stack([COLUMNS[name](rng, 30_000), normal(rng, 30_000)]).astype(kind)
    matrix[np.isinf(matrix)] = 0.0

    def ranks(count):
        shares = np.array([0, 0.25, 0.5, 0.75, 0.999, 1])
        return np.round(shares * (count - 1)).astype(int) if count else np.empty(0, dtype=int)

    found, wanted, passes = find(matrix, [7, 11_000, 11_000, 26_543], 999, ranks, sizes)
    for column, values in enumerate(found):
        expected = np.sort(matrix[:, column])[wanted[column]]
        np.testing.assert_array_equal(values, expected, strict=True)
    assert passes == 1 or sizes is Tiny


def test_a_thousand_ranks_of_a_column_are_found_at_once():
    matrix = np.random.default_rng(2).normal(size=(50_000, 2))
    found, wanted, passes = find(
        matrix, [20_000], 2000, lambda count: np.linspace(0, count - 1, 1000).astype(int), Tiny
    )
    np.testing.assert_array_equal(found[0], np.sort(matrix[:, 0])[wanted[0]])
    assert 1 < passes <= 5


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    st.sampled_from(sorted(COLUMNS)),
    st.integers(1, 3000),
    st.lists(st.integers(0, 3000), max_size=4),
    st.sampled_from([1, 7, 64, 1000]),
    st.integers(0, 10),
)
def test_cuts_and_blocks_change_nothing(name, rows, cuts, block, seed):
    rng = np.random.default_rng(seed)
    matrix = COLUMNS[name](rng, rows)[:, None]
    cuts = sorted(min(cut, rows) for cut in cuts)
    block = max(block, rows // 100)

    def ranks(count):
        return rng.integers(0, count, 9) if count else np.empty(0, dtype=int)

    found, wanted, _ = find(matrix, cuts, block, ranks, Tiny)
    np.testing.assert_array_equal(found[0], np.sort(matrix[:, 0])[wanted[0]])


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.sampled_from(sorted(set(COLUMNS) - {"missing"})),
    st.lists(st.integers(0, 1500), min_size=1, max_size=12),
    st.integers(64, 600),
    st.integers(0, 12),
    st.integers(0, 10),
)
def test_the_bound_of_a_rank_always_holds(name, sizes, room, merged, seed):
    rng = np.random.default_rng(seed)
    parts = [COLUMNS[name](rng, size) for size in sizes]
    parts = [np.sort(part[~np.isnan(part)]) for part in parts]
    streams = [Compactor(room), Compactor(room)]
    for number, part in enumerate(parts):
        streams[number >= merged].add(part)
    streams[0].merge(streams[1])
    stream, everything = streams[0], np.sort(np.concatenate(parts))
    assert stream.count == len(everything)
    if not len(everything):
        return
    values, weights = stream.items()
    assert weights.sum() == len(everything)
    upto = np.cumsum(weights)[np.searchsorted(values, values, "right") - 1]
    true = np.searchsorted(everything, values, "right")
    assert (upto - stream.over <= true).all()
    assert (true <= upto + stream.under).all()
    ranks = np.arange(len(everything))
    low, high = stream.bounds(ranks)
    assert (low <= everything).all()
    assert (everything <= high).all()
    if stream.is_exact:
        np.testing.assert_array_equal(low, everything)
    middle, off = stream.middle(ranks)
    below, upto = (np.searchsorted(everything, middle, side) for side in ("left", "right"))
    assert (below - off <= ranks).all()
    assert (ranks <= upto - 1 + off).all()


def test_what_is_held_stays_within_its_room():
    stream = Compactor(1000)
    rng = np.random.default_rng(4)
    for _ in range(200):
        stream.add(np.sort(rng.normal(size=5000)))
        assert sum(len(run) for runs in stream._levels for run in runs) <= 1000
    width = (stream.over + stream.under) / stream.count
    assert width < 0.15


def test_a_value_with_a_count_keeps_its_whole_weight():
    stream = Compactor(64)
    stream.add(np.repeat(np.arange(10.0), 1000))
    assert stream.is_counting
    stream.add(np.sort(np.random.default_rng(0).normal(size=30)) - 100)
    assert not stream.is_counting
    assert stream.items()[1].sum() == 10_030


def test_states_hold_what_was_planned():
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(60_000, 20))
    state = gather(matrix, [], 8192, OrderStatistics(20, np.float64))
    held = state._waiting.nbytes + sum(
        run.nbytes for column in state._columns for runs in column.summary._levels for run in runs
    )
    assert held <= OrderStatistics.planned_bytes(20)
    assert OrderStatistics.planned_bytes(20) < 40 << 20
