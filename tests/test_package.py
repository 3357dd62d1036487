"""The public names, and what importing costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import streamlearn


def test_all_is_sorted_and_every_name_is_there():
    assert streamlearn.__all__ == sorted(
        streamlearn.__all__, key=lambda name: (name.islower(), name)
    )
    for name in streamlearn.__all__:
        assert getattr(streamlearn, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = streamlearn.nonsense


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import streamlearn", ["numpy", "pyarrow", "sklearn", "pandas", "click", "dask", "zarr"]),
        ("import streamlearn.cli.main", ["numpy", "pyarrow", "sklearn", "pandas", "rich"]),
        ("import streamlearn.run", ["skops", "matplotlib", "jinja2", "duckdb", "dask", "zarr"]),
    ],
)
def test_importing_is_light(code, heavy):
    check = f"{code}; import sys; print([name for name in {heavy!r} if name in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "[]"


def test_help_does_not_load_the_science():
    check = (
        "import sys; from streamlearn.cli.main import main; main(['--help']); "
        "print([n for n in ('numpy', 'sklearn', 'pyarrow') if n in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip().splitlines()[-1] == "[]"
    for command in ("fit", "explain", "evaluate", "inspect", "generate", "predict"):
        assert command in out
