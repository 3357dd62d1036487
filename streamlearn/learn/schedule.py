"""Which steps learn in which pass, and which columns a pass has to read; nothing is read here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamlearn.learn.graph import Leaf, Node
from streamlearn.learn.nested import (
    Chain,
    Columns,
    TargetBeside,
    Union,
    counts_for,
    learns_ahead_of,
)

__all__ = ["columns_for", "schedule", "waits_on"]


def schedule(root: Node, *, classes_known: bool = True) -> list[list[Leaf]]:
    """Return which steps learn in which pass, without reading anything.

    A step that may need several passes stands in as many as it needs at most.

    Parameters
    ----------
    classes_known : bool
        Whether the classes of the target are known already. If not, the first pass learns them,
        and steps that need them wait for the second.
    """
    left = {leaf.path: leaf.passes for leaf in root.leaves()}
    passes: list[list[Leaf]] = []
    while any(left.values()):
        learning: list[Leaf] = []
        _ready(root, left, learning)
        if not classes_known and not passes:
            learning = [leaf for leaf in learning if not leaf.waits_for_classes]
        elif not learning:
            return passes
        passes.append(learning)
        for leaf in learning:
            left[leaf.path] -= 1
    return passes


def _ready(node: Node, left: dict[str, int], learning: list[Leaf]) -> bool:
    if isinstance(node, Leaf):
        if not left[node.path]:
            return True
        learning.append(node)
        return False
    if isinstance(node, Chain):
        nodes = node.nodes
        for index, child in enumerate(nodes):
            follower = nodes[index + 1] if index + 1 < len(nodes) else None
            ready = _ready(child, left, learning)
            if follower is not None and counts_for(child, follower):
                left[follower.path] = 0  # the vectorizer hands on what it has counted
            if follower is not None and learns_ahead_of(child, follower):
                ready = _ready(follower, left, learning) and ready
            if not ready:
                return False
        return True
    if isinstance(node, TargetBeside):
        parts = [node.target, *([node.steps] if node.steps is not None else [])]
    else:
        assert isinstance(node, Columns | Union)
        parts = node.nodes
    # Every branch is asked, for each may have steps that can learn.
    ready_branches = [_ready(child, left, learning) for child in parts]
    return all(ready_branches)


def waits_on(root: Node, leaf: Leaf) -> str | None:
    """Return the path of what gives a step its rows; None where they come from the source."""
    found, _ = _giver(root, leaf.path, None)
    return found


def _giver(node: Node, path: str, before: str | None) -> tuple[str | None, bool]:
    if isinstance(node, Leaf):
        return before, node.path == path
    if isinstance(node, Chain):
        for child in node.nodes:
            found, is_there = _giver(child, path, before)
            if is_there:
                return found, True
            before = child.path
        return None, False
    if isinstance(node, TargetBeside):
        children = [] if node.steps is None else [node.steps]
    else:
        assert isinstance(node, Columns | Union)
        children = node.nodes
    for child in children:
        found, is_there = _giver(child, path, before)
        if is_there:
            return found, True
    return None, False


def columns_for(node: Node, given: Sequence[Any], learning: set[str], need: bool) -> list[Any]:
    """Return which of the given columns a pass has to read.

    Parameters
    ----------
    learning : set of str
        Paths of the steps that learn in the pass.
    need : bool
        Whether the node's output is needed.
    """
    wanted = _wanted(node, list(given), learning, need)
    return [name for name in given if name in wanted]


def _wanted(node: Node, given: list[Any], learning: set[str], need: bool) -> set[Any]:
    if isinstance(node, Leaf):
        return set(given) if need or node.path in learning else set()
    if isinstance(node, Chain):
        nodes = node.nodes
        if not nodes:
            return set(given) if need else set()
        later = any(leaf.path in learning for child in nodes[1:] for leaf in child.leaves())
        return _wanted(nodes[0], given, learning, need or later)
    if isinstance(node, TargetBeside):
        return _wanted(node.steps, given, learning, need) if node.steps is not None else set()
    found: set[Any] = set()
    if isinstance(node, Union):
        for part in node.nodes:
            found |= _wanted(part, given, learning, need)
        return found
    assert isinstance(node, Columns)
    for _, child, columns, _ in node.branches:
        if isinstance(child, str):
            found |= set(columns) if need and child == "passthrough" else set()
        else:
            found |= _wanted(child, columns, learning, need)
    return found
