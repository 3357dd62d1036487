"""How many columns each step gives, from metadata and what is fitted already."""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np

from streamlearn.learn.graph import Leaf, Node
from streamlearn.learn.nested import Chain, Columns, Union
from streamlearn.learn.registry import Exact
from streamlearn.learn.schedule import waits_on
from streamlearn.plan.job import Job

__all__ = [
    "cells_into",
    "has_unknown_width",
    "is_guessed",
    "output_width",
    "peak_cells",
    "width_into",
    "widths",
]

Given = tuple[int, float | None]
"""Columns, and values stored of a row where the matrix is sparse."""

_GUESSED_CATEGORIES = 64
_GUESSED_TERMS = 100_000
_BYTES_OF_A_WORD = 5
_GROWS = ("CountVectorizer", "DictVectorizer", "OneHotEncoder", "TfidfVectorizer")
_WRITE_ONCE = (
    "Binarizer",
    "CountVectorizer",
    "DateFeatures",
    "DictVectorizer",
    "FeatureHasher",
    "HashingVectorizer",
    "KBinsDiscretizer",
    "MaxAbsScaler",
    "MinMaxScaler",
    "MissingIndicator",
    "OneHotEncoder",
    "OrdinalEncoder",
    "QuantileTransformer",
    "RobustScaler",
    "SimpleImputer",
    "StandardScaler",
    "TargetEncoder",
    "TfidfVectorizer",
)
_COMPONENTS = ("n_components", "n_clusters")


def has_unknown_width(job: Job) -> bool:
    """Whether a step's width is known only once its categories or terms are counted."""
    leaves = job.steps.leaves() if job.steps is not None else ()
    return any(type(leaf.estimator).__name__ in _GROWS and not leaf.fitted for leaf in leaves)


def output_width(node: Node | None, job: Job) -> int:
    """Return how many columns a node gives."""
    return widths(node, job)[0] if node is not None else len(job.data.features)


def width_into(leaf: Leaf, job: Job) -> int:
    """Columns that a step gets: the source's, or what the steps before it give."""
    return _into(leaf, job)[0][0]


def cells_into(leaf: Leaf, job: Job) -> float:
    """Values of a row that a step works on, or that the steps before it hold for a moment.

    Those stored, where it takes a sparse matrix as such.
    """
    (width, stored), before = _into(leaf, job)
    if stored is not None and isinstance(leaf.recipe, Exact):
        stored = stored if getattr(leaf.recipe.make, "takes_sparse", False) else None
    taken = float(width) if stored is None else stored
    # Three values for each are planned while a step learns.
    return max(taken, before / 3)


def _into(leaf: Leaf, job: Job) -> tuple[Given, float]:
    if leaf.schema is not None:
        return (len(leaf.schema), None), 0.0
    given: Given = (len(job.data.features), None)
    found = None if job.steps is None else _before(job.steps, leaf, given, job)
    return found if found is not None else (given, 0.0)


def cells_of(given: Given) -> float:
    """Return a row's values in a matrix, a stored one with its index counted one and a half."""
    return float(given[0]) if given[1] is None else 1.5 * given[1]


def peak_cells(node: Node, given: Given, job: Job) -> float:
    """Return the values of a row that are held at once, at most, while a node transforms it."""
    if isinstance(node, Leaf):
        kernel = type(node.estimator).__name__ in _WRITE_ONCE
        # What has a kernel writes its output; anything else takes a copy of its input too.
        taken = 0.0 if kernel and node.schema is not None else cells_of(given)
        gives = cells_of(_after(node, given, job))
        return taken + gives + (0.0 if kernel else max(taken, gives))
    peak = 0.0
    if isinstance(node, Chain):
        for child in node.nodes:
            peak = max(peak, peak_cells(child, given, job))
            given = _after(child, given, job)
        return peak
    assert isinstance(node, Columns | Union)
    beside = 0.0
    for branch, columns in _branches(node, given[0]):
        if isinstance(branch, str):
            beside += 0 if branch == "drop" else columns
            continue
        peak = max(peak, peak_cells(branch, (columns, None), job))
        beside += cells_of(_after(branch, (columns, None), job))
    return beside + peak


def is_guessed(leaf: Leaf, job: Job) -> bool:
    """Whether steps before it have yet to count how many columns it gets."""
    if leaf.schema is not None or job.root is None:
        return False
    giver = waits_on(job.root, leaf)
    return giver is not None and any(
        type(other.estimator).__name__ in _GROWS
        and not (other.fitted or other.growth)
        and (other.path == giver or other.path.startswith(f"{giver}.") or giver == "columns")
        for other in job.leaves()
    )


def _before(node: Node, leaf: Leaf, given: Given, job: Job) -> tuple[Given, float] | None:
    """Return what reaches a leaf, and the most that the steps before it hold of a row."""
    if node is leaf:
        return given, 0.0
    if isinstance(node, Chain):
        peak = 0.0
        for child in node.nodes:
            found = _before(child, leaf, given, job)
            if found is not None:
                return found[0], max(found[1], peak)
            peak = max(peak, peak_cells(child, given, job))
            given = _after(child, given, job)
    if isinstance(node, Columns | Union):
        for branch, columns in _branches(node, given[0]):
            if not isinstance(branch, str):
                found = _before(branch, leaf, (columns, None), job)
                if found is not None:
                    return found
    return None


def _after(child: Node, given: Given, job: Job) -> Given:
    """Return what a step of a chain gives for what it gets."""
    found = widths(child, job, given[0])
    if given[1] is not None and found[1] is None and _keeps_sparse(child):
        return found[0], min(given[1], found[0])
    return found


