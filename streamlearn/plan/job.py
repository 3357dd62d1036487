"""An estimator and data, taken apart and checked before anything is read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Field, Schema
from streamlearn.errors import DataError, SchemaError, UsageError
from streamlearn.learn.graph import Leaf, Node
from streamlearn.learn.nested import TargetBeside
from streamlearn.learn.parse import parse
from streamlearn.learn.peel import Peeled, peel
from streamlearn.learn.registry import refuse
from streamlearn.learn.reservoir import SampleFit
from streamlearn.learn.schedule import columns_for, schedule
from streamlearn.learn.sequential import is_regressor, learns_classes, needs_target
from streamlearn.source.dataset import Dataset
from streamlearn.source.quarantine import Quarantine
from streamlearn.source.scan import scan

__all__ = ["Job", "Options", "check_on_error", "cores", "scratch_folder", "take_apart"]


_WHOLE_NUMBERS = (
    "chunk_size",
    "batch_size",
    "epochs",
    "threads",
    "n_iter_no_change",
    "sample_rows",
)


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    memory_budget: str | int | None = "auto"
    hard_limit: bool = False
    chunk_size: int | None = None
    batch_size: int | None = None
    epochs: int = 1
    shuffle: bool = False
    validation: float = 0.0
    early_stopping: bool = False
    tol: float = 1e-3
    n_iter_no_change: int = 5
    random_state: int = 0
    threads: int | None = None
    scratch_dir: str | os.PathLike[str] | None = None
    run: str | os.PathLike[str] | None = None
    on_error: str = "raise"
    on_unsupported: str = "raise"
    sample_rows: int = 100_000
    quantiles: str = "exact"
    cache: bool | None = None

    def __post_init__(self) -> None:
        for name in _WHOLE_NUMBERS:
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1
            ):
                raise UsageError(f"{name} must be a whole number from 1 on, not {value!r}")
        if not isinstance(self.validation, int | float) or not 0 <= self.validation < 1:
            raise UsageError(
                f"validation must be a share from 0 to below 1, not {self.validation!r}"
            )
        if self.early_stopping and not self.validation:
            raise UsageError("early_stopping needs held-out rows; add validation=0.1")
        check_on_error(self.on_error)
        if self.on_unsupported not in ("raise", "sample"):
            raise UsageError(
                f"on_unsupported must be 'raise' or 'sample', not {self.on_unsupported!r}"
            )
        if self.quantiles not in ("exact", "sketch"):
            raise UsageError(f"quantiles must be 'exact' or 'sketch', not {self.quantiles!r}")
        if not isinstance(self.random_state, int | np.integer) or self.random_state < 0:
            raise UsageError(
                f"random_state must be a whole number from 0 on, not {self.random_state!r}; "
                "the fitted model is a function of it"
            )


def check_on_error(value: str) -> None:
    """Refuse what is no way to deal with unusable rows."""
    if value not in ("raise", "quarantine"):
        raise UsageError(f"on_error must be 'raise' or 'quarantine', not {value!r}")


@dataclass
class Job:
    """An estimator and data, taken apart and checked."""

    data: Dataset
    options: Options
    steps: Node | None
    """Everything before the model."""
    target: Node | None
    """Transformer of the target, if there is one."""
    peeled: Peeled
    """The estimator as given, a clone, and where its model is."""
    passes: list[list[Leaf]]
    columns: list[str]
    """Features the fitted estimator takes."""
    notes: list[str] = field(default_factory=list)
    library_bytes: int = 0
    """Pages of shared libraries that the work will touch."""
    classes: int = 0
    """Of the target, once they are counted; 0 for a number."""

    @property
    def model(self) -> Any:
        """The final estimator, if it learns in order."""
        return self.peeled.model

    @property
    def root(self) -> Node | None:
        """Everything that learns before the model."""
        return self.steps if self.target is None else TargetBeside("", self.steps, self.target)

    def leaves(self) -> list[Leaf]:
        """Return every step before the model, the target's included."""
        return list(self.root.leaves()) if self.root is not None else []

    def reads_roles(self, number: int, learning: Sequence[Leaf]) -> bool:
        """Whether a pass of statistics reads target and weight; the first one always does."""
        target = [id(leaf) for leaf in self.target.leaves()] if self.target is not None else []
        return number == 1 or any(id(leaf) in target or leaf.looks_at_target for leaf in learning)

    @property
    def wants_profile(self) -> bool:
        """Whether the target has to be read before learning."""
        return self.data.has_target and self.learns_classes

    @property
    def learns_classes(self) -> bool:
        """Whether the model, or a step before it, is a classifier."""
        return (self.model is not None and learns_classes(self.model)) or any(
            leaf.waits_for_classes for leaf in self.leaves()
        )

    @property
    def scratch_dir(self) -> str | None:
        """Folder for what is kept on disk meanwhile; None: the system's."""
        return scratch_folder(self.options.scratch_dir)

    def free_disk_bytes(self) -> int:
        """Return what is free where scratch is kept."""
        place = Path(self.scratch_dir or tempfile.gettempdir())
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    @property
    def threads(self) -> int:
        """Threads that may work."""
        return self.options.threads or cores()


def scratch_folder(folder: str | os.PathLike[str] | None) -> str | None:
    """Return the folder's path, where one is named."""
    return None if folder is None else os.fspath(folder)


