"""What each pass holds in memory: the terms of the projection, from metadata and what is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from streamlearn.learn.base import Growth, Sized
from streamlearn.learn.graph import Leaf, Node
from streamlearn.learn.profiler import profile_bytes
from streamlearn.learn.registry import Exact, Recipe
from streamlearn.plan.job import Job
from streamlearn.plan.memory import Demand, Term, block_rows
from streamlearn.plan.order import plan_shuffle
from streamlearn.plan.widths import (
    cells_into,
    has_unknown_width,
    is_guessed,
    output_width,
    peak_cells,
    width_into,
    widths,
)
from streamlearn.score.progressive import SCORED_ROWS
from streamlearn.source.base import ReaderCost

__all__ = [
    "answer_bytes",
    "answer_rows",
    "finish_demand",
    "learn_demand",
    "output_bytes",
    "save_demand",
    "statistics_demand",
    "statistics_rows",
]

_MOST_GUESSED = 256
"""Columns that a step is planned for where the steps before it have yet to count them."""
_MLP_ROWS = 200
"""scikit-learn's own batch size of a neural network."""
_ANSWER_BYTES = 64 << 20

_KEEP_SPARSE = ("Binarizer", "MaxAbsScaler", "Normalizer", "SimpleImputer", "StandardScaler")

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
    remedy = (
        "max_categories= on the encoder"
        if texts
        else "in Python, leave run= out and save the estimator by other means"
    )
    if job.model is not None and (coef := getattr(job.model, "coef_", None)) is not None:
        held.append(Term("writing the coefficients", 3 * int(coef.nbytes)))
    return Demand("save", 0, 0.0, 0.0, 0, tuple(held), remedy=remedy)


def statistics_demand(
    job: Job, name: str, names: Sequence[str], learning: Sequence[Leaf]
) -> Demand:
    """Return what a pass of statistics holds, before anything has grown."""
    cost = job.data.cost(names)
    width = sum(cells_into(leaf, job) for leaf in learning)
    states = max(1, job.threads) + 1
    stored = _stored_values(job)
    sparse = stored is not None and all(_takes_sparse(leaf.recipe) for leaf in learning)
    cells = math.ceil(stored) * len(learning) if stored is not None and sparse else width
    rows = statistics_rows(job, names, learning)
    features = job.data.features
    read = features.select(names) if features.named else features
    return Demand(
        name,
        cost.fixed_bytes,
        cost.row_bytes,
        cost.chunk_row_bytes,
        0,
        (
            Term(
                "blocks being accumulated",
                max(1, job.threads - 1) * int(rows * (2 * cost.chunk_row_bytes + 24 * cells)),
            ),
            Term("statistics", states * 200_000),
            *(_state_term(leaf, job, states) for leaf in learning),
            Term(
                "profile of the columns",
                states * profile_bytes(read, full=False)
                if name == "statistics" and not job.data.is_sparse
                else 0,
            ),
        ),
        # The caller's thread has little to do in such a pass.
        further_readers=int(job.threads > 1 and len(job.data.fragments) >= job.threads),
        remedy=(
            "fewer features, or fewer columns from the steps before (max_features=, "
            "max_categories=, SelectKBest)"
        ),
        note=cost.note,
        most_rows=job.data.longest_rows,
    )


def _state_term(leaf: Leaf, job: Job, states: int) -> Term:
    """Return what the states of a step will hold, before they have grown."""
    columns = width_into(leaf, job)
    if is_guessed(leaf, job):
        # Checked once more when it is known; a guess is no reason to refuse.
        columns = min(columns, _MOST_GUESSED)
    found = leaf.pending or leaf.make()
    size = 400 * columns
    if isinstance(found, Sized):
        size = found.planned_bytes(columns, job.data.rows)
    name = type(leaf.estimator).__name__
    what = f"statistics of {leaf.path!r} ({name}, {columns:,} columns)"
    return Term(what, size * (1 if leaf.in_order else states))


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
    batch = min(batch, job.data.rows)
    known = known or not has_unknown_width(job)
    width = output_width(job.steps, job) if known else 0
    outputs = max(1, classes if classes > 2 else 1)
    grown = _grown(job)
    what, remedy = f"model: {outputs} x {width:,} coefficients" if width else "model", ""
    if grown and (most := max(grown, key=lambda item: item.outputs)).outputs > 0.5 * width:
        categories = most.unit == "distinct values"
        counted = "the one-hot encoding" if categories else f"the {most.unit}"
        what = (
            f"model: {counted} of {most.column!r} ({most.outputs:,} "
            f"{'categories' if categories else most.unit} x "
            f"{outputs} {'classes' if outputs > 1 else 'output'})"
        )
        limit = "max_categories= on the encoder" if categories else "max_features= or min_df="
        remedy = f"{limit}, {most.instead}, or a smaller batch_size"
    held = [
        Term("raw batch", int(2 * batch * cost.chunk_row_bytes)),
        Term("prepared batches", int(3 * batch * row_bytes)),
        Term("preparing a batch", int(batch * (work_bytes + _text_bytes(job, cost)))),
        Term(what, _model_bytes(job.model, width, outputs, batch)),
    ]
    if kept := sum(item.kept_bytes for item in grown):
        held.append(Term("categories of the fitted encoders", kept))
    if job.options.shuffle:
        group = plan_shuffle(row_bytes, 0).group_rows
        # Blocks and what they are put together to, then that and its permutation; beside the
        # group before, which a batch may still look into. A row has number, target and weight.
        rows = 4 * min(group, job.data.rows)
        held.append(Term("rows being shuffled", int(rows * (row_bytes + 24))))
    if job.options.validation:
        aside = batch * (cost.chunk_row_bytes + 2 * row_bytes + work_bytes)
        held.append(Term("held-out rows", int(aside + 24 * batch * outputs)))
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


