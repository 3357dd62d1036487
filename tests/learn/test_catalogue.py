"""The catalogue: every transformer of scikit-learn, fitted from chunks or refused by name."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import streamlearn as sl
from benchmarks.catalogue import (
    cases,
    in_memory,
    make_data,
    make_target,
    measure,
    others,
    with_target,
)

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


ELSEWHERE = """
import pickle, sys, warnings

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("streamlearn", "benchmarks"):
            raise ImportError(name + " is not to be had here")

sys.meta_path.insert(0, Absent())
warnings.simplefilter("ignore")
with open(sys.argv[1], "rb") as file:
    for name, estimator, rows, expected in pickle.load(file):
        found = estimator.transform(rows)
        found = found.toarray() if hasattr(found, "toarray") else found
        assert (found == expected).all() or abs(found - expected).max() < 1e-12, name
        print(name)
"""


@pytest.mark.filterwarnings("ignore")
def test_what_is_fitted_works_where_streamlearn_is_not(tmp_path):
    kept = []
    for name, case in sorted(CASES.items()):
        if "Label" in name:
            continue  # they transform targets
        X, y = make_data(case.data, 300), make_target(case.target, 300)
        data = sl.scan(with_target(X, y), target="y") if y is not None else sl.scan(X)
        options = {"batch_size": 100} if case.by_hand else {}
        result = sl.fit(case.estimator, data, **options)
        assert result.warnings == (), name
        estimator = result.estimator
        rows = in_memory(case, X)
        found = estimator.transform(rows)
        kept.append(
            (name, estimator, rows, found.toarray() if hasattr(found, "toarray") else found)
        )
    (tmp_path / "kept.pickle").write_bytes(pickle.dumps(kept))
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path / "kept.pickle")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == len(kept) > 50
