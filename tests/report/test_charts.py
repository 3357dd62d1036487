"""Charts: valid SVG, in the page's colours, with ids of their own."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib as mpl
import pytest

from streamlearn.report.charts import learning_curve, memory_chart
from streamlearn.stream.epochs import EpochRecord
from streamlearn.stream.timeline import MemoryReport, Sample

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> str:
    return " | ".join(node.text or "" for node in ET.fromstring(svg).iter(f"{SVG}text"))


def samples(number: int, *, chunk_rows: int = 1_000) -> tuple[Sample, ...]:
    return tuple(
        Sample(at * 0.1, (at + 1) * 1_000, 200_000_000 + at, 210_000_000 + at, chunk_rows)
        for at in range(number)
    )


def report(number: int, **parts: object) -> MemoryReport:
    whole = MemoryReport(
        limit_bytes=512_000_000,
        reserved_bytes=180_000_000,
        projected_bytes=300_000_000,
        measured_bytes=250_000_000,
        exact=True,
        timeline=samples(number),
    )
    return replace(whole, **parts)


def epochs(number: int, **parts: object) -> list[EpochRecord]:
    return [replace(epoch(at), **parts) for at in range(number)]


def epoch(at: int) -> EpochRecord:
    return EpochRecord(
        epoch=at + 1,
        rows=100,
        loss=1.0 / (at + 1),
        loss_name="squared error",
        held_out={"r2": 0.5 + 0.01 * at, "mse": 1.1 / (at + 1)},
        seconds=0.5,
        curve=tuple((at * 100 + 10 * step, 1.0 / (at + step)) for step in range(1, 11)),
    )


def test_memory_chart_names_units_and_lines() -> None:
    shown = texts(memory_chart(report(20)))
    assert "memory (MB)" in shown
    assert "rows read, over all passes (rows)" in shown
    for line in ("limit 512 MB", "projected 300 MB", "reserved 180 MB", "resident"):
        assert line in shown
    assert "chunk (rows)" in shown
    assert "pages of files" not in shown


def test_memory_chart_tells_pages_of_files_and_what_was_given_back() -> None:
    given = {"kind": "arrow pool", "times": 1, "given_back_bytes": 5, "rows": [3_000]}
    mapped = tuple(replace(item, mapped_bytes=50_000_000) for item in samples(20))
    shown = texts(memory_chart(report(20, timeline=mapped, reclaimed=(given,))))
    assert "pages of files" in shown
    assert "its own" in shown
    assert "given back" in shown


@pytest.mark.parametrize("number", [0, 1, 2, 5_000])
def test_memory_chart_of_any_length(number: int) -> None:
    svg = memory_chart(report(number))
    ET.fromstring(svg)
    assert ("no sample was taken" in svg) == (number == 0)
    assert len(svg) < 100_000


def test_memory_chart_shows_changes_of_the_chunk_size() -> None:
    change = {"seconds": 1.0, "rows": 3_000, "before_rows": 1_000, "after_rows": 500, "reason": ""}
    memory = report(10, resizes=(change,))
    memory = replace(memory, timeline=samples(5) + samples(5, chunk_rows=500))
    shown = texts(memory_chart(memory))
    assert "chunk (rows)" in shown
    assert "chunk resized" in shown


def test_thinning_keeps_the_highest_peak() -> None:
    timeline = list(samples(3_000))
    plain = memory_chart(report(0, timeline=tuple(timeline)))
    timeline[1_234] = replace(timeline[1_234], peak_bytes=505_000_000)
    spike = memory_chart(report(0, timeline=tuple(timeline)))
    assert highest(spike) < highest(plain) - 50


def highest(svg: str) -> float:
    """Where the line of peaks is nearest to the top."""
    path = re.search(r'd="([^"]+)"[^>]*stroke: var\(--sl-peak', svg)
    assert path is not None
    return min(float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", path[1]))


def test_colours_are_the_pages() -> None:
    for svg in (memory_chart(report(20)), learning_curve(epochs(3))):
        assert "var(--sl-resident, #" in svg
        assert "currentColor" in svg
        assert "#0102" not in svg
        assert "#000000" not in svg
        assert "fill: #ffffff" not in svg


def test_ids_are_unique_in_a_page() -> None:
    page = "".join(
        draw for _ in range(2) for draw in (memory_chart(report(9)), learning_curve(epochs(2)))
    )
    ids = re.findall(r'\bid="([^"]+)"', page)
    used = re.findall(r'(?:url\(#|href="#)([^")]+)', page)
    assert ids
    assert len(ids) == len(set(ids))
    assert set(used) == set(ids)


def test_learning_curve_names_units() -> None:
    shown = texts(learning_curve(epochs(3)))
    for text in ("(target units²)", "held-out rows", "mean of the epoch", "(no unit)"):
        assert text in shown
    assert "rows learned, over all epochs (rows)" in shown


@pytest.mark.parametrize(
    ("history", "text"),
    [
        ([], "no epoch was run"),
        (epochs(1, loss=None, loss_name="", curve=(), held_out=None), "no loss was recorded"),
        (epochs(2, loss=float("nan"), curve=(), held_out={"r2": float("nan")}), "no score is"),
        (epochs(1, curve=((100, 2.0),)), "held-out rows"),
        (epochs(2, held_out=None), "mean of the epoch"),
        (epochs(2, loss_name="error rate", held_out={"accuracy": 0.9}), "(share of rows)"),
        (epochs(1, held_out={"cost in $ and $": 1.0}), "cost in $ and $"),
        (epochs(3, curve=((100, 1e12), (200, 1.0), (250, 1.1), (300, 1.0))), "log scale"),
    ],
)
def test_learning_curve_of_odd_histories(history: list[EpochRecord], text: str) -> None:
    assert text in texts(learning_curve(history))


def test_a_long_history_stays_small() -> None:
    assert len(learning_curve(epochs(2_000))) < 150_000


def test_settings_of_matplotlib_are_left_alone() -> None:
    before = dict(mpl.rcParams)
    memory_chart(report(3))
    learning_curve(epochs(2))
    assert dict(mpl.rcParams) == before


def test_log_axes_show_numbers_and_no_tex() -> None:
    record = replace(epoch(0), curve=tuple((100 * at, 10.0 ** (8 - at)) for at in range(1, 9)))
    shown = learning_curve([record])
    assert "log scale" in texts(shown)
    assert "mathdefault" not in shown
