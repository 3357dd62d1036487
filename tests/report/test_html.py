"""The page and the fragment: complete, escaped, self-contained, small."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from page import HOSTILE, Page
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import streamlearn as sl
from streamlearn.report.coefficients import coefficients_of
from streamlearn.report.html import result_fragment, write_report
from streamlearn.result import Result


def page_of(result: Result) -> str:
    file = io.BytesIO()
    write_report(result, file)
    return file.getvalue().decode()


@pytest.fixture(scope="module")
def result() -> Result:
    X = np.random.default_rng(0).normal(size=(600, 3))
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    y = np.where(X[:, 0] > 0, HOSTILE, "plain")
    return sl.fit(pipeline, (X, y), epochs=3, validation=0.2)


@pytest.fixture(scope="module")
def html(result: Result) -> str:
    return page_of(result)


def test_page_is_complete_and_small(result: Result, html: str) -> None:
    page = Page(html)
    assert len(html) < 2_000_000
    order = [
        "What was asked",
        "Rows",
        "Data",
        "Pipeline",
        "The plan, and what happened",
        "Learning",
        "Memory",
        "Where the time went",
        "Coefficients",
        "How to reproduce",
    ]
    found = re.findall(r"<h2>(.*?)</h2>", html)
    assert found == order
    for fate in ("read", "learned", "held out", "filtered", "rejected"):
        assert f">{fate}</th>" in html
    for name in ("limit", "reserved", "projected", "measured"):
        assert f"{name}</th>" in html
    for text in ("validation", result.manifest["data"]["fingerprint"], "scikit-learn", "seed"):
        assert text in page.words
    assert len(page.ids) == len(set(page.ids))


def test_page_needs_no_network_and_no_script(html: str) -> None:
    page = Page(html)
    assert page.tags["script"] == 0
    assert not {"link", "iframe", "object", "img"} & set(page.tags)
    assert "@import" not in html
    assert not [item for item in page.attributes if item[1].startswith("on")]
    assert not [item for item in page.attributes if item[1] == "src"]
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html


def test_hostile_text_is_escaped(result: Result) -> None:
    data = {**result.manifest["data"], "where": HOSTILE, "derive": {HOSTILE: HOSTILE}}
    hostile = replace(
        result,
        warnings=(HOSTILE,),
        plan=replace(result.plan, notes=(HOSTILE,), estimator=HOSTILE),
        manifest={**result.manifest, "data": data, "schema": {HOSTILE: "double"}},
        path=f"runs/{HOSTILE}",
    )
    assert HOSTILE in hostile.manifest["classes"]
    page = page_of(hostile)
    assert "<script" not in page
    assert "<img" not in page
    assert Page(page).words.count("<script>alert('x')</script>") >= 6
    fragment = result_fragment(hostile)
    assert "<script>alert" not in fragment
    assert "<img" not in fragment
    assert HOSTILE in Page(fragment).words


def test_fragment_stands_by_itself(result: Result) -> None:
    fragment = result_fragment(result)
    page = Page(fragment)
    assert fragment.startswith("<div")
    assert fragment.rstrip().endswith("</div>")
    assert page.tags["svg"] >= 2
    for text in ("limit", "reserved", "projected", "measured", "held out", "accuracy"):
        assert text in page.words
    assert result._repr_html_().startswith("<div")


def test_two_fragments_share_no_id(result: Result) -> None:
    page = Page(result_fragment(result) + result_fragment(result))
    assert len(page.ids) == len(set(page.ids))


def test_outcome_is_told(result: Result) -> None:
    memory = replace(result.memory, limit_bytes=512_000_000, measured_bytes=400_000_000, exact=True)
    kept = page_of(replace(result, memory=memory))
    assert "<title>SGDClassifier: budget kept</title>" in kept
    over = replace(memory, measured_bytes=600_000_000, exact=False)
    page = page_of(replace(result, memory=over))
    assert "<title>SGDClassifier: budget EXCEEDED</title>" in page
    assert "measured is the highest sample, not the kernel&#39;s mark" in page
    assert "117.2 % of the limit" in page


def test_resizes_and_reclaimed_memory_are_listed(result: Result) -> None:
    change = {
        "seconds": 2.0,
        "rows": 5_000,
        "before_rows": 4_096,
        "after_rows": 2_048,
        "reason": "memory was scarce",
    }
    # A list, as a run that was loaded has it.
    given = [{"kind": "arrow pool", "times": 3, "given_back_bytes": 7_000_000}]
    memory = replace(result.memory, resizes=(change,), reclaimed=given)
    words = Page(page_of(replace(result, memory=memory))).words
    assert "2.0 s 5,000 4,096 2,048 memory was scarce" in words
    assert "arrow pool 7 MB 3 times" in words


def test_page_of_little(result: Result) -> None:
    memory = replace(result.memory, timeline=(), resizes=(), reclaimed=())
    bare = replace(result, history=(), manifest={}, memory=memory)
    words = Page(page_of(bare)).words
    assert "The options were not recorded." in words
    assert "there are no epochs" in words
    assert "no sample was taken" in words
    Page(result_fragment(bare))


def test_page_without_a_model() -> None:
    X = np.random.default_rng(0).normal(size=(100, 3))
    words = Page(page_of(sl.fit(StandardScaler(), X))).words
    assert "StandardScaler has no coefficients (coef_)." in words


def test_a_large_run_gives_a_small_page(result: Result) -> None:
    change = {"seconds": 2.0, "rows": 5, "before_rows": 4, "after_rows": 2, "reason": "r" * 500}
    large = replace(
        result,
        history=tuple(replace(result.history[0], epoch=at + 1) for at in range(3_000)),
        memory=replace(result.memory, resizes=(change,) * 5_000),
        manifest={
            **result.manifest,
            "classes": {f"class {at}": at for at in range(1_000)},
            "schema": {f"column {at}": "double" for at in range(10_000)},
        },
        warnings=("w" * 10_000,) * 200,
    )
    page = page_of(large)
    assert len(page) < 2_000_000
    for text in ("The first 30 of 1,000 classes", "of 3,000 epochs are shown", "of 10,000 columns"):
        assert text in page


def test_a_saved_run_has_the_page(result: Result, tmp_path: object) -> None:
    folder = result.save(f"{tmp_path}/run")
    with open(f"{folder}/report.html", encoding="utf-8") as file:
        Page(file.read())
    Page(page_of(sl.load(folder)))


def test_coefficients_have_the_names_of_features() -> None:
    frame = pd.DataFrame({"colour": ["red", "blue", "red", "green"] * 50})
    y = np.tile([3.0, -9.0, 3.0, 1.0], 50)
    model = make_pipeline(OneHotEncoder(), SGDRegressor(random_state=0)).fit(frame, y)
    found = coefficients_of(model, most=2)
    assert [item.name for item in found.rows] == ["colour_blue", "colour_red"]
    assert found.total == 3
    assert found.rows[0].share == 1.0
    assert "units of the target" in found.note


def test_coefficients_of_several_classes_name_the_class() -> None:
    X = np.random.default_rng(0).normal(size=(90, 4))
    model = SGDClassifier(random_state=0).fit(X, np.array(["a", "b", "c"])[np.arange(90) % 3])
    found = coefficients_of(model, most=5)
    place = np.unravel_index(np.abs(model.coef_).argmax(), model.coef_.shape)
    assert found.rows[0].value == model.coef_[place]
    assert found.rows[0].of == model.classes_[place[0]]
    assert (found.of, found.total, len(found.rows)) == ("class", 12, 5)
    sizes = [abs(item.value) for item in found.rows]
    assert sizes == sorted(np.abs(model.coef_).ravel(), reverse=True)[:5]
    assert "speaks for the class" in found.note


def test_coefficients_say_why_there_are_none_or_no_names() -> None:
    X = np.random.default_rng(0).normal(size=(90, 4))
    assert "has no coefficients" in coefficients_of(StandardScaler().fit(X)).note
    plain = SGDClassifier(random_state=0).fit(X, X[:, 2] > 0)
    found = coefficients_of(plain)
    assert found.rows[0].name == "feature 2"
    assert "numbered from 0" in found.note
    assert "above zero speaks for class 'True'" in found.note
    assert coefficients_of(plain.sparsify()).rows[0].name == "feature 2"
