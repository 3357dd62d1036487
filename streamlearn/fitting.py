"""One fit, from the plan to the result: statistics, then the model, then the estimator whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from streamlearn.errors import DataError, MemoryBudgetError
from streamlearn.learn.base import Growth
from streamlearn.learn.graph import Leaf, Node, PassState
from streamlearn.learn.peel import on_its_own
from streamlearn.learn.profile import Profile
from streamlearn.learn.profiler import Profiler, profilers
from streamlearn.learn.schedule import columns_for, schedule
from streamlearn.learn.sequential import SequentialLearner, is_classifier
from streamlearn.learn.target import TargetProfile
from streamlearn.manifest import manifest_of
from streamlearn.plan.demands import (
    finish_demand,
    learn_demand,
    output_bytes,
    save_demand,
    statistics_demand,
    statistics_rows,
)
from streamlearn.plan.job import Job
from streamlearn.plan.memory import SLACK, Demand, MemoryPlan, Term
from streamlearn.plan.order import plan_shuffle
from streamlearn.plan.plan import Plan
from streamlearn.plan.projection import fit_into, rows_kept
from streamlearn.prepare.frame import blank_frame, to_frame
from streamlearn.result import Result
from streamlearn.score.base import Score
from streamlearn.score.choose import held_out_scores
from streamlearn.sizes import format_bytes, option_bytes
from streamlearn.stream.epochs import Epochs, Stopping
from streamlearn.stream.events import PassEnded, PassStarted, Warned
from streamlearn.stream.governor import Governor
from streamlearn.stream.reader import Reader, RowCount
from streamlearn.stream.scratch import check_free_disk
from streamlearn.stream.screen import screen_pass
from streamlearn.stream.statistics import Watch, statistics_pass
from streamlearn.stream.timeline import Recorder

__all__ = ["Fitting", "empty_scores"]

log = logging.getLogger("streamlearn")
_STATE_SHARE = 0.95
"""Share of the budget that a pass of statistics may fill with what it counts."""


class Fitting:
    """One call of `streamlearn.fit`, once everything is checked and planned."""

    def __init__(self, job: Job, plan: Plan, governor: Governor, recorder: Recorder) -> None:
        self.job = job
        self.plan = plan
        self.governor = governor
        self.recorder = recorder
        self.rows = RowCount()
        self.profile: TargetProfile | None = None
        self.columns: Profile | None = None
        self.warnings: list[str] = []
        self.number = 0
        self.ahead = 0
        """Passes before the first of statistics."""
        self.name = ""

    def run(self) -> Result:
        """Learn the statistics, then the model, and put the estimator together."""
        job = self.job
        if job.data.quarantine is not None:
            self._screen()
        if job.root is not None:
            self._statistics(job.root)
        elif job.wants_profile:
            self._one_pass([], None)
        self._note_steps()
        self._check_target()
        history: tuple[Any, ...] = ()
        if job.model is not None:
            self._replan()
            history = self._model()
        self.governor.reclaim()
        memory = self.governor.used(self.plan.memory)
        return Result(
            estimator=self._assemble(),
            plan=self.plan,
            history=history,
            memory=self.recorder.memory(memory),
            rows=self.rows,
            seconds=self.governor.seconds,
            timings=self.recorder.timings,
            stages=self.governor.stages.times(),
            manifest=manifest_of(job, self.profile, self.columns),
            quarantine=job.data.quarantine,
            warnings=tuple(self.warnings),
        )

    def _screen(self) -> None:
        """Find what cannot be used, so that every pass leaves out the same rows."""
        quarantine = self.job.data.quarantine
        assert quarantine is not None
        begin = self.governor.seconds
        self.ahead = 1
        total = len(self.plan.passes)
        self.governor.tell(PassStarted(begin, "screen", 1, total, self.job.data.rows))
        threads = self.plan.memory.readers if self.job.threads > 1 else 0
        screen_pass(
            self.job.data,
            self.job.columns,
            self.governor,
            threads,
            classes=self.job.model is not None and is_classifier(self.job.model),
        )
        self.governor.tell(
            PassEnded(self.governor.seconds, "screen", self.governor.seconds - begin)
        )
        if quarantine.count:
            self._warn(quarantine.told())

    def _statistics(self, steps: Node) -> None:
        sample: Any = blank_frame(self.job.data.features, 8)
        steps.settle(sample, None)
        first = True
        while not steps.fitted or (first and self.job.wants_profile):
            learning = schedule(steps, classes_known=self.profile is not None)
            found = self._one_pass(learning[0] if learning else [], steps)
            sample = _with_columns(sample, found.sample)
            self._foresee(self.name, learning[0] if learning else [], found.state)
            steps.settle(sample, found.state)
            if any(leaf.growth for leaf in (learning[0] if learning else [])):
                self._check_later_passes(steps)
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
        classes, total = job.learns_classes, job.data.rows
        if self.profile is None and job.data.has_target and (classes or job.model is not None):

            def new_profile() -> TargetProfile:
                return TargetProfile(classes=classes, rows=total)

        begin = self.governor.seconds
        self.name = name = "statistics" if self.number == 1 else f"statistics, pass {self.number}"
        self.governor.tell(
            PassStarted(begin, name, self.ahead + self.number, len(self.plan.passes), job.data.rows)
        )
        roles = job.reads_roles(self.number, learning)
        reader = self._reader(names, further=int(self.plan.memory.further), roles=roles)
        found = statistics_pass(
            reader,
            steps,
            new_profile,
            self._watch(name, learning),
            rows=statistics_rows(job, names, learning),
            new_columns=self._profilers(names),
            in_order=any(leaf.in_order for leaf in learning),
        )
        self.governor.tell(PassEnded(self.governor.seconds, name, self.governor.seconds - begin))
        if not found.rows.learned:
            raise _no_rows(found.rows)
        self.rows = found.rows
        if self.profile is None and found.profile is not None:
            self._note_target(found.profile)
        self._note_columns(found.columns)
        self.governor.reclaim()
        return found

    def _note_steps(self) -> None:
        """Say which steps are not what all rows, exactly, would have made them."""
        for leaf in self.job.leaves():
            name = f"step {leaf.path!r} ({type(leaf.estimator).__name__})"
            for text in leaf.told:
                self._warn(f"{name}: {text}")
            if leaf.sampled is not None:
                rows, seen = leaf.sampled
                self._warn(f"{name} was fitted on a random sample of {rows:,} of {seen:,} rows")
            if leaf.rank_error:
                self._warn(
                    f"the quantiles of {name} are those of a sketch: at most "
                    f"{100 * leaf.rank_error:.2g} % of the rows off their rank"
                )

    def _note_target(self, profile: TargetProfile) -> None:
        self.profile = profile
        self.job.classes = self._classes()
        for leaf in self.job.leaves():
            leaf.target = profile

    def _profilers(self, names: Sequence[str]) -> Callable[[], Profiler] | None:
        """Profile the columns that the first pass reads; no row is read for it."""
        if self.number > 1 or self.job.data.is_sparse:
            return None
        features = self.job.data.features
        read = features.select(names) if features.named else features
        target = self.job.data.target_field
        fields = [*read, *([target] if target is not None else [])]
        if any(pa.types.is_nested(field.type) for field in fields):
            return None
        return profilers(read, target, full=False)

    def _note_columns(self, columns: Profiler | None) -> None:
        if columns is None:
            return
        classes = None
        if self.profile is not None and is_classifier(self.job.model):
            values, counts = self.profile.classes()
            classes = (values.tolist(), counts.tolist())
        self.columns = columns.value(classes=classes)
        told = ["leakage", "beyond double"]
        if hasattr(self.job.data.source, "form"):
            # Of a CSV the type was inferred; elsewhere somebody chose it.
            told.append("numbers as text")
        for finding in self.columns.findings:
            # What else is found is in the report: not all of it concerns this model.
            if finding.kind == "beyond double" and self._only_encoded(finding.column):
                continue
            if finding.kind in told:
                self._warn(finding.text)

    def _only_encoded(self, column: str) -> bool:
        """Whether only encoders use a column, which take values as they are."""
        users = {
            type(leaf.estimator).__name__
            for leaf in self.job.leaves()
            if leaf.schema is not None and column in leaf.schema.names
        }
        return bool(users) and users <= {"OneHotEncoder", "OrdinalEncoder", "TargetEncoder"}

    def _watch(self, name: str, learning: Sequence[Leaf]) -> Watch:
        """Return what refuses to go on once the statistics outgrow the budget."""
        memory = self.plan.memory
        terms = next((terms for item, terms in memory.passes if item == name), ())
        room = int(_STATE_SHARE * memory.limit_bytes) - sum(
            # The margin here is the share that is left; what counting holds is no guess.
            term.size_bytes
            for term in terms
            if term.what != SLACK
        )
        # What was planned for those that grow is theirs already.
        own = [f"statistics of {leaf.path!r} " for leaf in learning if leaf.grows]
        room += sum(term.size_bytes for term in terms if term.what.startswith(tuple(own)))

        def watch(states: Sequence[PassState], rows_read: int) -> None:
            grown = [
                item for state in states for found in state.growth().values() for item in found
            ]
            held = sum(item.state_bytes for item in grown)
            if not held or held <= room:
                return
            most = _largest(grown)
            enough = option_bytes((held - room + memory.limit_bytes) * 1.25)
            raise MemoryBudgetError(
                f"column {most.column!r} has at least {most.count:,} {most.unit} after "
                f"{rows_read:,} of {self.job.data.rows:,} rows, and what was counted so far "
                f"holds {format_bytes(held)} where the budget of "
                f"{format_bytes(memory.limit_bytes)} leaves {format_bytes(max(0, room))} for it; "
                f"use more than memory_budget='{enough}' or --memory-budget {enough}, leave "
                f"the column out, or {most.instead}"
            )

        return watch

    def _foresee(self, name: str, learned: Sequence[Leaf], state: PassState) -> None:
        """Check the budget before steps that have grown with the data are fitted."""
        grown = state.growth(exact=True)
        for leaf in learned:
            leaf.growth = grown.get(leaf.path, [])
        if not any(leaf.growth for leaf in learned):
            return
        classes = self._classes()

        def demands() -> list[Demand]:
            found = [finish_demand(learned)]
            if self.job.model is not None:
                found.append(learn_demand(self.job, self.plan.batch_rows or 1, classes, known=True))
            return found

        counted = sum(item.state_bytes for leaf in learned for item in leaf.growth)
        self._count_in(name, Term("distinct values counted", counted))
        memory = self.plan.memory
        self._revise(
            fit_into(self.job, demands, memory.limit_bytes, memory.reserved_bytes, memory.readers)
        )

    def _check_later_passes(self, steps: Node) -> None:
        """Check the budget for the passes of statistics to come, now that widths are known."""
        job, memory = self.job, self.plan.memory
        names = job.data.features.names
        later = schedule(steps, classes_known=True)

        def demands() -> list[Demand]:
            found = []
            for ahead, learning in enumerate(later, 1):
                paths = {leaf.path for leaf in learning}
                read = columns_for(steps, names, paths, False)
                name = f"statistics, pass {self.number + ahead}"
                found.append(statistics_demand(job, name, read, learning))
            return found

        if later:
            self._revise(
                fit_into(job, demands, memory.limit_bytes, memory.reserved_bytes, memory.readers)
            )

    def _count_in(self, name: str, term: Term) -> None:
        """Add to the plan what a pass turned out to hold."""
        memory = self.plan.memory
        passes = tuple(
            (item, (*terms, term) if item == name else terms) for item, terms in memory.passes
        )
        held = max(sum(part.size_bytes for part in terms) for _, terms in passes)
        self.plan = replace(
            self.plan,
            memory=replace(
                memory, passes=passes, projected_bytes=max(memory.projected_bytes, held)
            ),
        )

    def _classes(self) -> int:
        if self.profile is None or not self.job.learns_classes:
            return 0
        return len(self.profile.classes()[0])

    def _reader(self, names: Sequence[str], further: int = 0, *, roles: bool = True) -> Reader:
        options = self.job.options
        threads = self.plan.memory.readers + further if self.job.threads > 1 else 0
        return Reader(
            self.job.data,
            names,
            self.governor,
            threads,
            options.validation,
            int(options.random_state),
            roles=roles,
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
        classes = self._classes()

        def demands() -> list[Demand]:
            found = [learn_demand(self.job, self.plan.batch_rows or 1, classes, known=True)]
            if self.job.options.run is not None:
                found.append(save_demand(self.job))
            return found

        planned = fit_into(
            self.job, demands, memory.limit_bytes, memory.reserved_bytes, memory.readers
        )
        self._revise(planned)

    def _revise(self, planned: MemoryPlan) -> None:
        """Put what is known better now into the plan."""
        memory = self.plan.memory
        known = {name for name, _ in planned.passes}
        merged = replace(
            planned,
            projected_bytes=max(memory.projected_bytes, planned.projected_bytes),
            floor_bytes=max(memory.floor_bytes, planned.floor_bytes),
            further=memory.further,
            passes=(*(item for item in memory.passes if item[0] not in known), *planned.passes),
        )
        self.plan = replace(self.plan, memory=merged)
        self.governor.chunk_rows = min(self.governor.chunk_rows, merged.chunk_rows)

    def _model(self) -> tuple[Any, ...]:
        job, options = self.job, self.job.options
        learner = SequentialLearner(job.model, self.profile, int(options.random_state))
        target = job.target.estimator if job.target is not None else None
        classifier = is_classifier(job.model)
        shuffle = None
        if options.shuffle:
            row_bytes = output_bytes(job.steps, job)[0]
            shuffle = plan_shuffle(row_bytes, int(options.random_state))
            check_free_disk(job.scratch_dir, int(job.data.rows * (row_bytes + 16)))
        cache = rows_kept(job)
        epochs = Epochs(
            reader=self._reader(job.columns),
            kernel=getattr(job.steps, "kernel", None) if job.steps is not None else None,
            learner=learner,
            predictor=on_its_own(job.peeled, target),
            target=target,
            batch_rows=self.plan.batch_rows or 1,
            epochs=options.epochs,
            shuffle=shuffle,
            new_score=lambda: empty_scores(learner.classes),
            stopping=Stopping(
                options.tol, options.n_iter_no_change, "accuracy" if classifier else "r2"
            )
            if options.early_stopping
            else None,
            scratch_dir=job.scratch_dir,
            first_pass=self.ahead + self.number + 1,
            cache=cache is not None,
            warn=self._warn,
        )
        epochs.run()
        self.rows = epochs.rows
        named = job.steps is None and job.data.features.named
        learner.finish(job.columns if named else epochs.names)
        return tuple(epochs.records)

    def _assemble(self) -> Any:
        job = self.job
        target = job.target.estimator if job.target is not None else None
        if job.model is None:
            return job.steps.estimator if job.steps is not None else target
        fitted = []
        if job.steps is not None:
            fitted = [step for _, step in job.steps.estimator.steps]
        return job.peeled.assemble(fitted, target)


def _with_columns(sample: Any, read: Any) -> Any:
    """Put the columns that were read into the sample of all features."""
    if read is None or not hasattr(sample, "iloc"):
        return read if read is not None else sample
    frame = to_frame(read)
    if not len(frame.columns):
        return sample
    out = sample.iloc[: len(frame)].reset_index(drop=True).copy()
    for name in frame.columns:
        out[name] = frame[name]
    return out[list(sample.columns)]


def _largest(grown: Sequence[Growth]) -> Growth:
    """Return the column that holds most, its parts taken together."""
    by_column: dict[str, Growth] = {}
    for item in grown:
        known = by_column.get(item.column)
        if known is not None:
            held = known.state_bytes + item.state_bytes
            item = replace(item, count=max(known.count, item.count), state_bytes=held)
        by_column[item.column] = item
    # What waits to be counted says nothing yet of how many there are.
    counted = [item for item in by_column.values() if item.count] or list(by_column.values())
    return max(counted, key=lambda item: item.state_bytes)


def _no_rows(rows: RowCount) -> DataError:
    return DataError(f"there is no row to learn from: {rows.shown()}")


def empty_scores(classes: Any) -> Score:
    """Return scores for a classifier of these classes, or for a regressor (None)."""
    return held_out_scores(classes)
