"""The result as HTML: a fragment for notebooks, a page for browsers."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["result_fragment", "write_report"]


def result_fragment(result: Any) -> str:
    """Return a result as an HTML fragment."""
    return f"<pre>{escape(repr(result))}</pre>"


def write_report(result: Any, file: Any) -> None:
    """Write a result as a self-contained HTML page to an open binary file."""
    file.write(f"<!doctype html><meta charset=utf-8>{result_fragment(result)}".encode())
