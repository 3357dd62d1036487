"""Where the time went: the table, and which stage limits."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
from streamlearn.report.stages import limiting, stage_text
from streamlearn.stream.stages import Stages, StageTime


def stages(**seconds):
    return [StageTime(name, wall, cpu, 1) for name, (wall, cpu) in seconds.items()]


def test_every_stage_of_a_fit_is_timed_and_saved(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 5))
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    data = (X, (X[:, 0] > 0).astype(int))
    result = sl.fit(pipeline, data, epochs=2, run=tmp_path / "run", threads=2)
    found = {item.stage: item for item in result.stages}
    assert {"decode", "statistics", "prepare", "model", "score", "wait"} <= set(found)
    assert all(0 <= item.cpu_s <= item.wall_s + 0.1 for item in result.stages)
    assert sl.load(tmp_path / "run").stages == result.stages
    assert "Where the time went" in (tmp_path / "run" / "report.html").read_text()


def test_a_caller_that_never_waits_is_limited_by_the_model():
    found = stages(decode=(2.0, 2.0), model=(9.0, 8.5), wait=(0.5, 0.0))
    assert limiting(found, 10.0)[0] == "model"
    assert "limited by model" in stage_text(found, 10.0)


def test_a_caller_that_waits_is_limited_by_what_it_waits_for():
    found = stages(decode=(9.0, 8.0), prepare=(2.0, 2.0), model=(3.0, 3.0), wait=(7.0, 0.0))
    assert limiting(found, 10.0)[0] == "decode"


def test_little_processor_time_means_the_disk():
    found = stages(decode=(9.0, 1.0), model=(1.0, 1.0), wait=(8.0, 0.0))
    assert limiting(found, 10.0)[0] == "disk"


def test_nothing_timed_says_so():
    assert limiting([], 1.0) == ("", "")
    assert stage_text(Stages().times(), 1.0) == "no stage was timed"


def test_a_stage_counts_the_making_of_items_and_not_their_use():
    clock = Stages()
    assert list(clock.each("decode", iter([1, 2, 3]))) == [1, 2, 3]
    assert clock.times()[0].calls == 4  # the end is looked for as well
