"""What fitting returns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streamlearn.bundle import SavedRun, read_run, save_run, staged
from streamlearn.errors import BundleError
from streamlearn.plan.plan import Plan
from streamlearn.report.html import result_fragment
from streamlearn.sizes import format_seconds
from streamlearn.source.quarantine import Quarantine
from streamlearn.stream.epochs import EpochRecord
from streamlearn.stream.reader import RowCount
from streamlearn.stream.stages import StageTime
from streamlearn.stream.timeline import MemoryReport, Sample

__all__ = ["Result", "load"]


@dataclass(frozen=True)
class Result:
    """A fitted estimator, and how it was fitted.

    Returned by `streamlearn.fit`, and given back by `streamlearn.load`.
    """

    estimator: Any
    """A plain, fitted scikit-learn object."""
    plan: Plan
    history: tuple[EpochRecord, ...]
    """One record an epoch; empty where no sequential model was fitted."""
    memory: MemoryReport
    rows: RowCount
    """Of one reading of the data: read, learned, held out, filtered, rejected."""
    seconds: float
    timings: tuple[tuple[str, float], ...] = ()
    """Seconds of each pass over the data, by name, in order."""
    stages: tuple[StageTime, ...] = ()
    """Seconds of each stage, all passes and threads together."""
    manifest: dict[str, Any] = field(default_factory=dict)
    """Versions, seed, data fingerprint, schema: what is needed to do it again."""
    warnings: tuple[str, ...] = ()
    path: str | None = None
    """The run folder, where there is one."""
    quarantine: Quarantine | None = field(default=None, repr=False, compare=False)
    """Rows that could not be used, of a fit with ``on_error="quarantine"``."""

    @property
    def scores(self) -> dict[str, float]:
        """Scores of the held-out rows after the last epoch; empty without validation."""
        return dict(self.history[-1].held_out or {}) if self.history else {}

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
        """Write the run folder: model, manifest, metrics, history, report.

        Raises
        ------
        UsageError
            If the folder holds a run already and ``overwrite`` is False.
        BundleError
            If the model cannot be written.
        """
        with staged(path, overwrite=overwrite) as stage:
            save_run(self, path, stage)
        object.__setattr__(self, "path", os.fspath(path))
        return os.fspath(path)

    def __repr__(self) -> str:
        rows = self.rows
        lines = [
            f"Result of fitting {type(self.estimator).__name__} in {format_seconds(self.seconds)}",
            f"  rows    {rows.shown()}",
            f"  memory  {self.memory}",
        ]
        if self.history:
            last = self.history[-1]
            loss = "" if last.loss is None else f", {last.loss_name} {last.loss:.6g}"
            lines.append(f"  epochs  {len(self.history)}{loss}")
        if self.scores:
            shown = ", ".join(f"{name} {value:.6g}" for name, value in self.scores.items())
            lines.append(f"  held-out {shown}")
        lines += [f"  warning {text}" for text in self.warnings]
        if self.path:
            lines.append(f"  run     {self.path}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return result_fragment(self)


def load(path: str | os.PathLike[str], *, trusted: Sequence[str] = ()) -> Result:
    """Give a saved run back.

    Parameters
    ----------
    path : path of a run folder
    trusted : sequence of str
        Full names of your own classes and functions that the model may contain; those of
        scikit-learn, NumPy, SciPy and streamlearn need not be named.

    Raises
    ------
    BundleError
        If the folder holds no complete run, or the model contains what is not trusted.
    """
    saved = read_run(path, trusted)
    try:
        return _rebuilt(saved, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path}: the run cannot be read: {error!r} in manifest.json") from error


def _rebuilt(saved: SavedRun, path: str | os.PathLike[str]) -> Result:
    manifest = dict(saved.manifest)
    memory = manifest.pop("memory")
    memory["timeline"] = tuple(Sample(**sample) for sample in memory["timeline"])
    memory |= {name: tuple(memory[name]) for name in ("resizes", "reclaimed")}
    history = []
    for record in saved.history:
        curve = tuple((int(rows), float(loss)) for rows, loss in record["curve"])
        history.append(EpochRecord(**{**record, "curve": curve}))
    return Result(
        estimator=saved.estimator,
        plan=Plan.from_dict(manifest.pop("plan")),
        history=tuple(history),
        memory=MemoryReport(**memory),
        rows=RowCount(**saved.metrics["rows"]),
        seconds=saved.metrics["seconds"],
        timings=tuple((str(name), float(took)) for name, took in manifest.pop("timings")),
        stages=tuple(StageTime(**item) for item in manifest.pop("stages", ())),
        warnings=tuple(manifest.pop("warnings")),
        manifest={k: v for k, v in manifest.items() if k not in ("format", "complete", "sha256")},
        path=os.fspath(path),
    )
