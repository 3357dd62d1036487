"""The story of a run: plan, learn the statistics, learn the model, give it back.

The only file that knows every layer.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from streamlearn.errors import DataError, MemoryBudgetError, SchemaError, UsageError
from streamlearn.learn.graph import Chain, Columns, Leaf, Node, columns_for, parse, schedule
from streamlearn.learn.registry import Learner, find_recipe, refuse
from streamlearn.learn.sequential import (
    SequentialLearner,
    is_classifier,
    needs_target,
    own_batch_size,
)
from streamlearn.learn.target import TargetProfile
from streamlearn.plan.memory import STATISTICS_BLOCK_ROWS, Demand, MemoryPlan, Term, plan_memory
from streamlearn.plan.order import plan_shuffle
from streamlearn.plan.plan import Pass, Plan
from streamlearn.prepare.frame import blank_frame, to_frame
from streamlearn.result import MemoryReport, Result, Sample
from streamlearn.score.base import Score
from streamlearn.score.classification import ClassificationScores
from streamlearn.score.regression import RegressionScores
from streamlearn.source.dataset import Dataset, scan
from streamlearn.stream.budget import resolve_budget
from streamlearn.stream.epochs import Epochs, Stopping
from streamlearn.stream.events import (
    ChunkRead,
    ChunkResized,
    Event,
    Listener,
    PassEnded,
    PassStarted,
    Reclaimed,
    Warned,
)
from streamlearn.stream.governor import Governor, MemoryUse
from streamlearn.stream.probe import make_probe
from streamlearn.stream.reader import Reader, RowCount
from streamlearn.stream.reclaim import lean_arrow
from streamlearn.stream.scratch import check_free_disk
from streamlearn.stream.statistics import statistics_pass

__all__ = ["explain", "fit"]

log = logging.getLogger("streamlearn")

_BATCH_ROWS = 32_768
_BATCH_BYTES = 64 << 20
_TIMELINE_SAMPLES = 2_000


@dataclass(frozen=True)
class _Options:
    """What the user asked for."""

    memory_budget: str | int | None = "auto"
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

    def __post_init__(self) -> None:
        for name in ("chunk_size", "batch_size", "epochs", "threads", "n_iter_no_change"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool)
                or not isinstance(value, int | np.integer)
                or value < 1
            ):
                raise UsageError(f"{name} must be a whole number from 1 on, not {value!r}")
        if not 0 <= self.validation < 1:
            raise UsageError(f"validation must be a share from 0 to below 1, not {self.validation}")
        if self.early_stopping and not self.validation:
            raise UsageError("early_stopping needs held-out rows; add validation=0.1")
        if not isinstance(self.random_state, int | np.integer) or self.random_state < 0:
            raise UsageError(
                f"random_state must be a whole number from 0 on, not {self.random_state!r}; "
                "the fitted model is a function of it"
            )


@dataclass
class _Job:
    """An estimator and data, taken apart and checked."""

    data: Dataset
    options: _Options
    steps: Node | None
    """Everything before the model."""
    model: Any
    """The final estimator, if it learns in order."""
    whole: Any
    """The estimator as given, a clone."""
    passes: list[list[Leaf]]
    columns: list[str]
    """Features the fitted estimator takes."""
    notes: list[str] = field(default_factory=list)

    @property
    def wants_profile(self) -> bool:
        """Whether the target has to be read before learning."""
        return self.model is not None and self.data.has_target and is_classifier(self.model)

    @property
    def threads(self) -> int:
        """Threads that may work."""
        return self.options.threads or _cores()


def explain(estimator: Any, data: Any, **options: Any) -> Plan:
    """Say what fitting would read, how often, why, and what it would hold; reads no row.

    Parameters
    ----------
    estimator : Pipeline, ColumnTransformer or estimator
    data : Dataset, or what `streamlearn.scan` takes
    **options
        As for `fit`.

    Returns
    -------
    Plan
        Prints as a table.

    Raises
    ------
    UnsupportedEstimatorError
        If a step cannot be fitted from chunks.
    MemoryBudgetError
        If it would not fit, with the budget that would do.

    Examples
    --------
    >>> from sklearn.linear_model import SGDRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> plan = explain(make_pipeline(StandardScaler(), SGDRegressor()), (X, X[:, 0]))
    >>> [item.name for item in plan.passes]
    ['statistics', 'learn']
    """
    probe = make_probe()
    try:
        reserved = probe.rss()
        job = _take_apart(estimator, data, _Options(**options))
        return _plan(job, resolve_budget(job.options.memory_budget, reserved), reserved)
    finally:
        probe.close()


def fit(
    estimator: Any,
    data: Any,
    *,
    memory_budget: str | int | None = "auto",
    chunk_size: int | None = None,
    batch_size: int | None = None,
    epochs: int = 1,
    shuffle: bool = False,
    validation: float = 0.0,
    early_stopping: bool = False,
    tol: float = 1e-3,
    n_iter_no_change: int = 5,
    random_state: int = 0,
    threads: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
    run: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    listeners: Sequence[Listener] = (),
) -> Result:
    """Fit a scikit-learn estimator on data larger than memory, inside a memory budget.

    Parameters
    ----------
    estimator : Pipeline, ColumnTransformer or estimator
        Transformers that streamlearn knows (see `streamlearn.learn.registry`), and a last step
        with ``partial_fit``. It is cloned, not changed.
    data : Dataset, or what `streamlearn.scan` takes
    memory_budget : str or int, default "auto"
        Highest resident memory the process may reach: ``"512MB"``, ``"2GiB"``, ``"50%"`` of
        what is available, ``"+300MB"`` above what it holds now; ``"auto"`` is half of what is
        available.
    chunk_size : int, optional
        Rows read at once; by default what the budget allows. Changes no bit of the model.
    batch_size : int, optional
        Rows given to the model at once: part of the mathematics. By default the estimator's
        own ``batch_size``, or 32,768.
    epochs : int, default 1
        Times the model sees all rows.
    shuffle : bool, default False
        Shuffle rows for the model, each epoch anew; they are kept on disk for that.
    validation : float, default 0
        Share of rows held out, chosen by a hash of the row number.
    early_stopping : bool, default False
        Stop when the held-out score (accuracy or R²) has not improved by ``tol`` for
        ``n_iter_no_change`` epochs. The model is that of the last epoch, as scikit-learn's SGD.
    tol, n_iter_no_change
        See ``early_stopping``.
    random_state : int, default 0
        Seed of everything random, and of estimators whose own ``random_state`` is None.
    threads : int, optional
        By default the number of cores. Changes no bit of the model.
    scratch_dir : path, optional
        Where shuffled and held-out rows are kept; the system's temporary folder by default.
    run : path, optional
        Folder to save the run in.
    overwrite : bool, default False
        Replace a run that is there already.
    listeners : sequence of callable
        Each takes every `streamlearn.stream.events.Event`.

    Returns
    -------
    Result
        Its ``estimator`` is a plain, fitted scikit-learn object.

    Raises
    ------
    MemoryBudgetError
        If it does not fit, before the first row is read wherever that can be known.
    UnsupportedEstimatorError
        If a step cannot be fitted from chunks.
    DataError
        If the data holds what a step cannot take; the message says where.
    DivergenceError
        If the model ran to NaN or infinity.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> result = fit(make_pipeline(StandardScaler(), SGDClassifier()), (X, y), epochs=3)
    >>> result.estimator.score(X, y) > 0.95
    True
    """
    if run is not None:
        from streamlearn.bundle import refuse_occupied

        refuse_occupied(run, overwrite=overwrite)
    options = _Options(
        memory_budget=memory_budget,
        chunk_size=chunk_size,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=shuffle,
        validation=validation,
        early_stopping=early_stopping,
        tol=tol,
        n_iter_no_change=n_iter_no_change,
        random_state=random_state,
        threads=threads,
        scratch_dir=scratch_dir,
    )
    probe = make_probe()
    recorder = _Recorder(listeners)
    try:
        with lean_arrow(), _one_blas_thread():
            reserved = probe.rss()
            limit = resolve_budget(memory_budget, reserved)
            job = _take_apart(estimator, data, options)
            plan = _plan(job, limit, reserved)
            governor = Governor(
                limit_bytes=limit,
                chunk_rows=plan.memory.chunk_rows,
                probe=probe,
                emit=recorder,
            )
            result = _Fitting(job, plan, governor, recorder).run()
            if run is not None:
                result.save(run, overwrite=overwrite)
                result = _measured(result, governor, run)
            return result
    finally:
        probe.close()


class _Fitting:
    """One call of `fit`, from the plan to the result."""

    def __init__(self, job: _Job, plan: Plan, governor: Governor, recorder: _Recorder) -> None:
        self.job = job
        self.plan = plan
        self.governor = governor
        self.recorder = recorder
        self.rows = RowCount()
        self.profile: TargetProfile | None = None
        self.warnings: list[str] = []
        self.number = 0

    def run(self) -> Result:
        """Learn the statistics, then the model, and put the estimator together."""
        job = self.job
        if job.steps is not None:
            self._statistics(job.steps)
        elif job.wants_profile:
            self._one_pass([], None)
        self._check_target()
        history: tuple[Any, ...] = ()
        if job.model is not None:
            self._replan()
            history = self._model()
        memory = MemoryUse(
            self.plan.memory.limit_bytes,
            self.plan.memory.reserved_bytes,
            self.plan.memory.projected_bytes,
            self.governor.finish(),
            self.recorder.exact,
        )
        return Result(
            estimator=self._assemble(),
            plan=self.plan,
            history=history,
            memory=self.recorder.memory(memory),
            rows=self.rows,
            seconds=self.governor.seconds,
            manifest=_manifest(job, self.profile),
            warnings=tuple(self.warnings),
        )

    def _statistics(self, steps: Node) -> None:
        sample: Any = blank_frame(self.job.data.features, 8)
        steps.settle(sample, None)
        first = True
        while not steps.fitted or (first and self.job.wants_profile):
            learning = schedule(steps)
            found = self._one_pass(learning[0] if learning else [], steps)
            sample = _with_columns(sample, found.sample)
            steps.settle(sample, found.state)
            first = False

    def _one_pass(self, learning: list[Leaf], steps: Node | None) -> Any:
        job = self.job
        self.number += 1
        paths = {leaf.path for leaf in learning}
        names = (
            columns_for(steps, job.data.features.names, paths, False)
            if steps is not None and job.data.features.named
            else ([] if job.data.features.named else job.data.features.names)
        )
        new_profile: Callable[[], TargetProfile] | None = None
        if self.profile is None and job.data.has_target and job.model is not None:
            classes, total = is_classifier(job.model), job.data.rows

            def new_profile() -> TargetProfile:
                return TargetProfile(classes=classes, rows=total)

        begin = self.governor.seconds
        name = "statistics" if self.number == 1 else f"statistics, pass {self.number}"
        self.governor.tell(
            PassStarted(begin, name, self.number, len(self.plan.passes), job.data.rows)
        )
        found = statistics_pass(self._reader(names), steps, new_profile)
        self.governor.tell(PassEnded(self.governor.seconds, name, self.governor.seconds - begin))
        if not found.rows.learned:
            raise _no_rows(found.rows)
        self.rows = found.rows
        self.profile = self.profile or found.profile
        self.governor.reclaim()
        return found

    def _reader(self, names: Sequence[str]) -> Reader:
        options = self.job.options
        threads = self.plan.memory.readers if self.job.threads > 1 else 0
        return Reader(
            self.job.data,
            names,
            self.governor,
            threads,
            options.validation,
            int(options.random_state),
        )

    def _check_target(self) -> None:
        if self.profile is None:
            return
        self.profile.check()
        if self.profile.drifts() and not self.job.options.shuffle and self.job.model is not None:
            self._warn(
                f"the target changes along the data ({self.profile.drift():.0%} of its variation "
                "lies between stretches of rows): a model that learns in order will favour the "
                "last rows; use shuffle=True or --shuffle"
            )

    def _warn(self, message: str) -> None:
        self.warnings.append(message)
        self.governor.tell(Warned(self.governor.seconds, message))
        log.warning(message)

    def _replan(self) -> None:
        """Check the budget again, now that widths and classes are known."""
        memory = self.plan.memory
        classes = 0
        if self.profile is not None and is_classifier(self.job.model):
            classes = len(self.profile.classes()[0])
        demands = [_learn_demand(self.job, self.plan, classes, known=True)]
        planned = plan_memory(
            demands,
            limit_bytes=memory.limit_bytes,
            reserved_bytes=memory.reserved_bytes,
            chunk_size=self.job.options.chunk_size,
            readers=memory.readers,
        )
        merged = replace(
            planned,
            projected_bytes=max(memory.projected_bytes, planned.projected_bytes),
            floor_bytes=max(memory.floor_bytes, planned.floor_bytes),
            passes=(*(item for item in memory.passes if item[0] != "learn"), *planned.passes),
        )
        self.plan = replace(self.plan, memory=merged)
        self.governor.chunk_rows = min(self.governor.chunk_rows, merged.chunk_rows)

    def _model(self) -> tuple[Any, ...]:
        job, options = self.job, self.job.options
        learner = SequentialLearner(job.model, self.profile, int(options.random_state))
        classifier = is_classifier(job.model)

        def new_score() -> Score:
            if classifier and learner.classes is not None:
                return ClassificationScores(learner.classes)
            return RegressionScores()

        shuffle = None
        if options.shuffle:
            row_bytes = _output_bytes(job.steps, job)[0]
            shuffle = plan_shuffle(row_bytes, int(options.random_state))
            check_free_disk(options.scratch_dir, int(job.data.rows * (row_bytes + 8)))
        epochs = Epochs(
            reader=self._reader(job.columns),
            kernel=getattr(job.steps, "kernel", None) if job.steps is not None else None,
            learner=learner,
            batch_rows=self.plan.batch_rows or _BATCH_ROWS,
            epochs=options.epochs,
            shuffle=shuffle,
            new_score=new_score,
            stopping=Stopping(
                options.tol, options.n_iter_no_change, "accuracy" if classifier else "r2"
            )
            if options.early_stopping
            else None,
            scratch_dir=os.fspath(options.scratch_dir) if options.scratch_dir else None,
            first_pass=self.number + 1,
        )
        epochs.run()
        self.rows = epochs.rows
        named = job.steps is None and job.data.features.named
        learner.finish(job.columns if named else None)
        return tuple(epochs.records)

    def _assemble(self) -> Any:
        job = self.job
        if job.model is None:
            assert job.steps is not None
            return job.steps.estimator
        if job.whole is job.model:
            return job.model
        steps = job.whole.steps
        fitted = job.steps.estimator.steps if isinstance(job.steps, Chain) else steps[:-1]
        job.whole.steps = [*fitted, (steps[-1][0], job.model)]
        return job.whole


class _Recorder:
    """Keeps what the result tells of memory, and passes events on."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._samples: list[Sample] = []
        self._step = 1
        self._seen = 0
        self._before = 0
        self._last = 0
        self._resizes: list[dict[str, Any]] = []
        self._reclaimed: dict[str, dict[str, Any]] = {}
        self.exact = True

    def __call__(self, event: Event) -> None:
        if isinstance(event, PassStarted):
            self._before += self._last
            self._last = 0
        elif isinstance(event, ChunkRead):
            self._last = event.rows
            self._sample(event)
        elif isinstance(event, ChunkResized):
            self._resizes.append(
                {
                    "seconds": event.seconds,
                    "rows": self._before + self._last,
                    "before_rows": event.before_rows,
                    "after_rows": event.after_rows,
                    "reason": event.reason,
                }
            )
        elif isinstance(event, Reclaimed):
            found = self._reclaimed.setdefault(
                event.kind, {"kind": event.kind, "times": 0, "given_back_bytes": 0}
            )
            found["times"] += 1
            found["given_back_bytes"] += event.given_back_bytes
        for listener in self._listeners:
            listener(event)

    def _sample(self, event: ChunkRead) -> None:
        """Keep an even thinning of all samples, the peaks of those left out included."""
        rows = self._before + event.rows
        taken = Sample(event.seconds, rows, event.rss_bytes, event.peak_bytes, event.chunk_rows)
        if self._seen % self._step and self._samples:
            last = self._samples[-1]
            if taken.peak_bytes > last.peak_bytes:
                self._samples[-1] = replace(last, peak_bytes=taken.peak_bytes)
        else:
            self._samples.append(taken)
        self._seen += 1
        if len(self._samples) >= _TIMELINE_SAMPLES:
            self._samples = self._samples[::2]
            self._step *= 2

    def memory(self, use: MemoryUse) -> MemoryReport:
        """Return the report so far."""
        return MemoryReport.of(
            use,
            timeline=tuple(self._samples),
            resizes=tuple(self._resizes),
            reclaimed=tuple(self._reclaimed.values()),
        )


