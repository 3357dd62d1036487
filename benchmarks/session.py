"""A session of comparisons: rounds of fresh processes, written down after every run."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.agreement import disagreement, distance
from benchmarks.data import made
from benchmarks.job import Job
from benchmarks.machine import look
from benchmarks.process import run_apart
from benchmarks.schedule import Task, left_s, tasks
from benchmarks.work import OURS, Work
from streamlearn.sizes import format_bytes, format_seconds

__all__ = ["Session", "read_found"]


def read_found(path: Path) -> dict[str, Any]:
    """Return what a session wrote; nothing where there is none."""
    return json.loads(path.read_text()) if path.exists() else {}


@dataclass
class Session:
    """Runs works and keeps what was found in a file.

    Parameters
    ----------
    path : Path
        The JSON file. Works that are not run stay in it as they are.
    folder : Path
        Where data are made, and found again.
    rows, runs : int
    budget : str
        For streamlearn.
    peers : collection of str, optional
        Which take part; by default all.
    pythons : mapping of str to str
        Interpreters of peers that have one of their own; ``""`` is everyone else's.
    timeout_s : float
        Of one run.
    resume : bool
        Keep what an interrupted session has found of the same works.
    say : callable
        Takes lines of progress.
    """

    path: Path
    folder: Path
    rows: int
    runs: int
    budget: str
    pythons: Mapping[str, str]
    timeout_s: float
    peers: Collection[str] | None = None
    resume: bool = False
    say: Callable[[str], None] = print
    found: dict[str, Any] = field(default_factory=dict)

    def run(self, works: Sequence[Work]) -> None:
        """Run works, one after the other, and write down what is found."""
        self.found = read_found(self.path)
        for work in works:
            self._begin(work)
        self.say(f"about {format_seconds(self._left(works))} of runs, and the data to make")
        for work in works:
            self._run(work, works)

    def _begin(self, work: Work) -> None:
        """Open a work's entry: the one there is, if it can be gone on with, or a new one."""
        settings = {
            "rows": self.rows,
            "budget": self.budget,
            "machine": look(),
        }
        entry = self.found.get(work.name)
        if self.resume and entry and all(entry[name] == settings[name] for name in settings):
            # What failed may have been mended.
            for task in self._tasks(work):
                entry["contenders"].get(task.name, {}).pop("error", None)
            return
        self.found[work.name] = {
            **settings,
            "date": datetime.now(UTC).date().isoformat(),
            "contenders": {},
        }

    def _tasks(self, work: Work) -> list[Task]:
        return tasks(work, self.rows, self.runs, self.peers)

    def _left(self, works: Sequence[Work]) -> float:
        return sum(
            left_s(work, self._tasks(work), self.found[work.name]["contenders"]) for work in works
        )

    def _run(self, work: Work, works: Sequence[Work]) -> None:
        todo = self._tasks(work)
        entries = self.found[work.name]["contenders"]
        for task in todo:
            entry = entries.setdefault(task.name, {"runs": []})
            entry |= {"rows": task.rows, "of": task.data_rows, "planned": task.runs}
        self.say(f"\n{work.name}: {work.title}")
        with tempfile.TemporaryDirectory() as kept:
            for turn in range(self.runs):
                for task in todo:
                    entry = entries[task.name]
                    if entry.get("error") or not len(entry["runs"]) <= turn < task.runs:
                        continue
                    self._run_one(work, task, entry, Path(kept))
                    self._write()
                    left = format_seconds(self._left(works))
                    self.say(f"  {turn + 1}/{task.runs} {_line(task, entry)}; about {left} left")

    def _run_one(self, work: Work, task: Task, entry: dict[str, Any], kept: Path) -> None:
        folder = made(work.data, self.folder, task.data_rows, self.say)
        python = self.pythons.get(task.contender.peer) or self.pythons[""]
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".out-") as out:
            job = Job(
                program=task.contender.program,
                folder=str(folder / "train"),
                held=str(folder / "held"),
                out=out,
                rows=task.rows,
                budget=self.budget,
                epochs=work.epochs,
                target=work.target,
                metric=work.metric,
            )
            began = time.perf_counter()
            run = run_apart(job, python, self.timeout_s)
            if "error" in run:
                entry["error"] = run["error"]
                return
            run["process"] = time.perf_counter() - began
            entry["versions"] = run.pop("versions")
            self._compare(work, task, run, Path(out) / "coef.npy", kept / "coef.npy")
            entry["runs"].append(run)

    def _compare(
        self, work: Work, task: Task, run: dict[str, Any], coefficients: Path, ours: Path
    ) -> None:
        if task.name == OURS:
            if coefficients.exists():
                shutil.copy(coefficients, ours)
            return
        mine = self.found[work.name]["contenders"].get(OURS, {}).get("runs", [])
        if task.is_floor or not mine:
            return
        found = distance(ours, coefficients)
        if found is not None:
            # JSON has no infinity.
            run["distance"] = min(found, 1e300)
        said = disagreement(task.contender, work.metric, mine[-1], run)
        if said:
            run["disagrees"] = said

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f".{self.path.name}.new")
        new.write_text(json.dumps(self.found, indent=1) + "\n")
        new.replace(self.path)


def _line(task: Task, entry: dict[str, Any]) -> str:
    if entry.get("error"):
        return f"{task.name}: failed: {entry['error']}"
    run = entry["runs"][-1]
    text = f"{task.name}: {run['wall']:.2f} s, {run['cpu']:.2f} s CPU, {format_bytes(run['peak'])}"
    if "score" in run:
        text += f", score {run['score']:.4g}"
    if "distance" in run:
        text += f", {run['distance']:.2g} from our coefficients"
    return text + (f"; DISAGREES: {run['disagrees']}" if "disagrees" in run else "")