def statistics_rows(job: Job, names: Sequence[str], learning: Sequence[Leaf]) -> int:
    """Return the rows of a block of a pass of statistics."""
    cost = job.data.cost(names)
    stored = _stored_values(job)
    if stored is not None and all(_takes_sparse(leaf.recipe) for leaf in learning):
        return block_rows(math.ceil(stored), cost.chunk_row_bytes)
    widest = max((cells_into(leaf, job) for leaf in learning), default=0)
    return block_rows(max(len(names), math.ceil(widest)), cost.chunk_row_bytes)


def finish_demand(learned: Sequence[Leaf]) -> Demand:
    """Return what fitting the steps holds that have grown with the data."""
    grown = [item for leaf in learned for item in leaf.growth]
    held = tuple(
        Term(
            f"{item.count:,} {item.unit} of {item.column!r}",
            item.state_bytes + item.finish_bytes,
        )
        for item in grown
    )
    most = max(grown, key=lambda item: item.finish_bytes)
    return Demand("fit the encoders", 0, 0.0, 0.0, 0, held, remedy=most.instead)


def _text_bytes(job: Job, cost: ReaderCost) -> float:
    """Return the bytes of a row's texts once more: steps without a kernel take Python's."""
    columns = job.data.features.select(job.columns) if job.data.features.named else ()
    fixed = sum(field.width_bytes or 0 for field in columns)
    texts = any(field.width_bytes is None for field in columns)
    return max(0.0, cost.chunk_row_bytes - fixed) if texts else 0.0


def _grown(job: Job) -> list[Growth]:
    leaves = job.steps.leaves() if job.steps is not None else ()
    return [item for leaf in leaves for item in leaf.growth]


def _model_bytes(model: Any, width: int, outputs: int, batch: int) -> int:
    clusters = getattr(model, "n_clusters", 0) or getattr(model, "n_components", 0) or 0
    outputs = max(outputs, clusters if isinstance(clusters, int) else 0)
    scored = min(batch, SCORED_ROWS)
    layers = getattr(model, "hidden_layer_sizes", None)
    if layers is None:
        # Twice: scikit-learn transposes the coefficients of several classes for its answers.
        return 16 * width * outputs + 24 * scored * outputs
    sizes = [width, *np.atleast_1d(layers).tolist(), outputs]
    weights = sum(a * b for a, b in pairwise(sizes))
    own = getattr(model, "batch_size", None)
    rows = min(batch, own if isinstance(own, int) else _MLP_ROWS)
    return int(8 * (5 * weights + (4 * rows + 2 * scored) * sum(sizes[1:])))


def answer_bytes(model: Any, rows: int) -> int:
    """Return what asking a fitted model for as many answers holds."""
    classes = getattr(model, "classes_", None)
    outputs = len(classes) if classes is not None and np.ndim(classes) == 1 else 1
    hidden = int(np.sum(getattr(model, "hidden_layer_sizes", 0)))
    return int(8 * rows * (5 * outputs + 2 * hidden + 3))


def answer_rows(model: Any, most: int) -> int:
    """Return how many answers to ask for at once: a function of the model alone."""
    return int(max(256, min(most, 8 * _ANSWER_BYTES // answer_bytes(model, 8))))


def output_bytes(node: Node | None, job: Job) -> tuple[float, float]:
    """Estimate bytes of a prepared row, and bytes of temporaries a row while preparing it."""
    stored = _stored_values(job)
    if stored is not None and (node is None or all(map(_keeps_sparse, node.leaves()))):
        return 12.0 * stored + 8, 26.0 * stored
    if node is None:
        schema = job.data.features
        row = _cell_bytes(job) * len(schema)
        return (row, row) if schema.named else (row, 0.0)
    width, stored = widths(node, job)
    cell = _cell_bytes(job)
    peak = cell * peak_cells(node, (len(job.data.features), None), job)
    if stored is not None:
        return 12.0 * stored + 8, max(26.0 * stored, peak)
    return cell * width, max(2 * cell * width, peak)


def _stored_values(job: Job) -> float | None:
    """Return the values stored of a row, where the source is a sparse matrix."""
    found: float | None = getattr(job.data.source, "stored_values", None)
    return found


def _takes_sparse(recipe: Recipe) -> bool:
    """Whether an accumulator works on what a sparse matrix stores, and never fills it."""
    return isinstance(recipe, Exact) and getattr(recipe.make, "takes_sparse", False)


def _keeps_sparse(leaf: Leaf) -> bool:
    """Whether a step gives as many values as it takes of a sparse matrix."""
    return type(leaf.estimator).__name__ in _KEEP_SPARSE


def _cell_bytes(job: Job) -> float:
    """Return bytes of a prepared number: float32 features stay float32 through the scalers."""
    single = all(str(field.type) == "float" for field in job.data.features)
    return 4.0 if single else 8.0