def _take_apart(estimator: Any, data: Any, options: _Options) -> _Job:
    """Clone the estimator, find its model, and refuse what cannot be done."""
    from sklearn.base import clone
    from sklearn.pipeline import Pipeline

    data = data if isinstance(data, Dataset) else scan(data)
    if not hasattr(estimator, "get_params"):
        raise UsageError(f"{estimator!r} is not a scikit-learn estimator")
    whole = clone(estimator)
    model, before, path = whole, None, ""
    if isinstance(whole, Pipeline):
        path, model = whole.steps[-1]
        before = Pipeline(whole.steps[:-1]) if len(whole.steps) > 1 else None
    if model is None or isinstance(model, str) or not isinstance(find_recipe(model), Learner):
        model, before = None, whole
        if isinstance(whole, Pipeline) and not hasattr(whole.steps[-1][1], "transform"):
            raise refuse(whole.steps[-1][1], path)
    if not len(data.features):
        raise SchemaError("there is no feature to learn from: the data has no column left")
    steps = parse(before, data.features) if before is not None else None
    names = data.features.names
    columns = names
    if steps is not None and data.features.named:
        columns = columns_for(steps, names, {leaf.path for leaf in steps.leaves()}, True)
    job = _Job(data, options, steps, model, whole, schedule(steps) if steps else [], columns)
    data.require(columns)
    if model is not None and needs_target(model) and not data.has_target:
        raise UsageError(
            f"{type(model).__name__} needs a target; name it with target= or --target"
        )
    if options.validation and not data.has_target:
        raise UsageError("validation needs a target to score against; name it with target=")
    if not data.rows:
        raise DataError("the data has no row: there is nothing to learn from")
    if steps is None and model is not None:
        _refuse_strings(data, model)
    return job


