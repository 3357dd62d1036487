"""What can go wrong, and with which exit code.

::

    StreamlearnError                      exit 1
    ├── UsageError (ValueError)           exit 2   an argument that cannot be right
    │   └── UnsupportedEstimatorError     exit 2   a step with no way to learn from chunks
    ├── MissingExtraError (ImportError)   exit 2   an optional dependency is not installed
    ├── MemoryBudgetError (MemoryError)   exit 3   it does not fit, or no longer fits
    ├── DataError (ValueError)            exit 4   the data is not what it should be
    │   ├── CellError                     exit 4   a value that a step cannot take
    │   ├── SchemaError                   exit 4   columns or types disagree
    │   └── SourceError                   exit 4   a file cannot be read
    ├── DivergenceError (ArithmeticError) exit 1   the model ran to NaN or infinity
    └── BundleError                       exit 1   a saved run cannot be written or read

Every message says what happened, the value against the limit, where, and what to do.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "CellError",
    "DataError",
    "DivergenceError",
    "MemoryBudgetError",
    "MissingExtraError",
    "SchemaError",
    "SourceError",
    "StreamlearnError",
    "UnsupportedEstimatorError",
    "UsageError",
]


class StreamlearnError(Exception):
    """Root of everything streamlearn raises on purpose."""

    exit_code = 1
    """Exit code of the command line when this error ends it."""


class UsageError(StreamlearnError, ValueError):
    """An argument that cannot be right, whatever the data."""

    exit_code = 2


class UnsupportedEstimatorError(UsageError):
    """A step of the pipeline has no way to be fitted from chunks."""


class MissingExtraError(StreamlearnError, ImportError):
    """A feature needs an optional dependency that is not installed.

    Parameters
    ----------
    feature : str
        What was asked for.
    package : str
        The package that is missing.
    extra : str
        The extra of streamlearn that brings it.
    """

    exit_code = 2

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs {package}, which is not installed; "
            f"install it with: pip install 'streamlearn[{extra}]'"
        )


class MemoryBudgetError(StreamlearnError, MemoryError):
    """What was asked cannot be done inside the memory budget."""

    exit_code = 3


class DataError(StreamlearnError, ValueError):
    """The data is not what it should be; the message names file, place, column and value."""

    exit_code = 4


class CellError(DataError):
    """A value that a step cannot take.

    Parameters
    ----------
    row : int or None
        Row inside the block being worked on, where one can be named; whoever knows where the
        block came from adds the place.
    column : str
    message : str
        What is wrong, and what to do.
    """

    def __init__(self, row: int | None, column: str, message: str) -> None:
        super().__init__(f"column {column!r}: {message}")
        self.row = row
        self.column = column
        self.message = message


class SchemaError(DataError):
    """Columns are missing, or their types disagree between files."""


class SourceError(DataError):
    """A file or store cannot be read."""


class DivergenceError(StreamlearnError, ArithmeticError):
    """The model's coefficients became NaN or infinite."""


class BundleError(StreamlearnError):
    """A saved run cannot be written, or cannot be read back."""
