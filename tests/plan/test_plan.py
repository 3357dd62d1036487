"""Pure arithmetic: memory, order, hold-out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamlearn.errors import MemoryBudgetError
from streamlearn.plan.holdout import held_out
from streamlearn.plan.memory import Demand, Term, plan_memory
from streamlearn.plan.order import Shuffle, plan_shuffle

DEMAND = Demand("learn", 10_000_000, 500.0, 150.0, 2, (Term("batch", 5_000_000),))


@pytest.mark.parametrize(
    # limit, chunk asked, readers asked -> chunk, readers
    ("limit", "asked", "readers", "rows", "given"),
    [
        (2_000_000_000, None, 1, 65_536, 1),  # room for the default
        (2_000_000_000, 1_000_000, 1, 1_000_000, 1),  # the user's size is taken as it is
        (2_000_000_000, 1_000, 3, 1_000, 3),
        (300_000_000, 1_000_000, 1, None, 1),  # cut to what fits
        (290_000_000, None, 4, None, 1),  # too many readers: fewer
        (280_000_000, 7, 1, 7, 1),  # a tiny chunk is never raised
    ],
)
def test_chunk_and_readers_fit_the_budget(limit, asked, readers, rows, given):
    plan = plan_memory(
        [DEMAND], limit_bytes=limit, reserved_bytes=200_000_000, chunk_size=asked, readers=readers
    )
    assert plan.projected_bytes <= limit
    assert plan.floor_bytes <= limit
    assert rows is None or plan.chunk_rows == rows
    assert plan.readers == given or (given == 1 and plan.readers < readers)
    assert (plan.requested_rows is not None) == (asked is not None and plan.chunk_rows < asked)


def test_what_does_not_fit_is_refused_with_the_number_that_would_do():
    with pytest.raises(MemoryBudgetError) as caught:
        plan_memory([DEMAND], limit_bytes=230_000_000, reserved_bytes=200_000_000)
    text = str(caught.value)
    enough = int(text.split("memory_budget='")[1].split("MB", maxsplit=1)[0]) * 10**6
    plan = plan_memory([DEMAND], limit_bytes=enough, reserved_bytes=200_000_000)
    # Some margin: the process holds a little more or less at its next start.
    assert plan.floor_bytes < enough < 1.05 * plan.floor_bytes
    plan_memory([DEMAND], limit_bytes=plan.floor_bytes, reserved_bytes=200_000_000)
    with pytest.raises(MemoryBudgetError):
        plan_memory([DEMAND], limit_bytes=plan.floor_bytes - 1, reserved_bytes=200_000_000)
    for part in ("'learn'", "230 MB", "200 MB", "30 MB"):
        assert part in text


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    rows=st.integers(0, 5_000),
    block=st.integers(1, 300),
    group=st.integers(1, 8),
    seed=st.integers(0, 10),
)
def test_a_shuffled_epoch_has_every_row_once(rows, block, group, seed):
    shuffle = Shuffle(block, group, seed)
    seen = []
    for blocks, order in shuffle.groups(rows, epoch=1):
        read = np.concatenate([np.arange(*part) for part in blocks])
        assert len(read) <= shuffle.group_rows
        seen.append(read[order])
    assert np.array_equal(np.sort(np.concatenate(seen or [np.arange(0)])), np.arange(rows))


def test_epochs_and_seeds_differ_and_repeat():
    def order(seed, epoch):
        groups = Shuffle(10, 4, seed).groups(1_000, epoch)
        return np.concatenate(
            [np.concatenate([np.arange(*b) for b in blocks])[p] for blocks, p in groups]
        )

    assert np.array_equal(order(0, 0), order(0, 0))
    assert not np.array_equal(order(0, 0), order(0, 1))
    assert not np.array_equal(order(0, 0), order(1, 0))


def test_sorted_labels_are_mixed():
    labels = np.repeat([0, 1], 50_000)
    shuffle = plan_shuffle(8_000, seed=0)
    for blocks, order in shuffle.groups(len(labels), 0):
        group = np.concatenate([labels[slice(*block)] for block in blocks])[order]
        if len(group) == shuffle.group_rows:
            assert 0.1 < group.mean() < 0.9


@settings(max_examples=30, deadline=None, derandomize=True)
@given(share=st.floats(0.01, 0.9), seed=st.integers(0, 2**70), cut=st.integers(1, 9_999))
def test_the_hold_out_does_not_depend_on_how_rows_are_read(share, seed, cut):
    rows = np.arange(10_000)
    whole = held_out(rows, share, seed)
    parts = np.concatenate([held_out(rows[:cut], share, seed), held_out(rows[cut:], share, seed)])
    assert np.array_equal(whole, parts)
    assert abs(whole.mean() - share) < 0.03


def test_no_share_holds_out_nothing():
    assert not held_out(np.arange(100), 0.0, 0).any()
