"""What a profile gives cause to think: found in data made for it, and in no ordinary data."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from made import mixed_table

from streamlearn.chunk import Schema
from streamlearn.learn.profiler import Profiler, profilers

ROWS = 8_000


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


def findings(columns, target=None, *, full=True, classes=None):
    table = pa.table(columns)
    found = profilers(Schema.from_arrow(table.schema), None, full=full)()
    batch = table.combine_chunks().to_batches()[0]
    found.update(batch, None, np.arange(len(batch)))
    found.update_block(batch, None)
    return found.value(target, classes).findings


def kinds(*args, **options):
    return {(finding.kind, finding.column) for finding in findings(*args, **options)}


def texts(rng, many, rows=ROWS):
    return np.array([f"t{i:05d}" for i in range(many)])[rng.integers(0, many, rows)]


@pytest.mark.parametrize("full", [True, False])
def test_columns_that_teach_nothing_are_found(full):
    gaps = pa.array([1.5] * 10 + [None] * (ROWS - 10))
    found = findings(
        {
            "one": np.full(ROWS, 3),
            "same": pa.array(["x"] * ROWS),
            "none": pa.nulls(ROWS, pa.float64()),
            "nan": np.full(ROWS, np.nan),
            "gaps": gaps,
            "half": pa.array([None, 1, 2, 3] * (ROWS // 4)),
        },
        full=full,
    )
    assert [(item.kind, item.column) for item in found] == [
        ("constant", "one"),
        ("constant", "same"),
        ("all null", "none"),
        ("all null", "nan"),
        ("mostly null", "gaps"),
        ("constant", "gaps"),
    ]
    assert all(item.severity == "notice" for item in found)
    assert "'one' is 3 in all rows" in found[0].text
    assert "7,990 rows, 100% of all" in found[4].text
    where = "in all rows" if full else "in all 4,096 sampled rows"
    assert f"'same' is 'x' {where}" in found[1].text


@pytest.mark.parametrize("full", [True, False])
def test_ids_are_found_and_measurements_are_none(rng, full):
    found = kinds(
        {
            "serial": np.arange(ROWS),
            "shuffled": rng.permutation(ROWS) + 1_000,
            "hash": rng.integers(-(2**62), 2**62, ROWS),
            "key": pa.array([f"{i * 7919 % 99_991:06x}" for i in range(ROWS)]),
            "userId": np.concatenate([np.arange(ROWS - 400), np.arange(400)]) * 1_000,
            "pennies": rng.integers(0, 10**9, ROWS),
            "age": rng.integers(0, 100, ROWS),
            "review": pa.array(
                [f"a text of many words, number {i} {'bla ' * 30}" for i in range(ROWS)]
            ),
            "covid": rng.normal(size=ROWS),
        },
        full=full,
    )
    ids = {column for kind, column in found if kind == "id"}
    assert ids == {"serial", "shuffled", "hash", "key", "userId"}


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("kind", ["number", "class", "text"])
def test_features_that_give_the_target_away_are_found(rng, full, kind):
    y = {
        "number": rng.normal(size=ROWS),
        "class": rng.integers(0, 3, ROWS),
        "text": np.array(["no", "yes"])[rng.integers(0, 2, ROWS)],
    }[kind]
    twin = y.copy()
    twin[0] = y[1]
    columns = {"y": y, "twin": twin, "noise": rng.normal(size=ROWS), "zone": texts(rng, 50)}
    expected = {"twin"}
    if kind != "text":
        columns |= {"line": 3 * y - 7, "near": y + rng.normal(size=ROWS) * 0.2}
        expected.add("line")
    if kind != "number":
        labels = np.unique(y, return_inverse=True)[1]
        columns["code"] = np.array(["a", "b", "c", "d", "e", "f"])[
            labels * 2 + rng.integers(0, 2, ROWS)
        ]
        columns["mostly"] = np.where(rng.random(ROWS) < 0.02, "a", columns["code"])
        expected.add("code")
    found = findings(columns, "y", full=full)
    leaks = [item for item in found if item.kind == "leakage"]
    assert {item.column for item in leaks} == expected
    assert all(item.severity == "warning" for item in leaks)
    assert all("features=" in item.text and "sampled rows" in item.text for item in leaks)


def test_one_far_value_is_no_leakage(rng):
    y, x = rng.normal(size=ROWS), rng.normal(size=ROWS)
    y[7] = x[7] = 1e9
    assert kinds({"x": x, "y": y}, "y") == set()


def test_a_rare_class_does_not_make_every_category_a_leak(rng):
    y = (np.arange(ROWS) % 1_000 == 0).astype(int)
    zone = texts(rng, 5)
    assert {kind for kind, _ in kinds({"zone": zone, "y": y}, "y")} == {"rare class"}


@pytest.mark.parametrize("target", ["sorted", "trend"])
def test_a_target_that_drifts_along_the_data_is_found(rng, target):
    y = {
        "sorted": np.sort(rng.integers(0, 3, ROWS)),
        "trend": np.linspace(0, 3, ROWS) + rng.normal(size=ROWS),
    }[target]
    (found,) = findings({"x": rng.normal(size=ROWS), "y": y}, "y")
    assert (found.kind, found.severity) == ("drift", "warning")
    assert "--shuffle" in found.text


def test_a_target_that_teaches_nothing_is_a_warning():
    found = findings({"x": np.arange(100.0), "y": np.ones(100)}, "y")
    assert [(item.kind, item.severity) for item in found] == [("constant target", "warning")]
    gaps = findings({"x": np.arange(100.0) ** 2, "y": pa.array([1.0, 2.0, None, 4.0] * 25)}, "y")
    assert "25 rows; leave them out with where=" in gaps[0].text


def test_infinities_are_a_warning(rng):
    x = rng.normal(size=ROWS)
    x[[3, 5]] = np.inf, -np.inf
    (found,) = findings({"x": x})
    assert (found.kind, found.severity) == ("infinite", "warning")
    assert "in 2 rows" in found.text


@pytest.mark.parametrize("full", [True, False])
def test_numbers_and_dates_kept_as_text_are_found_and_codes_are_not(rng, full):
    found = kinds(
        {
            "price": pa.array([f"{x:.1f}" for x in rng.normal(50, 5, ROWS)]),
            "day": pa.array([f"2024-{m:02d}-01" for m in rng.integers(1, 13, ROWS)]),
            "zip": pa.array([f"{x:05d}" for x in rng.integers(0, 400, ROWS)]),
            "flag": texts(rng, 2),
        },
        full=full,
    )
    assert found == {("numbers as text", "price"), ("dates as text", "day")}


def test_many_categories_and_a_rare_class_are_noticed(rng):
    y = np.where(np.arange(ROWS) % 500 == 3, "rare", np.where(rng.random(ROWS) < 0.4, "a", "b"))
    found = kinds({"street": texts(rng, 3_000), "zone": texts(rng, 300), "y": y}, "y")
    assert found == {("many categories", "street"), ("rare class", "y")}
    counted = findings({"x": rng.normal(size=ROWS), "y": y}, "y", classes=(["a", "b"], [1, 999]))
    assert "'a' is rare: 0.10% of rows" in counted[0].text


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("target", ["y", "label", "name", "distance", "count", "flag", "zone"])
def test_ordinary_data_raises_no_alarm(full, target):
    table = mixed_table(10_000)
    columns = {name: table[name] for name in table.column_names}
    related = {"y": ("label", "name"), "label": ("y", "name"), "name": ("y", "label")}
    for name in related.get(target, ()):
        del columns[name]  # made from each other
    if target in ("flag", "count", "zone"):
        del columns["name"]  # is the label in words: fine, but for another target
    assert kinds(columns, target, full=full) <= {("missing target", target)}


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_well_known_data_raises_no_alarm(name):
    import sklearn.datasets

    data = getattr(sklearn.datasets, f"load_{name}")()
    columns = {str(key): data.data[:, place] for place, key in enumerate(data.feature_names)}
    found = kinds({**columns, "target": data.target}, "target")
    assert {kind for kind, _ in found} <= {"constant"}  # pixels in the corners of digits


def test_few_rows_say_little():
    assert kinds({"id": np.arange(5), "x": np.arange(5), "y": np.arange(5)}, "y") == set()


def test_a_profiler_without_target_looks_for_no_leak(rng):
    x = rng.normal(size=ROWS)
    assert kinds({"a": x, "b": x}) == set()
    assert isinstance(profilers(Schema(()), None, full=True)(), Profiler)
