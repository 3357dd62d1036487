"""The classes of a target, numbered as they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.errors import CellError, DataError

__all__ = ["ClassCodes", "target_column"]

_MOST_CLASSES = 100_000


def target_column(y: Any) -> pa.Array:
    """Return a target as an Arrow array, nothing in it missing.

    Raises
    ------
    CellError
        If a value is missing, or types are mixed.
    """
    try:
        column = pa.array(np.asarray(y), from_pandas=True)
    except pa.ArrowException as error:
        raise CellError(
            None, "target", f"values of more than one type ({error}); compute one with derive="
        ) from error
    if column.null_count:
        at = int(np.asarray(column.is_null()).argmax())
        raise CellError(at, "target", "is missing; leave such rows out with drop_missing")
    return column


class ClassCodes:
    """Numbers the distinct values of a target in order of appearance.

    Examples
    --------
    >>> codes = ClassCodes()
    >>> codes.encode(np.array(["b", "a", "b"]))
    array([0, 1, 0])
    >>> codes.classes()
    array(['a', 'b'], dtype='<U1')
    >>> codes.order()
    array([1, 0])
    """

    def __init__(self) -> None:
        self._position: dict[Any, int] = {}
        self._dtype: np.dtype[Any] | None = None

    def __len__(self) -> int:
        return len(self._position)

    def encode(self, y: Any) -> NDArray[np.int64]:
        """Return the number of each row's class, and take in those that are new."""
        y = np.asarray(y)
        if y.ndim != 1:
            raise DataError(f"the target has shape {y.shape}; one value a row is needed")
        self._note(y.dtype)
        encoded = target_column(y).dictionary_encode()
        numbers = self._number(encoded.dictionary.to_pylist())
        return np.asarray(numbers[np.asarray(encoded.indices)])

    def merge(self, other: ClassCodes) -> NDArray[np.int64]:
        """Take in another's classes; return by which number here each of them goes."""
        if other._dtype is not None:
            self._note(other._dtype)
        return self._number(list(other._position))

    def _note(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype if self._dtype is None else np.result_type(self._dtype, dtype)

    def _number(self, values: list[Any]) -> NDArray[np.int64]:
        position = self._position
        # -0.0 and 0.0 are equal, and so are one class.
        found = [position.setdefault(value, len(position)) for value in values]
        if len(position) > _MOST_CLASSES:
            raise DataError(
                f"the target has more than {_MOST_CLASSES:,} distinct values; it does not look "
                "like a class"
            )
        return np.array(found, dtype=np.int64)

    def values(self) -> NDArray[Any]:
        """Return the classes in order of appearance, of the target's own type."""
        return np.array(list(self._position), dtype=self._dtype)

    def classes(self) -> NDArray[Any]:
        """Return the classes sorted, as `numpy.unique` would."""
        return np.asarray(self.values()[self.order()])

    def order(self) -> NDArray[np.int64]:
        """Return the numbers of the sorted classes."""
        return np.argsort(self.values(), kind="stable")