def take_apart(estimator: Any, data: Any, options: Options) -> Job:
    """Clone the estimator, find its model, and refuse what cannot be done."""
    from sklearn.base import clone

    data = data if isinstance(data, Dataset) else scan(data)
    if options.on_error == "quarantine":
        data = data.quarantined(Quarantine(scratch_folder(options.scratch_dir)))
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        hint = f"; write {estimator.__name__}()" if isinstance(estimator, type) else ""
        raise UsageError(f"{estimator!r} is not a scikit-learn estimator{hint}")
    peeled = peel(clone(estimator))
    last = peeled.last
    if peeled.model is None and not isinstance(last, str | None) and not hasattr(last, "transform"):
        raise refuse(last, peeled.path)
    if peeled.model is None and peeled.target is not None:
        raise refuse(last, peeled.path)
    steps, target = _parse(peeled, data, options)
    model = peeled.model
    names = data.features.names
    columns = names
    if steps is None and model is None:
        columns = []
    if steps is not None and data.features.named:
        columns = columns_for(steps, names, {leaf.path for leaf in steps.leaves()}, True)
    root = steps if target is None else TargetBeside("", steps, target)
    passes = schedule(root, classes_known=False) if root is not None else []
    job = Job(data, options, steps, target, peeled, passes, columns)
    data.require(columns, nested=_taken_as_they_are(job))
    data.refuse_faults()
    if model is not None and needs_target(model) and not data.has_target:
        raise UsageError(f"{type(model).__name__} needs a target; name it with target= or --target")
    if options.validation and not data.has_target:
        raise UsageError("validation needs a target to score against; name it with target=")
    if not data.rows:
        raise DataError("the data has no row: there is nothing to learn from")
    if steps is None and model is not None:
        _refuse_strings(data, model)
    for leaf in job.leaves():
        leaf.sketches = options.quantiles == "sketch"
        leaf.batch_rows = options.batch_size
    _check_parameters([leaf.estimator for leaf in job.leaves()], model)
    _check_target(data, model, job.leaves())
    return job


_TAKE_RECORDS = ("DictVectorizer", "FeatureHasher")


def _taken_as_they_are(job: Job) -> set[str]:
    """Return the columns whose only use is by steps that take dicts and lists."""
    takers: set[str] = set()
    others: set[str] = set()
    for leaf in job.leaves():
        if leaf.schema is not None:
            found = takers if type(leaf.estimator).__name__ in _TAKE_RECORDS else others
            found |= set(leaf.schema.names)
    return takers - others


def _check_target(data: Dataset, model: Any, leaves: list[Leaf]) -> None:
    for leaf in leaves:
        if leaf.needs_target and not data.has_target:
            raise UsageError(
                f"step {leaf.path!r} ({type(leaf.estimator).__name__}) needs a target; name it "
                "with target= or --target"
            )
    target = data.target_field
    if target is None:
        return
    lists = any(type(leaf.estimator).__name__ == "MultiLabelBinarizer" for leaf in leaves)
    if pa.types.is_nested(target.type) and not lists:
        raise SchemaError(
            f"the target {target.name!r} is {target.type}, and only MultiLabelBinarizer learns "
            "from lists; compute a number or a string with derive="
        )
    if target.is_number or model is None or not is_regressor(model):
        return
    raise SchemaError(
        f"the target {target.name!r} is {target.type}, and {type(model).__name__} learns "
        "numbers; use a classifier, or compute a number with derive="
    )


_LABELS = ("LabelBinarizer", "LabelEncoder", "MultiLabelBinarizer")
"""They learn from the target, and have nothing to do with features."""


def _parse(peeled: Peeled, data: Dataset, options: Options) -> tuple[Node | None, Node | None]:
    """Return what learns from features, and what learns from the target."""
    from sklearn.pipeline import Pipeline

    fallback = None
    if options.on_unsupported == "sample":
        size, seed = options.sample_rows, int(options.random_state)

        def fallback(step: Any) -> SampleFit:
            return SampleFit(step, size, seed)

    how: Any = {"seed": int(options.random_state), "fallback": fallback}
    if type(peeled.whole).__name__ in _LABELS:
        found = parse(peeled.whole, None, **how)
        assert isinstance(found, Leaf)
        found.learns_target = True
        return None, found
    before = peeled.whole
    if peeled.model is not None:
        before = Pipeline(peeled.steps) if peeled.steps else None
    if not len(data.features):
        raise SchemaError("there is no feature to learn from: the data has no column left")
    steps = parse(before, data.features, **how) if before is not None else None
    target = None
    if peeled.target is not None:
        one = Schema((Field("target", pa.float64()),), named=False)
        target = parse(peeled.target, one, "target", **how)
    return steps, target


def _check_parameters(steps: list[Any], model: Any) -> None:
    """Let scikit-learn check every parameter now, and not when the first rows are in."""
    for step in [*steps, *([model] if model is not None else [])]:
        if not hasattr(step, "_parameter_constraints"):
            continue
        try:
            step._validate_params()
        except ValueError as error:
            raise UsageError(str(error)) from error


def _refuse_strings(data: Dataset, model: Any) -> None:
    for item in data.features:
        if not item.is_number:
            raise SchemaError(
                f"column {item.name!r} is {item.type}, and {type(model).__name__} takes numbers; "
                "put a OneHotEncoder in a ColumnTransformer before it, or name the columns to "
                "learn from with features="
            )


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