def _refuse_strings(data: Dataset, model: Any) -> None:
    for item in data.features:
        if not item.is_number:
            raise SchemaError(
                f"column {item.name!r} is {item.type}, and {type(model).__name__} takes numbers; "
                "put a OneHotEncoder in a ColumnTransformer before it, or name the columns to "
                "learn from with features="
            )


def _plan(job: _Job, limit: int, reserved: int) -> Plan:
    """Work out passes and memory, from metadata alone."""
    data, options = job.data, job.options
    passes: list[Pass] = []
    demands: list[Demand] = []
    target = data.target_field
    for number, learning in enumerate(job.passes or ([[]] if job.wants_profile else []), 1):
        paths = {leaf.path for leaf in learning}
        names = (
            columns_for(job.steps, data.features.names, paths, False)
            if job.steps is not None
            else []
        )
        parts = [f"{type(leaf.estimator).__name__} {leaf.path!r}" for leaf in learning]
        if number == 1 and target is not None and job.model is not None:
            parts.append(
                f"classes and counts of {target.name!r}"
                if is_classifier(job.model)
                else f"range of {target.name!r}"
            )
        name = "statistics" if number == 1 else f"statistics, pass {number}"
        passes.append(_pass(data, name, "learns " + ", ".join(parts), names))
        demands.append(_statistics_demand(job, name, names, learning))
    batch_rows = None
    if job.model is not None:
        row_bytes, _ = _output_bytes(job.steps, job)
        own = own_batch_size(job.model, len(data.features))
        default = min(_BATCH_ROWS, max(1024, int(_BATCH_BYTES / max(1.0, row_bytes))))
        batch_rows = options.batch_size or own or default
        why = f"learns {type(job.model).__name__} in batches of {batch_rows:,} rows"
        times = options.epochs
        if options.shuffle:
            why += f"; rows are prepared once on disk and shuffled for each of {times} epochs"
            times = 1
        passes.append(replace(_pass(data, "learn", why, job.columns), times=times))
    plan = Plan(
        estimator=repr(job.whole),
        passes=tuple(passes),
        memory=_NO_MEMORY,
        batch_rows=batch_rows,
        epochs=options.epochs if job.model is not None else 0,
        threads=job.threads,
        notes=tuple(job.notes) + tuple(data.source.notes),
    )
    if job.model is not None:
        demands.append(_learn_demand(job, plan, 2, known=False))
    memory = plan_memory(
        demands,
        limit_bytes=limit,
        reserved_bytes=reserved,
        chunk_size=options.chunk_size,
        readers=max(1, min(job.threads - 1, len(data.fragments))),
    )
    return replace(plan, memory=memory)