def _branches(node: Columns | Union, width: int) -> list[tuple[Node | str, int]]:
    """Return what stands side by side, and how many columns each part gets."""
    if isinstance(node, Union):
        return [(branch, width) for _, branch in node.children]
    if node.resolve is None:
        return [(branch, len(columns)) for _, branch, columns, _ in node.branches]
    # Not known yet: each may get all.
    return [(branch, width) for _, branch, _, _ in node.branches]


def widths(node: Node, job: Job, given: int | None = None) -> Given:
    """Columns a node gives, and values stored a row where it gives a sparse matrix."""
    if isinstance(node, Leaf):
        got = given if given is not None and node.schema is None else None
        return _leaf_widths(node, got if got is not None else width_into(node, job), job)
    if isinstance(node, Chain):
        found: Given = (given or len(job.data.features), None)
        for child in node.nodes:
            found = _after(child, found, job)
        return found
    assert isinstance(node, Columns | Union)
    total, slots, sparse = 0, 0.0, False
    for branch, columns in _branches(node, given or len(job.data.features)):
        stored: float | None = None
        if isinstance(branch, str):
            width = 0 if branch == "drop" else columns
        else:
            width, stored = widths(branch, job, columns)
        total += width
        slots += width if stored is None else stored
        sparse = sparse or stored is not None
    threshold = 1.0 if isinstance(node, Union) else node.estimator.sparse_threshold
    dense = sparse and slots / max(1, total) > threshold
    return total, slots if sparse and not dense else None


def _keeps_sparse(node: Node) -> bool:
    """Whether a step gives a sparse matrix for a sparse matrix."""
    names = ("TfidfTransformer", "MaxAbsScaler", "Normalizer", "Binarizer", "StandardScaler")
    return isinstance(node, Leaf) and (
        type(node.estimator).__name__.startswith("Select") or type(node.estimator).__name__ in names
    )


def _leaf_widths(leaf: Leaf, width: int, job: Job) -> Given:
    step = leaf.estimator
    name = type(step).__name__
    known = leaf.columns_out or sum(item.outputs for item in leaf.growth)
    if name == "OneHotEncoder":
        return known or width * _GUESSED_CATEGORIES, width if step.sparse_output else None
    if name in ("CountVectorizer", "TfidfVectorizer", "DictVectorizer"):
        most = getattr(step, "max_features", None) or _GUESSED_TERMS
        stored = width if name == "DictVectorizer" else _terms(leaf, job)
        return known or most, stored if getattr(step, "sparse", True) else None
    if name in ("HashingVectorizer", "FeatureHasher"):
        return step.n_features, _terms(leaf, job) if name == "HashingVectorizer" else width
    if name == "KBinsDiscretizer" and step.encode == "onehot":
        bins = int(np.sum(step.n_bins)) if np.ndim(step.n_bins) else width * step.n_bins
        return known or bins, width
    if known:
        return known, None
    if name in _OUTPUTS:
        return _OUTPUTS[name](step, width, job), None
    for parameter in _COMPONENTS:
        found = getattr(step, parameter, None)
        if isinstance(found, int | np.integer) and not isinstance(found, bool):
            return int(found), None
    return width, None


def _terms(leaf: Leaf, job: Job) -> float:
    """Estimate the terms of a text, which repeat as likely as not, from its length in the source."""
    step = leaf.estimator
    names = leaf.schema.names if leaf.schema is not None else job.data.features.names
    length = job.data.cost([name for name in names if name in job.data.features]).chunk_row_bytes
    shortest, longest = step.ngram_range
    words = length if str(step.analyzer).startswith("char") else length / _BYTES_OF_A_WORD
    return max(8.0, float(words) * int(longest - shortest + 1))


def _bins(step: Any, width: int, job: Job) -> int:
    del job
    if step.encode == "ordinal":
        return width
    return int(np.sum(step.n_bins)) if np.ndim(step.n_bins) else int(width * step.n_bins)


def _splines(step: Any, width: int, job: Job) -> int:
    del job
    knots = step.n_knots if isinstance(step.knots, str) else len(step.knots)
    return int(width * (knots + step.degree - 1))


def _polynomials(step: Any, width: int, job: Job) -> int:
    del job
    degree = int(np.max(step.degree))
    return comb(width + degree, degree)


def _projection(step: Any, width: int, job: Job) -> int:
    del width
    if step.n_components != "auto":
        return int(step.n_components)
    from sklearn.random_projection import johnson_lindenstrauss_min_dim

    return int(johnson_lindenstrauss_min_dim(n_samples=max(2, job.data.rows), eps=step.eps))


def _targets(step: Any, width: int, job: Job) -> int:
    del step
    classes = job.classes
    return width * classes if classes > 2 else width


_OUTPUTS: dict[str, Callable[[Any, int, Job], int]] = {
    "AdditiveChi2Sampler": lambda step, width, _: width * (2 * step.sample_steps - 1),
    "DateFeatures": lambda step, width, _: width * len(step.parts) * (2 if step.cyclic else 1),
    "GaussianRandomProjection": _projection,
    "KBinsDiscretizer": _bins,
    "PolynomialFeatures": _polynomials,
    "SimpleImputer": lambda step, width, _: width * (2 if step.add_indicator else 1),
    "SparseRandomProjection": _projection,
    "SplineTransformer": _splines,
    "TargetEncoder": _targets,
}
