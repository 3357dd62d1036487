"""From a job to its plan: passes, columns, and what each pass will hold; from metadata alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from streamlearn.learn.graph import Chain, Columns, Leaf, Node
from streamlearn.learn.schedule import columns_for
from streamlearn.learn.sequential import is_classifier, own_batch_size
from streamlearn.plan.job import Job
from streamlearn.plan.memory import Demand, MemoryPlan, Term, block_rows, plan_memory
from streamlearn.plan.order import plan_shuffle
from streamlearn.plan.plan import Pass, Plan
from streamlearn.source.dataset import Dataset

__all__ = ["further_readers", "learn_demand", "make_plan", "output_bytes", "save_demand"]

_BATCH_ROWS = 32_768
_BATCH_BYTES = 64 << 20


def make_plan(job: Job, limit: int, reserved: int) -> Plan:
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
        row_bytes, _ = output_bytes(job.steps, job)
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
        notes=(*job.notes, *data.source.notes(data.stored_columns(job.columns))),
    )
    if job.model is not None:
        demands.append(learn_demand(job, plan, 2, known=False))
    if options.run is not None:
        demands.append(save_demand(job))
    memory = plan_memory(
        demands,
        limit_bytes=limit,
        reserved_bytes=reserved,
        chunk_size=options.chunk_size,
        readers=max(1, min(job.threads - 1, len(data.fragments))),
    )
    return replace(plan, memory=memory)


_TEXT_BYTES = 4_500
"""What skops holds for each Python object it writes, a category of text for one (measured)."""


def save_demand(job: Job) -> Demand:
    """Return what writing the run holds; the categories count once they are known."""
    texts = sum(
        len(found)
        for leaf in (job.steps.leaves() if job.steps is not None else ())
        for found in getattr(leaf.estimator, "categories_", ())
        if found.dtype == object
    )
    held = [
        Term("not given back by the passes before", 32_000_000),
        Term("skops, matplotlib, the report", 64_000_000),
    ]
    if texts:
        held.append(Term(f"writing {texts:,} categories of text", texts * _TEXT_BYTES))
    remedy = "max_categories= on the encoder" if texts else "save nothing (no run=)"
    return Demand("save", 0, 0.0, 0.0, 0, tuple(held), remedy=remedy)


_NO_MEMORY = MemoryPlan(0, 0, 0, 0, 0, 0, ())


def _pass(data: Dataset, name: str, why: str, names: Sequence[str]) -> Pass:
    cost = data.cost(names)
    stored = tuple(data.stored_columns(names))
    return Pass(name, why, stored, data.rows, int(cost.chunk_row_bytes * data.rows))


def _statistics_demand(
    job: Job, name: str, names: Sequence[str], learning: Sequence[Leaf]
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
                max(1, job.threads - 1)
                * int(block_rows(len(names)) * (cost.chunk_row_bytes + 24 * width)),
            ),
            Term("statistics", states * (200_000 + 400 * width)),
        ),
        further_readers=further_readers(job),
        remedy="fewer features",
    )


def further_readers(job: Job) -> int:
    """Return how many readers a pass of statistics has more than one of learning."""
    return int(job.threads > 1 and len(job.data.fragments) >= job.threads)


def _input_width(leaf: Leaf, job: Job) -> int:
    return len(leaf.schema) if leaf.schema is not None else len(job.data.features)


def learn_demand(job: Job, plan: Plan, classes: int, *, known: bool) -> Demand:
    """Return what learning the model holds.

    Parameters
    ----------
    known : bool
        Whether the preprocessing is fitted, so that widths are no estimates.
    """
    cost = job.data.cost(job.columns)
    row_bytes, work_bytes = output_bytes(job.steps, job)
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
        weights = sum(a * b for a, b in pairwise(sizes))
        return int(8 * (5 * weights + 4 * min(batch, 1024) * sum(sizes[1:])))
    clusters = getattr(model, "n_clusters", 0) or getattr(model, "n_components", 0) or 0
    clusters = clusters if isinstance(clusters, int) else 0
    return 8 * (4 * width * max(outputs, clusters) + batch * max(outputs, clusters) * 2)


def output_bytes(node: Node | None, job: Job) -> tuple[float, float]:
    """Estimate bytes of a prepared row, and bytes of temporaries a row while preparing it."""
    if node is None:
        schema = job.data.features
        row = _cell_bytes(job) * len(schema)
        return (row, row) if schema.named else (row, 0.0)
    width, stored = _widths(node, job)
    if stored is not None:
        return 12.0 * stored + 8, 26.0 * stored
    cell = _cell_bytes(job)
    return cell * width, 2 * cell * width


def _cell_bytes(job: Job) -> float:
    """Return bytes of a prepared number: float32 features stay float32 through the scalers."""
    single = all(str(field.type) == "float" for field in job.data.features)
    return 4.0 if single else 8.0


def _output_width(node: Node | None, job: Job) -> int:
    kernel = getattr(node, "kernel", None)
    if kernel is not None and kernel.width:
        return int(kernel.width)
    return _widths(node, job)[0] if node is not None else len(job.data.features)


def _widths(node: Node, job: Job) -> tuple[int, int | None]:
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
    for _, branch, columns, _ in node.branches:
        stored: int | None = None
        if isinstance(branch, str):
            width = 0 if branch == "drop" else len(columns)
        else:
            width, stored = _widths(branch, job)
        total += width
        slots += width if stored is None else stored
        sparse = sparse or stored is not None
    dense = sparse and slots / max(1, total) >= node.estimator.sparse_threshold
    return total, slots if sparse and not dense else None