_NO_MEMORY = MemoryPlan(0, 0, 0, 0, 0, 0, ())


def _pass(data: Dataset, name: str, why: str, names: Sequence[str]) -> Pass:
    cost = data.cost(names)
    stored = tuple(data.stored_columns(names))
    return Pass(name, why, stored, data.rows, int(cost.chunk_row_bytes * data.rows))


def _statistics_demand(
    job: _Job, name: str, names: Sequence[str], learning: Sequence[Leaf]
) -> Demand:
    cost = job.data.cost(names)
    width = sum(_input_width(leaf, job) for leaf in learning)
    states = max(1, job.threads) + 1
    return Demand(
        name,
        cost.fixed_bytes,
        cost.row_bytes,
        cost.chunk_row_bytes,
        0,
        (
            Term(
                "blocks being accumulated",
                int(STATISTICS_BLOCK_ROWS * (cost.chunk_row_bytes + 24 * width)),
            ),
            Term("statistics", states * (200_000 + 400 * width)),
        ),
    )


def _input_width(leaf: Leaf, job: _Job) -> int:
    return len(leaf.schema) if leaf.schema is not None else len(job.data.features)


def _learn_demand(job: _Job, plan: Plan, classes: int, *, known: bool) -> Demand:
    cost = job.data.cost(job.columns)
    row_bytes, work_bytes = _output_bytes(job.steps, job)
    batch = plan.batch_rows or _BATCH_ROWS
    width = _output_width(job.steps, job) if known else 0
    outputs = max(1, classes if classes > 2 else 1)
    held = [
        Term("raw batch", int(2 * batch * cost.chunk_row_bytes)),
        Term("prepared batches", int(3 * batch * row_bytes)),
        Term("preparing a batch", int(batch * work_bytes)),
        Term("model", _model_bytes(job.model, width, outputs, batch)),
    ]
    if job.options.shuffle:
        group = plan_shuffle(row_bytes, 0).group_rows
        held.append(Term("rows being shuffled", int(3 * group * row_bytes)))
    return Demand("learn", cost.fixed_bytes, cost.row_bytes, cost.chunk_row_bytes, 2, tuple(held))


