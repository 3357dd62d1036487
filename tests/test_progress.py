"""Progress: one display in a notebook, lines elsewhere."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from page import HOSTILE, Page
from sklearn.linear_model import SGDClassifier

import streamlearn as sl
from streamlearn.stream.events import (
    BatchLearned,
    ChunkRead,
    EpochEnded,
    PassEnded,
    PassStarted,
    Warned,
)

RUN = (
    PassStarted(0.0, "learn", 1, 1, 1_000),
    ChunkRead(0.5, 250, 200_000_000, 210_000_000, 250, 0, 512_000_000),
    BatchLearned(0.5, 1, 1, 250, 0.25),
    ChunkRead(1.0, 1_000, 200_000_000, 210_000_000, 250, 0, 512_000_000),
    PassEnded(1.0, "learn", 1.0),
    EpochEnded(1.0, 1, 0.25, "log loss", {"accuracy": 0.75}),
)


class Notebook:
    """Stands for a notebook's front end: displays by their handle."""

    def __init__(self) -> None:
        self.displays: list[list[str]] = []

    def display(self, html: str, display_id: bool) -> SimpleNamespace:
        assert display_id is True
        shown = [html]
        self.displays.append(shown)
        return SimpleNamespace(update=shown.append)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    found = Notebook()
    package, display = ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: SimpleNamespace(kernel=object())
    display.HTML, display.display = str, found.display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return found


def test_one_display_is_renewed(notebook: Notebook) -> None:
    progress = sl.Progress(every_s=0.0)
    for event in RUN:
        progress(event)
    (shown,) = notebook.displays
    assert "learn 25% 250 of 1,000 rows" in Page(shown[1]).words
    assert "RSS 200 MB of 512 MB" in Page(shown[1]).words
    last = Page(shown[-1]).words
    assert "epoch 1, progressive log loss 0.25, held-out accuracy 0.75" in last
    assert "ETA" not in last


def test_it_is_throttled_but_what_ended_is_shown(notebook: Notebook) -> None:
    progress = sl.Progress(every_s=1e9)
    progress(RUN[0])
    for _ in range(1_000):
        progress(RUN[1])
    progress(PassEnded(1.0, "learn", 1.0))
    (shown,) = notebook.displays
    assert len(shown) == 1
    assert "learn: 250 rows in 1.0 s" in Page(shown[0]).words


def test_another_call_has_another_display(notebook: Notebook) -> None:
    progress = sl.Progress()
    for event in (*RUN, *RUN):
        progress(event)
    assert len(notebook.displays) == 2


def test_messages_are_escaped(notebook: Notebook) -> None:
    progress = sl.Progress()
    progress(Warned(0.0, HOSTILE))
    assert "<script" not in notebook.displays[0][0]
    assert HOSTILE in Page(notebook.displays[0][0]).words


def test_many_lines_stay_few(notebook: Notebook) -> None:
    progress = sl.Progress()
    for at in range(100):
        progress(Warned(float(at), "so"))
    assert "88 earlier lines are not shown." in Page(notebook.displays[0][-1]).words


def test_lines_go_to_standard_error_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    X = np.random.default_rng(0).normal(size=(500, 3))
    model = SGDClassifier(loss="log_loss", random_state=0)
    sl.fit(model, (X, X[:, 0] > 0), validation=0.2, listeners=[sl.Progress(every_s=0.0)])
    out, err = capsys.readouterr()
    assert out == ""
    assert "learn" in err
    assert "epoch 1, held-out accuracy" in err
    assert "RSS" in err
