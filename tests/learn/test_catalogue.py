"""The catalogue: every transformer of scikit-learn, fitted from chunks or refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.catalogue import cases, measure, others

CASES = cases()
PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(CASES))
def test_it_equals_scikit_learn(name):
    entry = measure(name, CASES[name], rows=1_000)
    tolerance = 1e-6 if name == "PowerTransformer" else 1e-9
    assert float(entry.difference) <= tolerance, entry


def test_everything_else_is_refused_with_an_alternative_or_learns_nothing():
    for entry in others():
        assert entry.way in ("refused", "learns nothing")
        assert entry.way != "refused" or entry.note, entry


def test_the_page_has_every_transformer_there_is():
    page = PAGE.read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| (\w+) \|", page, re.MULTILINE))
    assert {*CASES, *(entry.name for entry in others())} <= shown
    assert len(re.findall(r"\| (exact|in order|learns nothing) \|", page)) >= 50