def _model_bytes(model: Any, width: int, outputs: int, batch: int) -> int:
    layers = getattr(model, "hidden_layer_sizes", None)
    if layers is not None:
        sizes = [width, *np.atleast_1d(layers).tolist(), outputs]
        weights = sum(a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        return int(8 * (5 * weights + 4 * min(batch, 1024) * sum(sizes[1:])))
    clusters = getattr(model, "n_clusters", 0) or getattr(model, "n_components", 0) or 0
    clusters = clusters if isinstance(clusters, int) else 0
    return 8 * (4 * width * max(outputs, clusters) + batch * max(outputs, clusters) * 2)


def _output_bytes(node: Node | None, job: _Job) -> tuple[float, float]:
    """Estimate bytes of a prepared row, and bytes of temporaries a row while preparing it."""
    if node is None:
        schema = job.data.features
        row = 8.0 * len(schema)
        return (row, row) if schema.named else (8.0 * len(schema), 0.0)
    width, stored = _widths(node, job)
    if stored is not None:
        return 12.0 * stored + 8, 26.0 * stored
    return 8.0 * width, 16.0 * width


def _output_width(node: Node | None, job: _Job) -> int:
    kernel = getattr(node, "kernel", None)
    if kernel is not None and kernel.width:
        return int(kernel.width)
    return _widths(node, job)[0] if node is not None else len(job.data.features)


def _widths(node: Node, job: _Job) -> tuple[int, int | None]:
    """Columns a node gives, and values stored a row where it gives a sparse matrix."""
    if isinstance(node, Leaf):
        width = _input_width(node, job)
        step = node.estimator
        name = type(step).__name__
        if name == "OneHotEncoder":
            known = getattr(node.kernel, "width", None)
            return known or width * 64, width if step.sparse_output else None
        if name in ("HashingVectorizer", "FeatureHasher"):
            return step.n_features, 64
        if name == "PolynomialFeatures":
            from math import comb

            return comb(width + int(np.max(step.degree)), int(np.max(step.degree))), None
        return width, None
    if isinstance(node, Chain):
        found: tuple[int, int | None] = (len(job.data.features), None)
        for child in node.nodes:
            found = _widths(child, job)
        return found
    assert isinstance(node, Columns)
    total, slots, sparse = 0, 0, False
    for _, child, columns, _ in node.branches:
        if isinstance(child, str):
            width, stored = (0 if child == "drop" else len(columns)), None
        else:
            width, stored = _widths(child, job)
        total += width
        slots += width if stored is None else stored
        sparse = sparse or stored is not None
    dense = sparse and slots / max(1, total) >= node.estimator.sparse_threshold
    return total, slots if sparse and not dense else None


def _with_columns(sample: Any, read: Any) -> Any:
    """Put the columns that were read into the sample of all features."""
    if read is None or not hasattr(sample, "iloc"):
        return read if read is not None else sample
    frame = to_frame(read)
    out = sample.iloc[: len(frame)].reset_index(drop=True).copy()
    for name in frame.columns:
        out[name] = frame[name]
    return out[list(sample.columns)]


def _no_rows(rows: RowCount) -> DataError:
    return DataError(
        f"there is no row to learn from: of {rows.read:,} rows read, {rows.filtered:,} were "
        f"filtered by where= and {rows.held_out:,} held out"
    )


def _measured(result: Result, governor: Governor, run: str | os.PathLike[str]) -> Result:
    """Count what saving the run took, too."""
    peak = governor.finish()
    return replace(
        result,
        memory=replace(result.memory, measured_bytes=max(result.memory.measured_bytes, peak)),
        path=os.fspath(run),
    )


def _manifest(job: _Job, profile: TargetProfile | None) -> dict[str, Any]:
    import sklearn

    import streamlearn

    target = job.data.target_field
    found: dict[str, Any] = {
        "versions": {
            "streamlearn": streamlearn.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": f"{platform.system()} {platform.machine()}, {_cores()} cores",
        "seed": int(job.options.random_state),
        "options": {
            name: value if isinstance(value, int | float | str | None) else str(value)
            for name, value in vars(job.options).items()
        },
        "data": {
            "fingerprint": job.data.source.fingerprint,
            "rows": job.data.rows,
            "fragments": len(job.data.fragments),
            "where": None if job.data.where is None else str(job.data.where),
            "derive": None if job.data.derive is None else _text(job.data.derive),
            "target": None if target is None else target.name,
            "weight": job.data.weight,
        },
        "schema": {item.name: str(item.type) for item in job.data.features},
    }
    if profile is not None and job.model is not None and is_classifier(job.model):
        classes, counts = profile.classes()
        if len(classes) <= 1000:
            found["classes"] = dict(zip(map(str, classes.tolist()), counts.tolist(), strict=True))
    return found


def _text(derive: Any) -> Any:
    if isinstance(derive, dict):
        return {name: str(formula) for name, formula in derive.items()}
    return derive if isinstance(derive, str) else list(derive)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """One BLAS thread: the same bits on any machine, and no fight with the readers."""
    import sklearn.linear_model  # noqa: F401 - loads the libraries that are to be limited
    from threadpoolctl import ThreadpoolController

    with ThreadpoolController().limit(limits=1):
        yield
