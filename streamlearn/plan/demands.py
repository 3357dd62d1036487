"""What each pass holds in memory: the terms of the projection, from metadata and what is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from streamlearn.learn.base import Growth
from streamlearn.learn.graph import Chain, Columns, Leaf, Node
from streamlearn.plan.job import Job
from streamlearn.plan.memory import Demand, Term, block_rows
from streamlearn.plan.order import plan_shuffle

__all__ = ["finish_demand", "learn_demand", "output_bytes", "save_demand", "statistics_demand"]

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
    if job.model is not None and (coef := getattr(job.model, "coef_", None)) is not None:
        held.append(Term("writing the coefficients", 3 * int(coef.nbytes)))
    return Demand("save", 0, 0.0, 0.0, 0, tuple(held), remedy=remedy)


def statistics_demand(
    job: Job, name: str, names: Sequence[str], learning: Sequence[Leaf]
) -> Demand:
    """Return what a pass of statistics holds, before anything has grown."""
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
        # The caller's thread has little to do in such a pass.
        further_readers=int(job.threads > 1 and len(job.data.fragments) >= job.threads),
        remedy="fewer features",
        note=cost.note,
        most_rows=job.data.longest_rows,
    )


def _input_width(leaf: Leaf, job: Job) -> int:
    return len(leaf.schema) if leaf.schema is not None else len(job.data.features)


def learn_demand(job: Job, batch: int, classes: int, *, known: bool) -> Demand:
    """Return what learning the model holds.

    Parameters
    ----------
    batch : int
        Rows of a batch.
    classes : int
        Of the target; 0 for a number.
    known : bool
        Whether the preprocessing is fitted, so that widths are no estimates.
    """
    cost = job.data.cost(job.columns)
    row_bytes, work_bytes = output_bytes(job.steps, job)
    width = _output_width(job.steps, job) if known else 0
    outputs = max(1, classes if classes > 2 else 1)
    grown = _grown(job)
    what, remedy = f"model: {outputs} x {width:,} coefficients" if width else "model", ""
    if grown and (most := max(grown, key=lambda item: item.outputs)).outputs > 0.5 * width:
        what = (
            f"model: the one-hot encoding of {most.column!r} ({most.outputs:,} categories x "
            f"{outputs} {'classes' if outputs > 1 else 'output'})"
        )
        remedy = "max_categories= on the encoder, or hash the column (FeatureHasher)"
    held = [
        Term("raw batch", int(2 * batch * cost.chunk_row_bytes)),
        Term("prepared batches", int(3 * batch * row_bytes)),
        Term("preparing a batch", int(batch * work_bytes)),
        Term(what, _model_bytes(job.model, width, outputs, batch)),
    ]
    if kept := sum(item.kept_bytes for item in grown):
        held.append(Term("categories of the fitted encoders", kept))
    if job.options.shuffle:
        group = plan_shuffle(row_bytes, 0).group_rows
        held.append(Term("rows being shuffled", int(3 * group * row_bytes)))
    return Demand(
        "learn",
        cost.fixed_bytes,
        cost.row_bytes,
        cost.chunk_row_bytes,
        2,
        tuple(held),
        note=cost.note,
        most_rows=job.data.longest_rows,
        remedy=remedy or "a smaller batch_size, or fewer features",
    )


def finish_demand(learned: Sequence[Leaf]) -> Demand:
    """Return what fitting the steps holds that have grown with the data."""
    grown = [item for leaf in learned for item in leaf.growth]
    held = tuple(
        Term(
            f"{item.count:,} distinct values of {item.column!r}",
            item.state_bytes + item.finish_bytes,
        )
        for item in grown
    )
    return Demand(
        "fit the encoders", 0, 0.0, 0.0, 0, held, remedy="hash the column (FeatureHasher)"
    )


def _grown(job: Job) -> list[Growth]:
    leaves = job.steps.leaves() if job.steps is not None else ()
    return [item for leaf in leaves for item in leaf.growth]


def _model_bytes(model: Any, width: int, outputs: int, batch: int) -> int:
    layers = getattr(model, "hidden_layer_sizes", None)
    if layers is not None:
        sizes = [width, *np.atleast_1d(layers).tolist(), outputs]
        weights = sum(a * b for a, b in pairwise(sizes))
        return int(8 * (5 * weights + 4 * min(batch, 1024) * sum(sizes[1:])))
    clusters = getattr(model, "n_clusters", 0) or getattr(model, "n_components", 0) or 0
    clusters = clusters if isinstance(clusters, int) else 0
    # Twice: scikit-learn transposes the coefficients of several classes for its answers.
    return 16 * (width + batch) * max(outputs, clusters)


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
            grown = sum(item.outputs for item in node.growth)
            known = getattr(node.kernel, "width", None) or grown
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
