"""What fitting returns."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from streamlearn.plan.plan import Plan
from streamlearn.sizes import format_seconds
from streamlearn.stream.epochs import EpochRecord
from streamlearn.stream.reader import RowCount
from streamlearn.stream.timeline import MemoryReport

__all__ = ["Result"]


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
    manifest: dict[str, Any] = field(default_factory=dict)
    """Versions, seed, data fingerprint, schema: what is needed to do it again."""
    warnings: tuple[str, ...] = ()
    path: str | None = None
    """The run folder, where there is one."""

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
        from streamlearn.bundle import save_run

        return save_run(self, path, overwrite=overwrite)

    def __repr__(self) -> str:
        rows = self.rows
        lines = [
            f"Result of fitting {type(self.estimator).__name__} in {format_seconds(self.seconds)}",
            f"  rows    read {rows.read:,}, learned {rows.learned:,}, held out {rows.held_out:,}, "
            f"filtered {rows.filtered:,}, rejected {rows.rejected:,}",
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
        from streamlearn.report.html import result_fragment

        return result_fragment(self)
