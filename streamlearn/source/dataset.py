"""A source with roles: which column is the target, which are features, what is computed."""

from __future__ import annotations

import copy
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import DataError, SchemaError, UsageError
from streamlearn.source.assembly import Assembler, LeftOut
from streamlearn.source.base import Fragment, ReaderCost, Rejected, Source, locate
from streamlearn.source.computed.derive import Expressions, make_expressions
from streamlearn.source.computed.sieve import Sieve
from streamlearn.source.quarantine import Quarantine

__all__ = ["Dataset"]


class Dataset:
    """Rows to learn from: a source, the roles of its columns, computed columns and a condition.

    Made by `scan`; nothing is read until it is fitted or evaluated.
    """

    def __init__(
        self,
        source: Source,
        *,
        target: str | None = None,
        features: Sequence[str] | None = None,
        weight: str | None = None,
        derive: Mapping[str, pc.Expression] | Sequence[str] | str | None = None,
        where: pc.Expression | str | None = None,
        drop_missing: bool = False,
    ) -> None:
        self.source = source
        self.drop_missing = drop_missing
        self.quarantine: Quarantine | None = None
        self.expressions: Expressions | None = make_expressions(source.schema, derive, where)
        self.target = target
        self.weight = weight
        self.where = where
        self.derive = derive
        derived = list(self.expressions.derived) if self.expressions else []
        replaced = {field.name for field in derived}
        kept = [field for field in source.schema if field.name not in replaced]
        self.schema = Schema((*kept, *derived), source.schema.named)
        for role, name in (("target", target), ("weight", weight)):
            if name is not None and name not in self.schema:
                raise SchemaError(
                    f"the {role} {name!r} is not a column; "
                    f"the columns are: {', '.join(self.schema.names)}"
                )
        if weight is not None and not self.schema[weight].is_number:
            raise SchemaError(
                f"the weight {weight!r} is {self.schema[weight].type}; a weight is a number"
            )
        self.features = self._features(features)
        self.computed = frozenset(replaced)
        """Names of computed columns."""
        self._sieve = Sieve(source, self.schema, self.expressions)

    def _features(self, features: Sequence[str] | None) -> Schema:
        if not self.source.schema.named:
            return self.schema if features is None else self._positions(features)
        if features is not None:
            if isinstance(features, str):
                raise UsageError(f"features= takes a list of names, not the text {features!r}")
            unknown = next((name for name in features if name not in self.schema), None)
            told = [note for note in self.source.notes([]) if repr(unknown) in note]
            if told:
                raise SchemaError(f"there is no column {unknown!r}: {told[0]}")
            if len(set(features)) != len(features):
                raise UsageError(f"features= names a column more than once: {', '.join(features)}")
            for role, name in (("target", self.target), ("weight", self.weight)):
                if name in features:
                    raise UsageError(f"{name!r} is the {role}; it cannot be a feature as well")
            return self.schema.select(list(features))
        left_out = {self.target, self.weight}
        # pandas writes its index as a column of this name; it is a row number, not a feature.
        names = [
            name
            for name in self.schema.names
            if name not in left_out and not name.startswith("__index_level_")
        ]
        return self.schema.select(names)

    def _positions(self, features: Sequence[Any]) -> Schema:
        """Take columns of a matrix by their positions."""
        names = [str(position) for position in features]
        width = len(self.schema)
        wrong = [name for name in names if name not in self.schema]
        if wrong or len(set(names)) < len(names):
            raise SchemaError(
                f"features= takes positions from 0 to {width - 1} of a matrix, each once, not "
                f"{', '.join(wrong or names)}"
            )
        return Schema(self.schema.select(names).fields, named=False)

    @property
    def picks(self) -> NDArray[np.intp] | None:
        """Of a matrix, where its features stand in what is read; None where they are all of it."""
        if self.source.schema.named or self.features.names == self.schema.names:
            return None
        stored = {name: at for at, name in enumerate(self.stored_columns(self.features.names))}
        return np.array([stored[name] for name in self.features.names], np.intp)

    @property
    def fragments(self) -> Sequence[Fragment]:
        """Parts that can be read on their own, in order."""
        return self.source.fragments

    @cached_property
    def rows(self) -> int:
        """Rows stored, before any filter."""
        return sum(fragment.rows for fragment in self.fragments)

    @cached_property
    def longest_rows(self) -> int:
        """Rows of the longest fragment."""
        return max((fragment.rows for fragment in self.fragments), default=0)

    @property
    def is_sparse(self) -> bool:
        """Whether rows come as a CSR matrix."""
        return hasattr(self.source, "stored_values")

    @property
    def has_target(self) -> bool:
        """Whether there is something to predict."""
        return self.target_field is not None

    @property
    def has_weight(self) -> bool:
        """Whether rows carry weights."""
        return self.weight is not None or getattr(self.source, "has_weight", False)

    @property
    def target_field(self) -> Field | None:
        """Name and type of the target."""
        if self.target is not None:
            return self.schema[self.target]
        own = getattr(self.source, "target_type", None)
        return None if own is None else Field("target", own)

    def stored_columns(self, features: Sequence[str], roles: bool = True) -> list[str]:
        """Return the stored columns to read for these features (and target and weight)."""
        if not self.source.schema.named:
            if not getattr(self.source, "picks_columns", False):
                return self.source.schema.names
            return sorted(self.features.names, key=int)
        names = self.wanted(features, roles)
        if self.expressions is not None and (self.expressions.filters or names & self.computed):
            names |= self.expressions.inputs
        names -= self.computed - (self.expressions.inputs if self.expressions else frozenset())
        return [name for name in self.source.schema.names if name in names]

    def wanted(self, features: Sequence[str], roles: bool) -> set[str]:
        """Return the columns that are needed, stored or computed."""
        names = set(features)
        if roles or self.drop_missing:
            names |= {name for name in (self.target, self.weight) if name is not None}
        if self.drop_missing:
            # Every pass has to leave out the same rows.
            names |= set(self.features.names)
        return names

    def require(
        self, features: Sequence[str], roles: bool = True, *, nested: Collection[str] = ()
    ) -> None:
        """Refuse nested columns, and those whose types disagree between files or that some lack.

        Parameters
        ----------
        features : sequence of str
        roles : bool
            Whether target and weight are looked at too.
        nested : collection of str
            Columns that may be nested: a step takes them as they are.

        Raises
        ------
        SchemaError
            Naming files, column, types, and what settles it.
        """
        for name in features:
            if pa.types.is_nested(self.schema[name].type) and name not in nested:
                raise SchemaError(
                    f"column {name!r} is nested ({self.schema[name].type}), and a feature is one "
                    "value a row: leave it out by naming the columns to learn from with features= "
                    "or --features, or compute a plain column from it with derive="
                )
        reconciled = getattr(self.source, "reconciled", None)
        if reconciled is not None:
            reconciled.require(self.stored_columns(features, roles))

    def refuse_faults(self) -> None:
        """Refuse rows that the source found unusable when it was opened, unless set aside.

        Raises
        ------
        DataError
            Naming the first of them.
        """
        faults = self.faults
        if faults and self.quarantine is None:
            more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
            shown = f"; it reads {faults[0].text!r}" if faults[0].text else ""
            raise DataError(
                f"{faults[0]}{shown}{more}; mend the file, or leave such rows out, counted and "
                "listed, with on_error='quarantine' or --on-error quarantine"
            )

    @property
    def faults(self) -> Sequence[Rejected]:
        """Rows that the source found unusable when it was opened."""
        found: Sequence[Rejected] = getattr(self.source, "faults", ())
        return found

    def quarantined(self, quarantine: Quarantine) -> Dataset:
        """Return the same data without the rows that are set aside, now or later.

        A source that puts small parts together in a fragment gives each one of its own (``fine``),
        so that no more is set aside than has to be.
        """
        found = copy.copy(self)
        found.quarantine = quarantine
        if hasattr(self.source, "fine"):
            found.source = self.source.fine()
            for name in ("rows", "longest_rows"):
                found.__dict__.pop(name, None)
        return found

    def cost(self, features: Sequence[str], roles: bool = True) -> ReaderCost:
        """Bytes one reader holds for these features."""
        cost = self.source.cost(self.stored_columns(features, roles))
        if not self.source.schema.named:
            if self.picks is None:
                return cost
            share = len(self.features) / max(1, len(self.stored_columns(features)))
            picked = share * cost.chunk_row_bytes + 24
            return replace(cost, row_bytes=cost.row_bytes + picked, chunk_row_bytes=picked)
        wanted = self.wanted(features, roles) - self.computed
        kept = [name for name in self.source.schema.names if name in wanted]
        delivered = 8.0 + self.source.cost(kept).chunk_row_bytes
        if self.expressions is None:
            return replace(cost, row_bytes=cost.row_bytes + 8, chunk_row_bytes=delivered)
        computed = 16.0 * len(self.expressions.derived) + 2
        return replace(
            cost,
            fixed_bytes=cost.fixed_bytes + (8 << 20),
            row_bytes=cost.row_bytes + 8 + cost.chunk_row_bytes + 2 * computed,
            chunk_row_bytes=delivered + computed,
        )

    def notes(self, features: Sequence[str], roles: bool = True) -> tuple[str, ...]:
        """Say what is worth telling of these columns, and what need not be read."""
        return (*self.source.notes(self.stored_columns(features, roles)), *self._sieve.notes())

    def lean(self, scratch_dir: str | None) -> Dataset:
        """Return the same data, read with as little memory as can be, by way of the disk."""
        found = copy.copy(self)
        found.source = self.source.lean(scratch_dir)
        return found

    def read(
        self,
        fragment: Fragment,
        features: Sequence[str],
        rows: int,
        *,
        roles: bool = True,
        left_out: LeftOut | None = None,
    ) -> Generator[Chunk, None, None]:
        """Yield a fragment's rows that pass the condition; ``rows`` are read at a time.

        Parameters
        ----------
        features : sequence of str
            Columns of ``X``, in this order. May be empty.
        roles : bool
            Whether to read target and weight as well.
        left_out : LeftOut, optional
            Is told how many rows are left out, and why.
        """
        left_out = left_out or LeftOut()
        aside = None
        if self.quarantine is not None:
            if self.quarantine.holds(fragment):
                left_out.rejected = fragment.rows
                return
            aside = self.quarantine.rows_of(fragment)
            left_out.rejected = len(aside)
        rows_of = Assembler(self)
        columns = self.stored_columns(features, roles)
        if not self._sieve.may_pass(self.source, fragment, columns, rows):
            return
        for chunk in self.source.read(fragment, columns, rows):
            if aside is not None and len(aside):
                chunk = chunk.keep(~np.isin(chunk.rows, aside, assume_unique=True))
            kept = rows_of.select(chunk, features, roles, left_out)
            if len(kept[0]):
                yield rows_of.assign(*kept, features, roles)

    def screen(
        self,
        fragment: Fragment,
        features: Sequence[str],
        rows: int,
        *,
        classes: bool = False,
        roles: bool = True,
        carried: Collection[str] = (),
    ) -> Iterator[tuple[int, list[Rejected]]]:
        """Read a fragment for what cannot be used.

        Parameters
        ----------
        classes : bool
            Whether the target is a class, which has no fraction.
        roles : bool
            Whether to look at target and weight as well.
        carried : collection of str
            Features that are read, and may hold any value.

        Yields
        ------
        rows : int
            Rows read so far.
        found : list of Rejected
            Values that a target, a weight or any model cannot take.
        """
        rows_of = Assembler(self)
        judged = [name for name in features if name not in carried]
        stored = self.stored_columns(features, roles)
        if not self._sieve.may_pass(self.source, fragment, stored, rows):
            return
        for chunk in self.source.read(fragment, stored, rows):
            done = int(chunk.rows[-1]) + 1 - fragment.first if len(chunk) else 0
            kept, columns = rows_of.select(chunk, features, roles, LeftOut())
            if not roles:
                kept = Chunk(kept.X, kept.rows)
            yield (
                done,
                [
                    Rejected(
                        fragment.path,
                        fragment.part,
                        int(kept.rows[at]),
                        1,
                        faulty.reason,
                        name,
                        faulty.shown or str(values[at]),
                    )
                    for name, values, faulty in rows_of.faulty(
                        kept, columns, judged, screen=True, classes=classes
                    )
                    for at in np.flatnonzero(faulty.mask).tolist()
                ],
            )

    def to_dask(self) -> Any:
        """Return the same rows as a `dask.dataframe.DataFrame`, a fragment a partition.

        Features, then target and weight, with computed columns and without the rows that the
        condition filters; the index is the number of the row in the source. A matrix has the
        columns ``"0"``, ``"1"``, ... and ``"target"`` and ``"weight"``. Integers and booleans
        with gaps become what pandas makes of them, partition by partition.

        Raises
        ------
        UsageError
            If the data is a sparse matrix.
        """
        from streamlearn.source.library.dask import to_dask

        return to_dask(self)

    def locate(self, row: int) -> str:
        """Say where a row is stored."""
        return locate(self.fragments, row)

    def __repr__(self) -> str:
        kind = type(self.source).__name__.removesuffix("Source").lower()
        target = self.target_field
        return (
            f"Dataset({kind}, {self.rows:,} rows, {len(self.features)} features, "
            f"{len(self.fragments)} fragments, target={target.name if target else None!r})"
        )

    def _repr_html_(self) -> str:
        from streamlearn.report.dataset import dataset_fragment

        return dataset_fragment(self)
