"""The exception tree and the sizes people write."""

from __future__ import annotations

import pytest

from streamlearn import errors
from streamlearn.errors import UsageError
from streamlearn.sizes import format_bytes, parse_bytes, parse_rows


def test_every_error_is_in_the_tree_and_has_its_exit_code():
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.StreamlearnError)
        assert name in (errors.__doc__ or "")
    assert errors.MemoryBudgetError.exit_code == 3
    assert errors.SourceError.exit_code == errors.SchemaError.exit_code == 4
    assert errors.UnsupportedEstimatorError.exit_code == 2


def test_a_missing_extra_says_how_to_install_it():
    error = errors.MissingExtraError("SQL", "duckdb", "sql")
    assert "pip install 'streamlearn[sql]'" in str(error)


@pytest.mark.parametrize("text", ["", "MB", "12 parsecs", "-5MB", "0", True, float("nan")])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(UsageError):
        parse_bytes(text)


@pytest.mark.parametrize(("text", "rows"), [("100,000", 100_000), ("1e5", 100_000), (7, 7)])
def test_rows_as_people_write_them(text, rows):
    assert parse_rows(text) == rows


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "many", ""])
def test_rows_that_are_none_are_refused(text):
    with pytest.raises(UsageError):
        parse_rows(text)


def test_sizes_round_to_three_digits():
    assert [format_bytes(n) for n in (0, 999, 1000, 999_499, 999_500, 10**15)] == [
        "0 B", "999 B", "1 kB", "999 kB", "1 MB", "1 PB",
    ]  # fmt: skip
