"""From a job to its plan: passes, columns, and what each pass will hold; from metadata alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from streamlearn.errors import MemoryBudgetError
from streamlearn.learn.graph import Leaf
from streamlearn.learn.schedule import columns_for, waits_on
from streamlearn.learn.sequential import own_batch_size
from streamlearn.plan.cache import Cache, plan_cache
from streamlearn.plan.demands import learn_demand, output_bytes, save_demand, statistics_demand
from streamlearn.plan.job import Job
from streamlearn.plan.memory import Demand, MemoryPlan, plan_memory, smallest_budget
from streamlearn.plan.plan import Pass, Plan
from streamlearn.plan.widths import widths
from streamlearn.sizes import format_bytes, format_seconds
from streamlearn.source.dataset import Dataset

__all__ = ["fit_into", "make_plan", "rows_kept"]

_BATCH_ROWS = 32_768
_TEXT_STEPS = (
    "CountVectorizer",
    "DictVectorizer",
    "FeatureHasher",
    "HashingVectorizer",
    "TfidfVectorizer",
)
_BATCH_BYTES = 64 << 20


def make_plan(job: Job, limit: int, reserved: int, library_bytes: int) -> Plan:
    """Work out passes and memory, from metadata alone.

    Where memory does not do, the job's data is set to be read by way of the disk.
    """
    job.library_bytes = library_bytes
    passes = _passes(job)
    plan = Plan(
        estimator=repr(job.peeled.whole),
        passes=tuple(passes),
        memory=_NO_MEMORY,
        batch_rows=_batch_rows(job),
        epochs=job.options.epochs if job.model is not None else 0,
        threads=job.threads,
        notes=(
            *job.notes,
            *job.data.notes(job.columns),
            *_notes_on_categories(job),
        ),
    )

    def demands() -> list[Demand]:
        found = [
            statistics_demand(job, item.name, names, learning)
            for item, names, learning in _statistics_passes(job)
        ]
        if job.data.quarantine is not None:
            found.append(statistics_demand(job, "screen", job.columns, []))
        if job.model is not None:
            found.append(learn_demand(job, plan.batch_rows or 1, 2, known=False))
        if job.options.run is not None:
            found.append(save_demand(job))
        return found

    readers = max(1, min(job.threads - 1, len(job.data.fragments)))
    return replace(plan, memory=fit_into(job, demands, limit, reserved, readers))


def _notes_on_categories(job: Job) -> list[str]:
    paths = [leaf.path for leaf in job.leaves() if leaf.grows and not leaf.planned]
    if not paths:
        return []
    return [
        f"what the categories or terms of {', '.join(map(repr, paths))} take comes on top: they "
        "are counted first, and checked against the budget before anything is fitted"
    ]


def fit_into(
    job: Job, demands: Callable[[], list[Demand]], limit: int, reserved: int, readers: int
) -> MemoryPlan:
    """Plan the memory; where it does not do, with the job's data read by way of the disk."""
    rows = job.options.chunk_size
    held: Any = {"reserved_bytes": reserved, "library_bytes": job.library_bytes}
    options: Any = {"limit_bytes": limit, "chunk_size": rows, **held}
    direct = job.data
    lean = direct.lean(job.scratch_dir)
    try:
        found = plan_memory(demands(), readers=readers, **options)
    except MemoryBudgetError:
        job.data = lean
        try:
            return plan_memory(demands(), readers=readers, **options)
        except MemoryBudgetError:
            job.data = direct
            raise
    try:
        job.data = lean
        floor = smallest_budget(demands(), chunk_size=rows, **held)
    finally:
        job.data = direct
    return replace(found, floor_bytes=min(found.floor_bytes, floor))


