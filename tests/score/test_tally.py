from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from streamlearn.score.base import Answers
from streamlearn.score.bootstrap import Bootstrap, Interval, buckets_of
from streamlearn.score.choose import held_out_scores
from streamlearn.score.drift import drift_of
from streamlearn.score.gaps import Rates, fairness_gaps, positive_class
from streamlearn.score.tally import Tally, share_of


def _data(rows, seed=0, slices=5):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    said = y + rng.normal(size=rows) * 0.3
    return y, said, rng.random(rows) + 0.5, rng.integers(-1, slices, rows)


def _tally(y, said, weight, codes, cuts=(), slices=5, share=16):
    statistics = held_out_scores(None).statistics
    tally = Tally(statistics, [share] * len(statistics), slices)
    numbers = np.arange(len(y))
    bounds = [0, *cuts, len(y)]
    for start, stop in pairwise(bounds):
        part = slice(start, stop)
        tally.add(
            y[part],
            Answers(said[part]),
            None if weight is None else weight[part],
            buckets_of(numbers[part], 0, share),
            None if codes is None else codes[part].astype(np.intp),
            slices if codes is not None else 1,
        )
    return tally


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.lists(st.integers(0, 400), max_size=4), st.booleans())
def test_slices_are_scikit_learn_on_the_rows_of_each(rows, cuts, weighted):
    y, said, weight, codes = _data(rows)
    cuts = sorted(min(cut, rows) for cut in cuts)
    tally = _tally(y, said, weight if weighted else None, codes, cuts)
    for code in range(5):
        kept = codes == code
        assert tally.rows[code] == kept.sum()
        if kept.sum() < 2:
            continue
        w = weight[kept] if weighted else None
        found = tally.values(code)
        assert found["r2"] == pytest.approx(
            r2_score(y[kept], said[kept], sample_weight=w), rel=1e-9
        )
        rmse = root_mean_squared_error(y[kept], said[kept], sample_weight=w)
        assert found["rmse"] == pytest.approx(rmse, rel=1e-12)
        mae = mean_absolute_error(y[kept], said[kept], sample_weight=w)
        assert found["mae"] == pytest.approx(mae, rel=1e-12)


def test_slices_add_up_to_the_whole():
    y, said, weight, codes = _data(5_000)
    codes = codes + 1
    whole = _tally(y, said, weight, None)
    sliced = _tally(y, said, weight, codes, slices=6)
    for at, statistic in enumerate(whole.statistics):
        states = np.concatenate([sliced.states(at, code) for code in range(6)])
        total = statistic.values(statistic.combine(states, np.ones((1, len(states)))))
        for name, value in total.items():
            assert value[0] == pytest.approx(whole.values()[name], rel=1e-12)


def test_a_slice_that_is_not_there_has_nothing():
    tally = _tally(*_data(10), slices=5)
    assert tally.values(99) == {}
    assert tally.drawn(Bootstrap(), 99) == {}
    empty = Tally(held_out_scores(None).statistics, [16] * 3)
    assert empty.values() == {}
    assert empty.intervals(Bootstrap()) == {}


def test_many_slices_hold_what_was_said():
    statistics = held_out_scores(None).statistics
    assert share_of(10, 1_000_000, 512, 16 << 20) == 1
    tally = Tally(statistics, [16] * len(statistics), 1000)
    for known in (1, 9, 500, 1000):
        tally.add(np.zeros(1), Answers(np.zeros(1)), None, np.zeros(1, np.intp),
                  np.array([known - 1], np.intp), known)  # fmt: skip
        assert known <= len(tally) <= 1000
    assert tally.rows.sum() == 4


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_buckets_are_put_together_as_slices_come_up(ends):
    y, said, weight, _ = _data(600)
    codes = np.sort(np.random.default_rng(1).integers(0, 60, 600)).astype(np.intp)
    buckets = buckets_of(np.arange(600), 0, 64)
    statistics = held_out_scores(None).statistics
    # Room for 64 buckets of a few slices, and fewer of all.
    room = 64 * 8 * 12 * 10
    grown = Tally(statistics, [64] * len(statistics), 60, room)
    known = 0
    for start, stop in pairwise([0, *sorted(end * 10 for end in ends), 600]):
        part = slice(start, stop)
        known = max(known, int(codes[:stop].max()) + 1)
        grown.add(y[part], Answers(said[part]), weight[part], buckets[part], codes[part], known)
    at_once = Tally(statistics, grown.shares, 60, room)
    at_once.add(y, Answers(said), weight, buckets, codes, 60)
    assert all(share in (1, 16, 32, 64) for share in grown.shares)
    for at in range(len(statistics)):
        for code in range(60):
            found = statistics[at].combine(grown.states(at, code), np.eye(grown.shares[at]))
            expected = statistics[at].combine(at_once.states(at, code), np.eye(grown.shares[at]))
            for name, value in statistics[at].values(found).items():
                other = statistics[at].values(expected)[name]
                np.testing.assert_allclose(value, other, rtol=1e-9, atol=1e-9)


