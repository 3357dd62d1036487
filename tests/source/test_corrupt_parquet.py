"""Damaged parquet files: an error, or all rows; never a crash, a hang, or rows more or less."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from corrupt_parquet import KINDS

READER = Path(__file__).parent.parent / "corrupt_parquet.py"
EACH = 60


def run(first: int, stop: int, *names: str) -> list[str]:
    finished = subprocess.run(
        [sys.executable, str(READER), str(first), str(stop), *names],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    lines = finished.stdout.splitlines()
    assert finished.returncode == 0, f"died at {lines[-1:]}: {finished.stderr[-500:]}"
    return lines


@pytest.fixture(scope="module")
def found():
    """What became of each damage."""
    names = list(KINDS)
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda some: run(0, EACH, *some), (names[::2], names[1::2]))
        return [line for lines in halves for line in lines]


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_an_error_or_harmless(found, name):
    lines = [line for line in found if line.startswith(f"{name} ")]
    assert len(lines) == EACH
    bad = [line for line in lines if "] error " not in line and not line.endswith("] whole")]
    assert not bad
    assert any("] error " in line for line in lines)


def test_checksums_find_damage_that_nothing_else_would(found):
    def unseen(name):
        lines = [line.split() for line in found if line.startswith(f"{name} ")]
        # Damage of odd numbers is in the footer, which has no checksum.
        return sum(line[-1] == "whole" and int(line[1]) % 2 == 0 for line in lines)

    assert unseen("gzip-checked") < unseen("plain") / 2


def test_what_used_to_end_the_process_is_an_error():
    # pyarrow ends the process where Python asks for the metadata of these columns.
    assert "error SourceError" in run(31, 32, "snappy")[0]
