"""The saved run: a folder with the model as skops file, a manifest, metrics, history.

The folder is written beside its place and put there when it is complete: a run is there whole, or
not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from streamlearn.errors import BundleError, UsageError
from streamlearn.report.html import write_report

if TYPE_CHECKING:
    from streamlearn.result import Result

__all__ = ["SavedRun", "read_run", "refuse_occupied", "save_run", "staged", "write_atomically"]

FORMAT = 1
_TRUSTED_PREFIXES = ("sklearn.", "numpy.", "scipy.", "streamlearn.", "builtins.", "collections.")


def write_atomically(path: Path, write: Callable[[Any], None]) -> None:
    """Write a file so that it is either complete or not there.

    Parameters
    ----------
    write : callable
        Takes the open binary file.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with _named(path), os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give errors of the system the file's name: a full disk names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def refuse_occupied(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse a folder that holds a run already, or anything else, before any work is done.

    Raises
    ------
    UsageError
    """
    folder = Path(path)
    if not os.fspath(path):
        raise UsageError("a run needs a folder; the name given is empty")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: a run needs a folder, and this is a file; choose another")
    if (folder / "manifest.json").exists() and (folder / "model.skops").exists():
        if not overwrite:
            raise UsageError(
                f"{folder} holds a run already; choose another folder, or replace it with "
                "overwrite=True or --overwrite"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} holds files that are no run; choose another folder")


@contextmanager
def staged(path: str | os.PathLike[str], *, overwrite: bool) -> Iterator[Path]:
    """Give a folder beside ``path`` to write to, and put it in its place when all went well.

    A run that was there stays whole until then; of one that failed, nothing is left.

    Raises
    ------
    UsageError
        If a run has come to be there meanwhile.
    """
    folder = Path(path)
    refuse_occupied(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".saving"))
    try:
        yield stage
        refuse_occupied(folder, overwrite=overwrite)
        stage.chmod(0o755)
        before = stage.with_suffix(".before")
        if folder.exists():
            folder.rename(before)
        stage.rename(folder)
        shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def save_run(
    result: Result,
    path: str | os.PathLike[str],
    stage: Path,
    measure: Callable[[], int] | None = None,
    relieve: Callable[[], None] = lambda: None,
) -> Result:
    """Write a result to a staged folder; see `streamlearn.result.Result.save`.

    Parameters
    ----------
    path : path
        Where the folder will be.
    stage : Path
        Where it is now.
    measure : callable, optional
        Returns the highest resident memory so far, which the run then reports.
    relieve : callable
        Gives memory back: before and after the libraries that writing needs are loaded.

    Returns
    -------
    Result
        With its path, and what saving took.
    """
    relieve()
    import skops.io

    relieve()
    try:
        write_atomically(stage / "model.skops", lambda file: skops.io.dump(result.estimator, file))
    except OSError:
        raise
    except Exception as error:
        raise BundleError(
            f"{path}: the estimator cannot be written as a skops file: {error}; "
            "result.estimator is fitted all the same, and can be pickled"
        ) from error
    relieve()
    import matplotlib.figure  # noqa: F401 - what the report loads shows in the report's numbers

    if result.quarantine is not None:
        result.quarantine.save(stage / "quarantine.jsonl")
        kept = {**result.manifest, "rejected": result.quarantine.summary()}
        result = replace(result, manifest=kept)
    saved = _measured(replace(result, path=os.fspath(path)), measure)
    lines = [
        _json({**asdict(record), "curve": record.curve}, indent=None) for record in saved.history
    ]
    _write_text(stage / "history.jsonl", "".join(f"{line}\n" for line in lines))
    relieve()
    write_atomically(stage / "report.html", lambda file: write_report(saved, file))
    saved = _measured(saved, measure)
    _write_text(stage / "metrics.json", _json(metrics_of(saved)))
    manifest = {
        "format": FORMAT,
        "complete": True,
        "sha256": {"model.skops": _digest(stage / "model.skops")},
        **saved.manifest,
        "plan": saved.plan.to_dict(),
        "memory": asdict(saved.memory),
        "timings": saved.timings,
        "stages": [asdict(item) for item in saved.stages],
        "warnings": list(saved.warnings),
    }
    _write_text(stage / "manifest.json", _json(manifest))
    return saved


def _measured(result: Result, measure: Callable[[], int] | None) -> Result:
    if measure is None:
        return result
    peak = max(result.memory.measured_bytes, measure())
    return replace(result, memory=replace(result.memory, measured_bytes=peak))


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def metrics_of(result: Result) -> dict[str, Any]:
    """Return the run's numbers: rows, scores, memory, seconds."""
    memory = result.memory
    return {
        "rows": asdict(result.rows),
        "epochs": len(result.history),
        "loss": result.history[-1].loss if result.history else None,
        "loss_name": result.history[-1].loss_name if result.history else None,
        "scores": result.scores,
        "memory": {**memory.numbers(), "within": memory.within},
        "seconds": result.seconds,
        "stages": [asdict(item) for item in result.stages],
    }


def _json(value: Any, indent: int | None = 2) -> str:
    return json.dumps(value, indent=indent, default=_plain, allow_nan=True)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


@dataclass(frozen=True)
class SavedRun:
    """What a run folder holds, read and trusted."""

    estimator: Any
    manifest: dict[str, Any]
    metrics: dict[str, Any]
    history: tuple[dict[str, Any], ...]


def read_run(path: str | os.PathLike[str], trusted: Sequence[str] = ()) -> SavedRun:
    """Read a run folder; see `streamlearn.result.load`."""
    import skops.io

    folder = Path(path)
    if not (folder / "manifest.json").exists():
        detail = "an unfinished one" if (folder / "model.skops").exists() else "none"
        raise BundleError(f"{folder}: no complete run is here (found {detail})")
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        metrics = json.loads((folder / "metrics.json").read_text())
        lines = (folder / "history.jsonl").read_text().splitlines()
        if manifest["sha256"]["model.skops"] != _digest(folder / "model.skops"):
            raise BundleError(f"{folder}: model.skops is not the file that was saved")
        found = skops.io.get_untrusted_types(file=folder / "model.skops")
        unknown = [
            name for name in found if name not in trusted and not name.startswith(_TRUSTED_PREFIXES)
        ]
        if unknown:
            raise BundleError(
                f"{folder}: the model contains {', '.join(unknown)}, which is not scikit-learn's; "
                f"if you trust the file, load it with trusted={unknown!r}"
            )
        estimator = skops.io.load(folder / "model.skops", trusted=found)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise BundleError(f"{folder}: the run cannot be read: {error}") from error
    return SavedRun(estimator, manifest, metrics, tuple(json.loads(line) for line in lines))