def test_draws_are_a_function_of_the_seed():
    first, again = Bootstrap(50, 0.95, 1).weights(64), Bootstrap(50, 0.95, 1).weights(64)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, Bootstrap(50, 0.95, 2).weights(64))
    numbers = np.arange(1000)
    fine, coarse = buckets_of(numbers, 3, 512), buckets_of(numbers, 3, 128)
    assert np.array_equal(fine % 128, coarse)


def test_an_interval_of_draws_that_are_mostly_undefined_is_none():
    bootstrap = Bootstrap()
    assert bootstrap.interval(np.array([np.nan, 1.0])) is None
    assert bootstrap.interval(np.array([np.nan] * 3)) is None
    assert bootstrap.interval(np.ones(10)) == Interval(1.0, 1.0)


def _coverage(repetitions, rows):
    bootstrap, hits, widths = Bootstrap(draws=400), 0, []
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        y = np.zeros(rows)
        # Errors of known size: the mean absolute error of an exponential of mean 1 is 1.
        said = rng.exponential(size=rows)
        found = _tally(y, said, None, None, share=512).intervals(bootstrap)["mae"]
        hits += 1.0 in found
        widths.append(found.high - found.low)
    return hits / repetitions, np.mean(widths)


def test_intervals_are_as_wide_as_theory_says():
    covered, width = _coverage(40, 4_000)
    # 95 % of a mean: 2 x 1.96 / sqrt(n); of 40, 0.95 misses fewer than 8 but once in 1,000.
    assert width == pytest.approx(2 * 1.96 / 4_000**0.5, rel=0.08)
    assert covered >= 0.82


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 1_000, 20_000])
def test_intervals_cover(rows):
    covered, _ = _coverage(1_000, rows)
    assert 0.92 <= covered <= 0.97


def test_rates_and_gaps_by_hand():
    y = np.array([1, 1, 0, 0, 1, 1, 0, 0])
    said = np.array([1, 0, 1, 0, 1, 1, 0, 0])
    codes = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.intp)
    tally = Tally([Rates(1)], [1], 2)
    tally.add(y, Answers(said), None, np.zeros(8, np.intp), codes, 2)
    groups = [(name, 4, tally.values(at), {}) for at, name in enumerate("ab")]
    found = fairness_gaps("g", 1, groups, Bootstrap(), least_rows=1)
    assert found.gaps == {
        "demographic_parity_difference": 0.0,
        "demographic_parity_ratio": 1.0,
        "equal_opportunity_difference": 0.5,
        "equalized_odds_difference": 0.5,
    }
    small = fairness_gaps("g", 1, groups, Bootstrap(), least_rows=5)
    assert small.gaps == {}
    assert [group.counted for group in small.groups] == [False, False]


def test_the_positive_class():
    assert positive_class(np.array(["a", "b"]), None) == "b"
    assert positive_class(np.array([0, 1]), "0") == 0
    from streamlearn.errors import UsageError

    with pytest.raises(UsageError, match="of 3 classes"):
        positive_class(np.arange(3), None)
    with pytest.raises(UsageError, match="none of the classes: 0, 1"):
        positive_class(np.arange(2), "yes")


def test_drift_marks_what_chance_does_not_explain():
    rng = np.random.default_rng(0)
    draws = 1 + rng.normal(size=400) / 100
    values = 1 + rng.normal(size=50) / 100 * 50**0.5
    values[30] = 1.6
    found = drift_of("mae", 1.0, draws, values, [200] * 50, 10_000, 0.95)
    assert [item.first for item in found.marked] == [6_000]
    assert found.segments[-1].last == 9_999
    unknown = drift_of("mae", 1.0, np.full(9, np.nan), [2.0, 1.0, np.nan], [5, 0, 5], 10, 0.95)
    assert len(unknown.segments) == 2
    assert not unknown.marked
