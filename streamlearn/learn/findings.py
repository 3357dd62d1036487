"""What a profile gives cause to think: columns that teach nothing, or too much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamlearn.learn.distinct import plain_values
from streamlearn.learn.leakage import leaks, target_drift
from streamlearn.learn.profile import ColumnProfile, Finding, Profile

__all__ = ["KINDS", "find"]

KINDS = (
    "leakage",
    "constant target",
    "missing target",
    "drift",
    "infinite",
    "beyond double",
    "all null",
    "mostly null",
    "constant",
    "id",
    "numbers as text",
    "dates as text",
    "many categories",
    "rare class",
)
"""What is looked for."""

_MOSTLY = 0.5
_NEARLY_ALL = 0.98
_ID_SHARE = 0.9
_ID_NAMES = ("id", "uuid", "guid", "rowid", "index", "key", "nr", "no", "number")
_LEAST_ROWS = 50
"""Fewer rows say little: in three rows every value is different."""
_MANY_CATEGORIES = 1_000
_RARE_SHARE = 0.01
_MOST_CLASSES = 20
"""Whole numbers with as many values may be classes, where nobody says."""
_NUMBER = r"^\s*[+-]?(\d+([.,]\d+)?|[.,]\d+)([eE][+-]?\d+)?\s*$"
_LEADING_ZERO = r"^\s*0\d"
_DATE = r"^\s*\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?"


def find(
    profile: Profile,
    sample: Sequence[pa.Array],
    classes: tuple[list[Any], list[int]] | None = None,
) -> Profile:
    """Return the profile with its findings: warnings first, then in the order of the columns.

    Parameters
    ----------
    sample : sequence of arrays
        The sampled rows, column by column, in the order of the source.
    classes : (values, rows of each), optional
        Of the target, where it is known to be a class.
    """
    found: list[Finding] = []
    target = None
    for place, column in enumerate(profile.columns):
        if column.name == profile.target:
            target = place
            found += _of_target(profile, column, sample[place], classes)
        else:
            found += _of_column(profile, column, sample[place])
    if target is not None and profile.columns[target].distinct != 1:
        known = {
            finding.column
            for finding in found
            if finding.kind in ("constant", "all null", "constant target")
        }
        for place, column in enumerate(profile.columns):
            if place != target and column.name not in known:
                found += leaks(column.name, sample[place], str(profile.target), sample[target])
    found.sort(key=lambda finding: finding.severity != "warning")
    return replace(profile, findings=tuple(found))


def _of_column(profile: Profile, column: ColumnProfile, sample: pa.Array) -> Iterator[Finding]:
    rows, name = profile.rows, repr(column.name)
    missing = column.nulls + column.nans
    if not rows:
        return
    if missing == rows:
        text = f"{name} has no value in any row"
        if not profile.extremes_exact:
            text = f"{name} has no value in any of {profile.sampled_rows:,} sampled rows"
        yield Finding("notice", "all null", column.name, text)
        return
    if column.infinite:
        text = f"{name} is infinite in {column.infinite:,} rows; most estimators take no infinity"
        yield Finding("warning", "infinite", column.name, text)
    if missing > _MOSTLY * rows:
        text = f"{name} has no value in {missing:,} rows, {missing / rows:.0%} of all"
        yield Finding("notice", "mostly null", column.name, text)
    if rows > 1 and (constant := _constant(profile, column)):
        yield Finding("notice", "constant", column.name, constant)
        return
    if (beyond := _beyond_double(column)) and profile.extremes_exact:
        yield Finding("warning", "beyond double", column.name, beyond)
    texts = list(_of_text(column, sample))
    numbers = [finding for finding in texts if finding.kind == "numbers as text"]
    if finding := _id(profile, column, sample):
        yield from (finding, *numbers)
    else:
        yield from texts


def _beyond_double(column: ColumnProfile) -> str:
    ends = [end for end in (column.minimum, column.maximum) if isinstance(end, int)]
    largest = max(ends, key=abs, default=0)
    if "int" not in column.type or abs(largest) <= 2**53:
        return ""
    return (
        f"{column.name!r} holds whole numbers beyond 2**53, up to {largest}: what takes them as "
        "numbers rounds them to double; encode them as categories, or leave the column out"
    )


def _constant(profile: Profile, column: ColumnProfile) -> str:
    if column.distinct != 1:
        return ""
    known = column.minimum is not None and column.minimum == column.maximum
    if column.distinct_is == "at least" and column.minimum is not None and not known:
        return ""
    value = column.minimum if known else (column.top[0][0] if column.top else "one value")
    gaps = column.nulls + column.nans
    where = "in all rows" if not gaps else f"wherever it has a value ({gaps:,} rows have none)"
    if not profile.extremes_exact or (column.distinct_is == "at least" and not known):
        where = f"in all {profile.sampled_rows:,} sampled rows"
        where += " that have a value" if gaps else ""
    return f"{column.name!r} is {value!r} {where}: there is nothing to learn from it"


def _id(profile: Profile, column: ColumnProfile, sample: pa.Array) -> Finding | None:
    kind = sample.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
    if not (text or pa.types.is_integer(kind)) or column.distinct is None:
        return None
    sampled = column.distinct_is == "at least"
    of = profile.sampled_rows if sampled else profile.rows
    of -= sample.null_count if sampled else column.nulls
    if of < _LEAST_ROWS:
        return None
    share = column.distinct / of
    named = _named_as_id(column.name)
    likely = share > _ID_SHARE if named else share >= _NEARLY_ALL
    if column.distinct_is == "about" and not named:
        likely = share >= _NEARLY_ALL - column.distinct_error
    if not likely or not (named or _counts_rows(profile, column, sample, text=text)):
        return None
    about = {"exact": "", "about": "about ", "at least": ""}[column.distinct_is]
    rows = f"{of:,} sampled rows" if sampled else f"{of:,} rows"
    return Finding(
        "notice",
        "id",
        column.name,
        f"{column.name!r} is likely an id: {about}{min(column.distinct, of):,} different values in "
        f"{rows}; a model would learn rows by heart",
    )


def _named_as_id(name: str) -> bool:
    words = "".join(c if c.isalnum() else " " for c in name).split()
    last = words[-1] if words else ""
    return last.lower() in _ID_NAMES or (last[-2:] in ("Id", "ID") and len(last) > 2)


def _counts_rows(profile: Profile, column: ColumnProfile, sample: pa.Array, *, text: bool) -> bool:
    """Whether values all different look like keys, and not like measurements or free text."""
    values = plain_values(sample)
    if text:
        lengths = pc.binary_length(values).to_numpy()
        spaces = pc.mean(pc.match_substring(values.cast(pa.large_binary()), b" ")).as_py()
        return bool(lengths.max() <= 64 and spaces < _MOSTLY)
    numbers = values.to_numpy()
    steps = np.diff(numbers.astype(np.float64))
    if len(steps) and ((steps > 0).all() or (steps < 0).all()):
        return True
    span = int(column.maximum) - int(column.minimum) + 1
    return span <= 2 * profile.rows or span > 2**53


def _of_text(column: ColumnProfile, sample: pa.Array) -> Iterator[Finding]:
    if not (pa.types.is_string(sample.type) or pa.types.is_large_string(sample.type)):
        return
    texts = plain_values(sample)
    texts = texts.filter(pc.greater(pc.binary_length(texts), 0))
    if len(texts) >= _LEAST_ROWS:
        for kind, pattern, what in (
            ("numbers as text", _NUMBER, "numbers"),
            ("dates as text", _DATE, "dates"),
        ):
            share = pc.mean(pc.match_substring_regex(texts, pattern)).as_py()
            codes = pc.any(pc.match_substring_regex(texts, _LEADING_ZERO)).as_py()
            if share >= 0.99 and (kind != "numbers as text" or not codes):
                text = (
                    f"{column.name!r} is text, but {'all' if share == 1 else f'{share:.1%}'} of its "
                    f"values in the sample are {what}, such as {texts[0].as_py()!r}: where a value "
                    "among the rest is not, the text of a CSV stays text; --schema "
                    f"{column.name}=double (schema=) names the row that is none, and derive= "
                    "converts what is stored as text"
                )
                yield Finding("notice", kind, column.name, text)
                return
    if column.distinct is not None and column.distinct > _MANY_CATEGORIES:
        lead = {"exact": "", "about": "about ", "at least": "at least "}[column.distinct_is]
        text = (
            f"{column.name!r} has {lead}{column.distinct:,} different texts; one-hot encoded it "
            "would be as many columns: max_categories= on the encoder keeps the frequent ones"
        )
        yield Finding("notice", "many categories", column.name, text)


def _of_target(
    profile: Profile,
    column: ColumnProfile,
    sample: pa.Array,
    classes: tuple[list[Any], list[int]] | None,
) -> Iterator[Finding]:
    if not profile.rows:
        return
    name = repr(column.name)
    missing = column.nulls + column.nans
    if missing:
        text = f"the target {name} has no value in {missing:,} rows; leave them out with where="
        yield Finding("warning", "missing target", column.name, text)
    if column.infinite:
        text = f"the target {name} is infinite in {column.infinite:,} rows; use where="
        yield Finding("warning", "infinite", column.name, text)
    if profile.rows > 1 and (constant := _constant(profile, column)):
        yield Finding("warning", "constant target", column.name, f"the target {constant}")
        return
    drift = target_drift(sample, is_class=_is_class(column, sample, classes))
    if drift is not None:
        text = (
            f"the target {name} changes along the data: {drift:.0%} of its variation lies between "
            "64 stretches of rows; learn with shuffle=True or --shuffle"
        )
        yield Finding("warning", "drift", column.name, text)
    shares = _class_shares(column, sample, classes)
    if len(shares) > 1:
        rarest = min(shares, key=lambda value: (shares[value], str(value)))
        if shares[rarest] < min(_RARE_SHARE, 0.2 / len(shares)):
            text = (
                f"of the target {name} the class {rarest!r} is rare: {shares[rarest]:.2%} of rows; "
                "look at balanced accuracy, or use class_weight='balanced'"
            )
            yield Finding("notice", "rare class", column.name, text)


def _is_class(
    column: ColumnProfile, sample: pa.Array, classes: tuple[list[Any], list[int]] | None
) -> bool:
    if classes is not None or pa.types.is_boolean(sample.type):
        return True
    if pa.types.is_integer(sample.type):
        return column.distinct is not None and column.distinct <= _MOST_CLASSES
    return not (pa.types.is_floating(sample.type) or pa.types.is_decimal(sample.type))


def _class_shares(
    column: ColumnProfile, sample: pa.Array, classes: tuple[list[Any], list[int]] | None
) -> dict[Any, float]:
    if classes is not None:
        total = max(1, sum(classes[1]))
        return {value: rows / total for value, rows in zip(*classes, strict=True)}
    if not _is_class(column, sample, classes) or column.distinct_is != "exact":
        return {}
    counted = plain_values(sample).value_counts()
    total = max(1, len(sample) - sample.null_count)
    shares = {pair["values"]: pair["counts"] / total for pair in counted.to_pylist()}
    return {**shares, **dict(column.top)} if len(shares) <= _MOST_CLASSES else {}