def _statistics_passes(job: Job) -> list[tuple[Pass, list[str], list[Leaf]]]:
    data, target = job.data, job.data.target_field
    found = []
    stood: Counter[str] = Counter()
    for number, learning in enumerate(job.passes or ([[]] if job.wants_profile else []), 1):
        paths = {leaf.path for leaf in learning}
        names = (
            columns_for(job.steps, data.features.names, paths, False)
            if job.steps is not None
            else []
        )
        parts = []
        for leaf in learning:
            stood[leaf.path] += 1
            parts.append(_why(job, leaf, stood[leaf.path], paths))
        if number == 1 and target is not None and (job.model is not None or job.learns_classes):
            parts.append(
                f"classes and counts of {target.name!r}"
                if job.learns_classes
                else f"range of {target.name!r}"
            )
        name = "statistics" if number == 1 else f"statistics, pass {number}"
        why = "learns " + ",\n       ".join(parts)
        roles = job.reads_roles(number, learning)
        found.append((_pass(data, name, why, names, roles=roles), names, learning))
    return found


def _why(job: Job, leaf: Leaf, number: int, beside: set[str]) -> str:
    """Say which step learns, from what, and why it takes more than one pass."""
    name = f"{type(leaf.estimator).__name__} {leaf.path!r}"
    assert job.root is not None
    giver = waits_on(job.root, leaf)
    about = []
    if giver in beside or leaf.is_ahead:
        about.append(f"ahead of {giver!r}, from data with gaps")
    elif giver is not None:
        about.append(f"from what {giver!r} gives")
    most = leaf.passes
    if most > 1:
        about.append(f"pass {number} of at most {most}")
    if leaf.in_order:
        about.append("in order, batch by batch")
    return f"{name} ({', '.join(about)})" if about else name


def _passes(job: Job) -> list[Pass]:
    passes = [item for item, _, _ in _statistics_passes(job)]
    if job.data.quarantine is not None:
        why = "finds rows that cannot be used, so that every pass leaves out the same"
        passes.insert(0, _pass(job.data, "screen", why, job.columns))
    if job.model is not None:
        times = job.options.epochs
        why = f"learns {type(job.model).__name__} in batches of {_batch_rows(job):,} rows"
        if job.options.shuffle:
            why += f"; rows are prepared once on disk and shuffled for each of {times} epochs"
            times = 1
        elif (cache := rows_kept(job)) is not None:
            why += (
                f"; prepared rows are kept on disk ({format_bytes(cache.size_bytes)}) for epochs "
                f"2 to {times}, which saves {format_seconds(max(0.0, cache.saved_s))} as projected"
            )
            times = 1
        passes.append(replace(_pass(job.data, "learn", why, job.columns), times=times))
    return passes


def rows_kept(job: Job) -> Cache | None:
    """Return what is kept on disk of prepared rows between epochs, if anything is."""
    if job.model is None or job.options.shuffle:
        return None
    row_bytes = output_bytes(job.steps, job)[0]
    texts = any(type(leaf.estimator).__name__ in _TEXT_STEPS for leaf in job.leaves())
    sparse = job.steps is not None and widths(job.steps, job)[1] is not None
    return plan_cache(
        rows=job.data.rows,
        raw_row_bytes=job.data.cost(job.columns).chunk_row_bytes,
        row_bytes=row_bytes,
        kind="text" if texts else ("sparse" if sparse else "dense"),
        epochs=job.options.epochs,
        free_bytes=job.free_disk_bytes(),
        wanted=job.options.cache,
    )


def _batch_rows(job: Job) -> int | None:
    """Return the rows of a batch: asked for, the estimator's own, or as many as are not much."""
    if job.model is None:
        return None
    own = job.options.batch_size or own_batch_size(job.model, len(job.data.features))
    if own:
        return own
    row_bytes, work_bytes = output_bytes(job.steps, job)
    row_bytes = max(row_bytes, work_bytes / 2, job.data.cost(job.columns).chunk_row_bytes)
    return min(_BATCH_ROWS, max(1024, int(_BATCH_BYTES / max(1.0, row_bytes))))


_NO_MEMORY = MemoryPlan(0, 0, 0, 0, 0, 0, ())


def _pass(data: Dataset, name: str, why: str, names: Sequence[str], *, roles: bool = True) -> Pass:
    cost = data.cost(names, roles)
    stored = tuple(data.stored_columns(names, roles))
    return Pass(name, why, stored, data.rows, int(cost.chunk_row_bytes * data.rows))
