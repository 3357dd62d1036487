"""A profile as rows of text."""

from __future__ import annotations

import pytest

from streamlearn.learn.profile import ColumnProfile, Finding, Profile
from streamlearn.report.profile import HEADINGS, column_row, profile_table, profile_text


def profile(columns, findings=(), **given):
    plain = {"rows": 1_000, "sampled_rows": 1_000, "rank_error": 0.0, **given}
    return Profile(columns=tuple(columns), findings=tuple(findings), **plain).to_dict()


def cells(column, rows=1_000):
    return dict(zip(HEADINGS, column_row(column.to_dict(), rows).cells, strict=True))


def test_no_profile_is_an_empty_table():
    assert profile_table(None).columns == ()


def test_numbers_are_short_and_say_what_is_estimated():
    column = ColumnProfile(
        "a",
        "double",
        nulls=5,
        infinite=250,
        distinct=123_456,
        distinct_is="about",
        minimum=-1.23456789,
        maximum=2**60,
        mean=1 / 3,
        mean_is="sampled",
        quantiles={"50%": 0.5},
        top=((1.5, 0.25), ("x" * 50, 0.1)),
        top_is="sampled",
    )
    found = cells(column)
    assert found["nulls"] == "0.5 %, 25.0 % inf"
    assert found["distinct"] == "~123,000"
    assert (found["min"], found["max"]) == ("-1.2346", "1152921504606846976")
    assert (found["mean"], found["median"], found["std"]) == ("~0.33333", "0.5", "")
    assert found["most frequent"].startswith("1.5 (~25.0 %), xxx")
    assert len(found["most frequent"]) < 60
    assert cells(ColumnProfile("a", "x", nulls=1), rows=10**6)["nulls"] == "1"
    assert cells(ColumnProfile("a", "x", distinct=7, distinct_is="at least"))["distinct"] == ">=7"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2024-02-29T12:00:00.000000Z", "2024-02-29T12:00:00Z"), ("1.000", "1.000"), (True, "true")],
)
def test_values_are_shown_as_they_read_best(value, shown):
    assert cells(ColumnProfile("a", "x", minimum=value))["min"] == shown


def test_many_columns_are_cut_those_with_findings_first():
    columns = [ColumnProfile(f"c{i}", "double") for i in range(50)]
    found = profile_table(
        profile(columns, [Finding("notice", "id", "c40", "look")], target="c45"), 10
    )
    assert [row.name for row in found.columns[:3]] == ["c40", "c45 (target)", "c0"]
    assert "10 of 50 columns" in found.note
    text = profile_text(profile(columns, [Finding("notice", "id", "c40", "look")]), 10)
    assert text.endswith("notice: look")


def test_what_is_exact_is_said():
    columns = [ColumnProfile("a", "double")]
    assert "everything is exact" in profile_table(profile(columns)).about
    sampled = {"rows": 10**6, "sampled_rows": 4_096, "rank_error": 0.0212}
    assert "means are exact" in profile_table(profile(columns, **sampled)).about
    light = profile_table(profile(columns, full=False, **sampled)).about
    assert "means, quantiles, distinct and frequent values are from a sample of 4,096" in light
