"""Files in svmlight (libsvm) format, parsed block by block by scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import SourceError, UsageError
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.text.lines import Fault, LineSource
from streamlearn.source.text.records import Positions, Records

__all__ = ["SvmlightSource"]


_MOST_FEATURES = 2_000_000
"""Each is a column with a name: more of them than these are taken for a damaged index."""


class _Lines(Records):
    """Lines, of which those that are comments are no rows."""

    def spans(self, data: bytes) -> tuple[Positions, Positions]:
        """See `Records.spans`."""
        starts, ends = super().spans(data)
        kept = [
            bool(data[start:end].partition(b"#")[0].strip())
            for start, end in zip(starts, ends, strict=True)
        ]
        mask = np.array(kept, dtype=bool)
        return starts[mask], ends[mask]


class SvmlightSource(LineSource):
    """Rows of svmlight files: a label, and the values that are not zero.

    Parameters
    ----------
    files : sequence of path

    Raises
    ------
    SourceError
        If a file cannot be read as text in lines.
    DataError
        If most lines are at fault.

    Notes
    -----
    Chunks hold a scipy CSR matrix of float64 and the labels. Columns count from one if no line
    of any file has a column 0, as scikit-learn's ``zero_based="auto"`` decides.
    """

    errors = (ValueError, OverflowError, IndexError)

    def __init__(self, files: Sequence[str]) -> None:
        self._highest, self._lowest = -1, 1
        self._row_bytes = 0.0
        super().__init__(files, encoding="utf-8", options="")
        self._one_based = self._lowest > 0
        width = self._highest + 1 - self._one_based if self._highest >= 0 else 0
        kind = pa.float64()
        self.schema = Schema(tuple(Field(str(at), kind) for at in range(width)), named=False)
        self.target_type = kind
        """Type of the labels."""

    def _make_records(self) -> Records:
        return _Lines(quote=None)

    def _doubt(self) -> str:
        return "Each line of an svmlight file is a label and pairs: 1 4:0.5 17:2"

    def _load(self, data: bytes, width: int | None = None) -> tuple[Any, Any]:
        from sklearn.datasets import load_svmlight_file

        if not data.strip():
            data = b""
        X, y = load_svmlight_file(BytesIO(data), n_features=width, zero_based=True)
        return X, y

    def _parse(self, data: bytes) -> tuple[int, Any, dict[int, Fault]]:
        if not len(self._records.spans(data)[0]):
            return 0, None, {}
        X, _ = self._load(data)
        lowest = int(X.indices.min()) if X.nnz else None
        return X.shape[0], (X.nnz, lowest, int(X.indices.max()) if X.nnz else -1, X.shape[0]), {}

    def _blame(self, error: Exception) -> Fault:
        return Fault(f"it is no svmlight line: {error}")

    def _learn(self, found: Any, fragment: Fragment, faults: Sequence[int]) -> None:
        del faults
        if found is None:
            return
        stored, lowest, highest, rows = found
        if highest > _MOST_FEATURES:
            raise SourceError(
                f"{fragment.path}: a line among rows {fragment.first} to "
                f"{fragment.first + fragment.rows - 1} has a feature of index {highest:,}, and "
                f"{_MOST_FEATURES:,} are read at most; hash them into fewer"
            )
        if lowest is not None:
            self._lowest = min(self._lowest, lowest)
        self._highest = max(self._highest, highest)
        self._row_bytes = max(self._row_bytes, 12.0 * stored / max(1, rows))

    # Reading.

    def lean(self, scratch_dir: str | None) -> SvmlightSource:
        """See `streamlearn.source.base.Source.lean`: a block is what it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        del columns
        row = 8.0 + 8.0 + 4.0 + self._row_bytes
        most = max((fragment.rows for fragment in self.fragments), default=0)
        # While it is parsed, arrays grow by doubling, and are copied once.
        fixed = (2 << 20) + 3 * self._largest_bytes + int(3 * row * most)
        return ReaderCost(fixed, row, row)

    @property
    def stored_values(self) -> float:
        """Values stored of a row, where they are densest."""
        return self._row_bytes / 12

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        if len(columns) != len(self.schema):
            raise UsageError("a matrix is read with all its columns")
        data, numbers = self._text(fragment)
        if not len(numbers):
            return
        width = len(self.schema)
        X, y = self._load(data, width + self._one_based)
        del data
        if self._one_based:
            from scipy import sparse

            X = sparse.csr_matrix((X.data, X.indices - 1, X.indptr), shape=(len(y), width))
        self._check_rows(fragment, len(y), len(numbers))
        for start in range(0, len(numbers), rows):
            stop = min(start + rows, len(numbers))
            yield Chunk(X[start:stop], numbers[start:stop], y[start:stop])
