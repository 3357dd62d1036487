"""Which steps learn in which pass, and which columns a pass has to read; nothing is read here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamlearn.learn.graph import Leaf, Node
from streamlearn.learn.nested import Chain, Columns, learns_ahead_of

__all__ = ["columns_for", "schedule"]


def schedule(root: Node) -> list[list[Leaf]]:
    """Return which steps learn in which pass, without reading anything.

    A step that may need several passes stands in as many as it needs at most.
    """
    left = {leaf.path: leaf.passes for leaf in root.leaves()}
    passes: list[list[Leaf]] = []
    while True:
        learning: list[Leaf] = []
        _ready(root, left, learning)
        if not learning:
            return passes
        passes.append(learning)
        for leaf in learning:
            left[leaf.path] -= 1


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
            if follower is not None and learns_ahead_of(child, follower):
                ready = _ready(follower, left, learning) and ready
            if not ready:
                return False
        return True
    assert isinstance(node, Columns)
    # Every branch is asked, for each may have steps that can learn.
    ready_branches = [_ready(child, left, learning) for child in node.nodes]
    return all(ready_branches)


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
    assert isinstance(node, Columns)
    found: set[Any] = set()
    for _, child, columns, _ in node.branches:
        if isinstance(child, str):
            found |= set(columns) if need and child == "passthrough" else set()
        else:
            found |= _wanted(child, columns, learning, need)
    return found
