"""Chunks on the move: order, batches, scratch, and clean endings."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from streamlearn.chunk import Chunk
from streamlearn.errors import MemoryBudgetError, UsageError
from streamlearn.plan.memory import Demand, plan_memory
from streamlearn.rebatch import rebatch
from streamlearn.stream import budget
from streamlearn.stream.budget import cgroup_limit, resolve_budget
from streamlearn.stream.prefetch import ahead, ordered
from streamlearn.stream.scratch import Scratch, check_free_disk


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
@pytest.mark.parametrize("depth", [None, 1, 3])
def test_results_come_in_the_order_of_the_tasks(threads, depth):
    def work(task):
        for item in range(task % 4):
            time.sleep(0.001 * (task % 3))
            yield task, item

    expected = [(task, item) for task in range(20) for item in range(task % 4)]
    assert list(ordered(range(20), work, threads=threads, depth=depth)) == expected


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
@pytest.mark.parametrize("depth", [1, 3, 9])
def test_what_is_done_ahead_comes_in_the_order_of_the_items(threads, depth):
    seen = set()

    def work(item):
        seen.add(threading.current_thread().name)
        time.sleep(0.003 * (item % 3))
        return item * item

    found = list(ahead(range(20), work, threads=threads, depth=depth))
    assert found == [item * item for item in range(20)]
    assert 1 <= len(seen) <= max(1, threads)


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_at_its_place_and_threads_end(threads):
    def work(task):
        yield task
        if task == 3:
            raise KeyError("three")

    seen = []
    with pytest.raises(KeyError, match="three"):
        seen.extend(ordered(range(100), work, threads=threads, depth=1))
    stream = ordered(range(100), work, threads=threads, depth=1)
    got = []
    with pytest.raises(KeyError):
        for item in stream:
            got.append(item)
    assert got == [0, 1, 2, 3]


def test_leaving_early_closes_the_readers():
    closed = []

    def work(task):
        try:
            for item in range(1000):
                yield item
        finally:
            closed.append(task)

    stream = ordered(range(50), work, threads=3, depth=1)
    assert next(stream) == 0
    stream.close()
    assert 1 <= len(closed) <= 4
    assert not [t for t in threading.enumerate() if t.name.startswith("streamlearn")]


def test_work_ahead_is_bounded():
    begun = []

    def work(task):
        begun.append(task)
        yield task

    stream = ordered(range(100), work, threads=2, depth=1)
    next(stream)
    time.sleep(0.2)
    assert len(begun) <= 4
    stream.close()


def _chunks(sizes, kind):
    start = 0
    for size in sizes:
        rows = np.arange(start, start + size)
        X = np.column_stack([rows, rows * 2.0]) if size else np.zeros((0, 2))
        yield Chunk(sparse.csr_matrix(X) if kind == "csr" else X, rows, rows * 3, rows + 0.5)
        start += size


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(0, 50), max_size=20),
    batch=st.integers(1, 40),
    kind=st.sampled_from(["dense", "csr"]),
)
def test_batches_are_consecutive_rows_and_only_the_last_is_short(sizes, batch, kind):
    batches = list(rebatch(_chunks(sizes, kind), batch))
    total = sum(sizes)
    assert [len(b) for b in batches[:-1]] == [batch] * max(0, len(batches) - 1)
    rows = np.concatenate([b.rows for b in batches]) if batches else np.arange(0)
    assert np.array_equal(rows, np.arange(total))
    for b in batches:
        dense = b.X.toarray() if kind == "csr" else b.X
        assert np.array_equal(dense[:, 1], b.rows * 2.0)
        assert np.array_equal(b.y, b.rows * 3)
        assert np.array_equal(b.weight, b.rows + 0.5)


@pytest.mark.parametrize("kind", ["dense", "csr"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("labels", ["number", "text"])
def test_scratch_gives_back_what_it_took(tmp_path, kind, dtype, labels):
    rng = np.random.default_rng(0)
    X = (rng.random((500, 7)) * (rng.random((500, 7)) < 0.4)).astype(dtype)
    y = rng.integers(0, 3, 500)
    y = np.array(["a", "b", "ü"], dtype=object)[y] if labels == "text" else y
    with Scratch(tmp_path) as scratch:
        for start in range(0, 500, 90):
            part = X[start : start + 90]
            held = sparse.csr_matrix(part) if kind == "csr" else part
            scratch.append(Chunk(held, np.arange(len(part)), y[start : start + 90]))
        assert scratch.rows == 500
        for start, stop in [(0, 500), (13, 14), (499, 500), (200, 200), (77, 333)]:
            got = scratch.read(start, stop)
            dense = got.X.toarray() if kind == "csr" else got.X
            assert dense.dtype == dtype
            assert np.array_equal(dense, X[start:stop])
            assert got.y.tolist() == y[start:stop].tolist()
    assert list(tmp_path.iterdir()) == []


def test_scratch_that_the_disk_cannot_hold_is_refused(tmp_path):
    with pytest.raises(UsageError, match="free"):
        check_free_disk(tmp_path, 2**60)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        # version 2, nested: the tightest ancestor binds
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/memory.max": "500000000\n",
                "sys/fs/cgroup/a/b/memory.max": "max\n",
                "sys/fs/cgroup/a/b/memory.high": "max\n",
            },
            500_000_000,
        ),
        # version 1, the group's own limit below its parent's
        (
            {
                "proc/self/cgroup": "7:cpu,cpuacct:/x\n4:memory:/job/step\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "800000000\n",
                "sys/fs/cgroup/memory/job/step/memory.limit_in_bytes": "400000000\n",
            },
            400_000_000,
        ),
        # inside a container the mount is the group
        (
            {"proc/self/cgroup": "0::/not/here\n", "sys/fs/cgroup/memory.max": "300000000\n"},
            300_000_000,
        ),
        ({"proc/self/cgroup": "0::/\n"}, None),
        ({}, None),
    ],
)
def test_the_limit_of_a_container_is_the_tightest_of_its_groups(tmp_path, files, limit):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cgroup_limit(tmp_path) == limit


def test_the_limit_of_a_container_binds_a_larger_budget(monkeypatch):
    monkeypatch.setattr(budget, "cgroup_limit", lambda: 400_000_000)
    assert resolve_budget("512MB", 100_000_000) == 400_000_000
    assert resolve_budget("300MB", 100_000_000) == 300_000_000
    # What the process holds already is told with what a pass needs, by the plan.
    assert resolve_budget("1GB", 450_000_000) == 400_000_000


def test_budgets_as_people_say_them(monkeypatch):
    held = 100_000_000
    monkeypatch.setattr(budget, "available_bytes", lambda reserved: 2_000_000_000 + reserved)
    monkeypatch.setattr(budget, "cgroup_limit", lambda: None)
    assert resolve_budget("512MB", held) == 512_000_000
    assert resolve_budget("+300MB", held) == 400_000_000
    assert held < resolve_budget("50%", held) < 2**50
    assert resolve_budget("auto", held) == resolve_budget(None, held)
    with pytest.raises(MemoryBudgetError, match=r"100 MB already.*\+300MB"):
        plan_memory(
            [Demand("learn", 0, 8.0, 8.0, 2, ())], limit_bytes=99_000_000, reserved_bytes=held
        )
    for text in ("0%", "101%", "x%", "+", "lots"):
        with pytest.raises(UsageError):
            resolve_budget(text, held)
