"""The governor, with a probe that says what the test wants."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from streamlearn.errors import MemoryBudgetError
from streamlearn.stream.events import ChunkRead, ChunkResized, Reclaimed
from streamlearn.stream.governor import Governor
from streamlearn.stream.probe import KernelProbe, PsutilProbe, Reading, make_probe

MB = 1_000_000


@dataclass
class FakeProbe:
    now: int = 100 * MB
    high: int = 100 * MB
    exact_peak: bool = True
    resets: int = 0

    def rss(self):
        return self.now

    def read(self):
        return Reading(self.now, max(self.high, self.now), 0)

    def reset(self):
        self.resets += 1
        self.high = self.now


@dataclass
class Clock:
    time: float = 0.0

    def __call__(self):
        self.time += 1.0
        return self.time


@dataclass
class Listener:
    events: list = field(default_factory=list)

    def __call__(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def make(limit=200 * MB, rows=8_192, **kwargs):
    probe, listener = FakeProbe(), Listener()
    governor = Governor(
        limit_bytes=limit,
        chunk_rows=rows,
        probe=probe,
        emit=listener,
        clock=Clock(),
        **{"reclaimers": (), **kwargs},
    )
    return governor, probe, listener


def test_a_calm_run_keeps_its_chunk_and_measures_each():
    governor, probe, listener = make()
    for rows in range(3):
        governor.after_chunk(rows)
    assert governor.chunk_rows == 8_192
    assert len(listener.of(ChunkRead)) == 3
    assert probe.resets == 4
    assert not listener.of(ChunkResized)


def test_a_high_peak_halves_the_chunk_with_its_reason():
    governor, probe, listener = make()
    probe.high = 195 * MB
    governor.after_chunk(1)
    assert governor.chunk_rows == 4_096
    (event,) = listener.of(ChunkResized)
    assert "195 MB" in event.reason
    assert "200 MB" in event.reason


def test_the_chunk_never_falls_below_a_floor():
    governor, probe, _ = make(rows=1_000)
    for _ in range(20):
        probe.high = 199 * MB
        governor.after_chunk(1)
    assert governor.chunk_rows == 256


def test_chunks_under_way_are_not_held_against_the_new_size():
    governor, probe, listener = make(lag=5)
    for _ in range(5):
        probe.high = 195 * MB
        governor.after_chunk(1)
    assert len(listener.of(ChunkResized)) == 1
    probe.high = 195 * MB
    governor.after_chunk(1)
    assert governor.chunk_rows == 2_048


def test_growth_waits_until_memory_has_been_calm_and_stays_below_what_was_too_much():
    governor, probe, _ = make()
    probe.high = 195 * MB
    governor.after_chunk(1)
    for _ in range(15):
        governor.after_chunk(1)
    assert governor.chunk_rows == 4_096
    for _ in range(100):
        governor.after_chunk(1)
    assert governor.chunk_rows == 6_144


def test_growth_goes_by_what_a_row_costs_at_its_peak():
    governor, probe, _listener = make(rows=8_192)
    probe.high = 195 * MB  # a row costs 11.6 kB beyond the 100 MB held
    governor.after_chunk(1)
    probe.now = 140 * MB  # someone else holds 40 MB from here on
    for _ in range(15):
        governor.after_chunk(1)
    assert governor.chunk_rows == 4_096
    assert 140 * MB + governor.chunk_rows * 95 * MB / 8_192 < 195 * MB


def test_with_the_smallest_chunk_fewer_fragments_are_read_at_once():
    governor, probe, _ = make(rows=256)
    assert governor.readers is None
    probe.high = 195 * MB
    governor.after_chunk(1)
    assert governor.readers == 1


def test_watching_is_timed():
    governor, _, _ = make()
    governor.after_chunk(1)
    assert governor.monitor_s > 0


def test_memory_is_given_back_before_it_is_too_late():
    given = []

    def give(name, amount):
        def run():
            given.append(name)
            probe.now -= amount

        return name, run

    governor, probe, listener = make(
        reclaimers=(give("arrow pool", 30 * MB), give("malloc_trim", 0), give("gc", 50 * MB))
    )
    probe.now = 175 * MB
    governor.after_chunk(1)
    assert given == ["arrow pool", "malloc_trim"]
    (event,) = listener.of(Reclaimed)
    assert (event.kind, event.given_back_bytes, event.rss_bytes) == (
        "arrow pool",
        30 * MB,
        145 * MB,
    )
    probe.now = 230 * MB
    governor.after_chunk(2)
    assert "gc" in given
    assert probe.now < 200 * MB


def test_more_than_the_budget_is_an_error_that_says_what_would_do():
    governor, probe, _ = make()
    probe.now = 250 * MB
    with pytest.raises(
        MemoryBudgetError, match=r"250 MB after 7 rows .* 200 MB.* more than a budget of 250 MB"
    ):
        governor.after_chunk(7)


def test_the_highest_of_all_chunks_is_what_was_measured():
    governor, probe, _ = make()
    probe.high = 170 * MB
    governor.after_chunk(1)
    governor.after_chunk(2)
    assert governor.finish() == 170 * MB


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="Linux only")
def test_the_kernels_mark_sees_what_was_freed_again():
    probe = make_probe()
    assert isinstance(probe, KernelProbe)
    try:
        before = probe.rss()
        probe.reset()
        block = np.ones(50_000_000 // 8)
        del block
        assert probe.read().peak - before > 45_000_000
        probe.reset()
        assert probe.read().peak - before < 25_000_000
    finally:
        probe.close()


def test_where_the_kernel_has_no_mark_the_highest_sample_counts():
    probe = PsutilProbe()
    try:
        assert not probe.exact_peak
        before = probe.rss()
        assert before > 10_000_000
        probe.reset()
        block = np.ones(50_000_000 // 8)
        time.sleep(0.2)
        del block
        assert probe.read().peak - before > 40_000_000
    finally:
        probe.close()
