"""Fixtures that all tests share."""

from __future__ import annotations

import gc
import os
import subprocess
import threading
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import mixed_table

from streamlearn.stream.reclaim import RECLAIMERS

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def green() -> Path:
    """Real months of green taxi trips, where they are at hand."""
    folder = SHARED / "green"
    if not folder.exists():
        pytest.skip(f"the real taxi months are not at {folder}")
    return folder


@pytest.fixture
def shared() -> Path:
    if not SHARED.exists():
        pytest.skip(f"the shared data is not at {SHARED}")
    return SHARED


@pytest.fixture(autouse=True)
def no_leaks():
    """No thread and no file of ours outlives a test."""
    files = _open_files()
    yield
    if _left(files):
        gc.collect()  # what the traceback of an error holds is nobody's
    left = _left(files)
    assert not left, f"threads or files left behind: {left}"
    _give_back()


_given_back = {"down to": 400_000_000}


def _give_back() -> None:
    """Keep what thousands of tests leave in one process from using up their budgets."""
    held = psutil.Process().memory_info().rss
    if held > _given_back["down to"] + 200_000_000:
        gc.collect()
        for _, give_back in RECLAIMERS:
            give_back()
        _given_back["down to"] = psutil.Process().memory_info().rss


def _left(before: set[str]) -> list[str]:
    threads = [item.name for item in threading.enumerate() if item.name.startswith("streamlearn")]
    ends = (".parquet", ".npy", "clear_refs", "(deleted)")
    return threads + [name for name in _open_files() - before if name.endswith(ends)]


def _open_files() -> set[str]:
    try:
        handles = os.listdir("/proc/self/fd")
    except OSError:
        return set()
    found = set()
    for handle in handles:
        try:
            found.add(os.readlink(f"/proc/self/fd/{handle}"))
        except OSError:
            continue
    return found


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[Path, pa.Table]:
    """Two parquet files with row groups of uneven size, and the same rows in memory."""
    table = mixed_table(5_000)
    folder = tmp_path / "mixed"
    folder.mkdir()
    pq.write_table(table.slice(0, 2_300), folder / "part-0.parquet", row_group_size=900)
    pq.write_table(table.slice(2_300), folder / "part-1.parquet", row_group_size=1_777)
    return folder, table


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no disk can be made here: {error}")
    if done.returncode:
        pytest.skip(f"no disk can be made here: {done.stderr.decode()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
