"""The page of an evaluation: complete, escaped, self-contained, small."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from page import HOSTILE, Page
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression

import streamlearn as sl
from streamlearn.evaluation import Evaluation, ScoredRows
from streamlearn.report.evaluation import evaluation_content
from streamlearn.report.evaluation_charts import curve_charts
from streamlearn.report.evaluation_confusion import confusion_table
from streamlearn.report.strip import Scale, number, span
from streamlearn.report.units import lower_is_better, unit_of
from streamlearn.score.bootstrap import Interval
from streamlearn.score.gates import GateResult
from streamlearn.score.judge import Comparison, ConfusionMatrix
from streamlearn.score.names import greater_is_better, known_names
from streamlearn.score.slice_table import Slice, SliceTable
from streamlearn.stream.timeline import MemoryReport

ROWS = 3_000


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 3))
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame["zone"] = rng.integers(0, 6, ROWS)
    frame["y"] = X[:, 0] + 0.3 * rng.normal(size=ROWS) + (np.arange(ROWS) > 2_000)
    frame["label"] = (frame["y"] > 0).astype(int)
    return frame


@pytest.fixture(scope="module")
def regression(frame: pd.DataFrame) -> Evaluation:
    model = LinearRegression().fit(frame[["a", "b", "c"]], frame["y"])
    other = LinearRegression().fit(frame[["a", "b", "c"]], frame["y"] + 0.5)
    data = sl.scan(frame, target="y", features=["a", "b", "c"])
    gates = ["rmse <= 100", "r2 >= 0.99", "mae <= 50 where zone == 3"]
    return sl.evaluate(
        model, data, slice_by=["zone", "b:4"], compare={"moved": other}, require=gates, segments=6
    )


@pytest.fixture(scope="module")
def binary(frame: pd.DataFrame) -> Evaluation:
    model = LogisticRegression().fit(frame[["a", "b", "c"]], frame["label"])
    data = sl.scan(frame, target="label", features=["a", "b", "c"])
    return sl.evaluate(model, data, slice_by=["b:3"], fairness_by=["zone"])


def headings(html: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", html)


def test_page_of_a_regressor(regression: Evaluation) -> None:
    html = regression.to_html()
    page = Page(html)
    assert headings(html) == [
        "Requirements",
        "Metrics",
        "Other models",
        "Slices",
        "Residuals",
        "Along the stream",
        "Rows",
        "What was asked",
        "Memory",
        "Where the time went",
        "How to reproduce",
    ]
    assert "1 of 3 requirements FAILED" in page.words
    words = page.words
    assert words.index("r2 &gt;= 0.99" if "&gt;" in words else "r2 >= 0.99") < words.index(
        "rmse <="
    )
    for text in ("moved", "target units", "95 % interval", "beyond chance", "decode", "seed"):
        assert text in words
    for row in evaluation_content(regression).metrics:
        assert f"{row.name} {row.value} {row.interval}".strip() in words
    assert regression.about["data"]["fingerprint"] in words
    assert page.tags["svg"] == 4
    assert len(page.ids) == len(set(page.ids))


def test_page_of_a_classifier(binary: Evaluation) -> None:
    html = binary.to_html()
    page = Page(html)
    assert {"Fairness", "Curves", "Confusion"} <= set(headings(html))
    assert "Requirements" not in headings(html)
    for text in ("ROC", "Precision and recall", "Calibration", "Gain", "Lift", "share of pairs"):
        assert text in page.words
    for row in binary.confusion.matrix:
        for cell in row:
            assert f"{int(cell):,}" in page.words
    assert "equal_opportunity_difference" in page.words
    assert "selection rate" in page.words


def test_page_needs_no_network_and_no_script(regression: Evaluation, binary: Evaluation) -> None:
    for html in (regression.to_html(), binary.to_html(), binary._repr_html_()):
        page = Page(html)
        assert page.tags["script"] == 0
        assert not {"link", "iframe", "object", "img"} & set(page.tags)
        assert "@import" not in html
        assert "http:" not in re.sub(r"http://www\.w3\.org/\S+", "", html)
        assert "https:" not in html
        assert not [item for item in page.attributes if item[1].startswith("on")]
        assert not [item for item in page.attributes if item[1] == "src"]
    assert "default-src 'none'" in regression.to_html()


def test_page_is_written_where_asked(binary: Evaluation, tmp_path) -> None:
    html = binary.to_html(tmp_path / "found.html")
    Page((tmp_path / "found.html").read_text(encoding="utf-8"))
    assert html.startswith("<!doctype html>")


def test_contents_lead_to_every_section(regression: Evaluation) -> None:
    page = Page(regression.to_html())
    places = [value[1:] for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert len(places) == 11
    assert set(places) <= set(page.ids)


def memory() -> MemoryReport:
    return MemoryReport(10**9, 10**8, 3 * 10**8, 2 * 10**8, exact=True)


def hostile_and_large(slices: int, metrics: int) -> Evaluation:
    names = ["rmse", *(f"{HOSTILE}{at}" for at in range(1, metrics))]
    values = {name: 1.0 + at for at, name in enumerate(names)}
    intervals = {name: Interval(value - 0.1, value + 0.1) for name, value in values.items()}
    tables = tuple(
        SliceTable(
            f"{HOSTILE}{table}",
            HOSTILE,
            HOSTILE,
            tuple(
                Slice(f"{HOSTILE}{at}", 100, 100.0, values, {"rmse": 0.01}, intervals)
                for at in range(slices)
            ),
        )
        for table in range(3)
    )
    classes = tuple(f"{HOSTILE}{at}" for at in range(40))
    matrix = tuple(tuple(float(100 * (a == b) + b) for b in range(40)) for a in range(40))
    return Evaluation(
        metrics=values,
        rows=ScoredRows(100, 100, 0, 0, 0),
        memory=memory(),
        seconds=1.0,
        model=HOSTILE,
        main="rmse",
        greater_is_better=False,
        intervals=intervals,
        slices=tables,
        confusion=ConfusionMatrix(classes, matrix),
        comparison=(Comparison(HOSTILE, values, intervals, values, intervals),),
        gates=(GateResult(HOSTILE, "rmse", False, float("nan"), 1.0, None, 0),),
        notes=(HOSTILE,),
        about={
            "data": {"target": HOSTILE, "files": [HOSTILE], "where": HOSTILE},
            "options": {"slice_by": [HOSTILE]},
            "command": HOSTILE,
            "run": HOSTILE,
        },
    )


def test_hostile_names_are_escaped_and_large_tables_are_thinned() -> None:
    found = hostile_and_large(300, 8)
    html = found.to_html()
    assert len(html.encode()) < 2_000_000
    for text in (html, found._repr_html_()):
        assert "<script" not in text
        assert "<img" not in text
        assert HOSTILE in Page(text).words
    words = Page(html).words
    assert "60 of 300 slices are shown" in words
    assert "The 12 most confused of 40 classes are shown" in words
    assert "28 others" in words
    assert "rmse of a slice may be off by 0.01 at most" in words


def test_page_of_very_many_slices_stays_small() -> None:
    found = hostile_and_large(2_000, 30)
    tables = tuple(replace(found.slices[0], by=f"column {at}") for at in range(100))
    assert len(replace(found, slices=tables).to_html().encode()) < 2_000_000


def test_page_of_little() -> None:
    bare = Evaluation({}, ScoredRows(0, 0, 0, 0, 0), memory(), 0.0, "Ridge")
    words = Page(bare.to_html()).words
    assert "No metric has a value on these rows." in words
    assert "The options were not recorded." in words
    Page(bare._repr_html_())


def test_a_budget_that_was_not_kept_comes_first() -> None:
    over = replace(hostile_and_large(1, 1), memory=replace(memory(), measured_bytes=2 * 10**9))
    assert evaluation_content(over).badge == "budget EXCEEDED"


def test_differences_are_judged_by_the_metrics_direction() -> None:
    apart = {"rmse": -0.5, "r2": -0.1, "mae": 0.1, "max_error": 1.0}
    intervals = {
        "rmse": Interval(-0.6, -0.4),
        "r2": Interval(-0.2, -0.05),
        "mae": Interval(-0.1, 0.3),
    }
    found = replace(
        hostile_and_large(1, 1),
        metrics=dict.fromkeys(apart, 1.0),
        comparison=(Comparison("other", dict.fromkeys(apart, 1.0), {}, apart, intervals),),
    )
    (table,) = evaluation_content(found).comparison.rows
    verdicts = {row.name: row.verdict for row in table.rows}
    assert verdicts == {
        "rmse": "better",
        "r2": "worse",
        "mae": "no clear difference",
        "max_error": "",
    }
    assert table.rows[0].strip.dot < 50 < table.rows[2].strip.dot


@pytest.mark.parametrize("kind", ["classifier", "regressor", "clusterer"])
def test_units_and_directions_of_every_metric(kind: str) -> None:
    for name in [*known_names(kind), "pinball_0.9", "tweedie_1.5", "top_5_accuracy"]:
        assert lower_is_better(name) != greater_is_better(name), name
        assert unit_of(name)


def test_confusion_of_weights_and_of_an_empty_class() -> None:
    found = confusion_table(ConfusionMatrix(("a", "b"), ((1.5, 0.5), (0.0, 0.0))))
    assert found.unit == "weight of rows"
    assert found.rows[0][1][0].share == "75.0 %"
    assert found.rows[1][1][0].share == ""
    assert found.pairs == (("a", "b", "0.5", "25.0 %"),)


def test_confusion_of_many_classes_keeps_all_rows() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 50, (100, 100))
    names = tuple(f"class {at}" for at in range(100))
    found = confusion_table(ConfusionMatrix(names, tuple(map(tuple, matrix.tolist()))), 5)
    shown = [int(cell.rows.replace(",", "")) for _, cells in found.rows for cell in cells]
    assert sum(shown) == matrix.sum()
    assert found.names[-1] == "95 others"


def test_numbers_have_the_digits_their_intervals_leave() -> None:
    assert span(Interval(0.836598, 0.83927)) == "0.8366 to 0.8393"
    assert span(Interval(1_580.04, 1_642.84)) == "1,580 to 1,643"
    assert number(float("nan")) == "none"
    assert number(2.5e12, 1e9) == "2.5e+12"


def test_strips_stay_inside() -> None:
    scale = Scale.over([1.0, 2.0], at=1.5)
    strip = scale.strip(9.0, Interval(-5.0, 99.0))
    assert (strip.dot, strip.start, strip.width, strip.at) == (100.0, 0.0, 100.0, 50.0)
    assert scale.strip(float("nan"), None) is None
    assert Scale.over([]).low < Scale.over([]).high
    assert Scale.over([3.0, 3.0]).low < 3.0 < Scale.over([3.0, 3.0]).high


def test_curves_of_several_classes_share_a_chart(binary: Evaluation) -> None:
    roc = binary.curves["ROC"]
    drawn = curve_charts({"roc": {f"class {at}": roc for at in range(8)}})
    assert len(drawn) == 1
    assert "first 6 of 8" in drawn[0][2]
    assert "roc, class 0" in drawn[0][1]


def test_page_of_a_clusterer(frame: pd.DataFrame) -> None:
    model = KMeans(3, n_init=1, random_state=0).fit(frame[["a", "b"]])
    found = sl.evaluate(model, sl.scan(frame[["a", "b"]]))
    words = Page(found.to_html()).words
    assert "inertia" in words
    assert "squared units of the features" in words
