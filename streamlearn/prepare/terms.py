"""Text vectorizers over Arrow's buffers: words to columns, pairs of document and column to CSR."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.base import Kernel, Rows
from streamlearn.prepare.murmur import murmur3_32
from streamlearn.prepare.term_table import TermTable
from streamlearn.prepare.text import TextKernel
from streamlearn.prepare.tokens import Tokenizer, Tokens, find_tokenizer, string_column

__all__ = ["compile_texts", "count_pairs"]

Part = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]
"""Columns and values of documents, one after the other, and how many each document has."""


def compile_texts(estimator: Any) -> Kernel:
    """Return the kernel of a fitted CountVectorizer, TfidfVectorizer or HashingVectorizer."""
    tokenizer = find_tokenizer(estimator)
    if tokenizer is None:
        return TextKernel(estimator)
    if hasattr(estimator, "n_features"):
        exact = np.dtype(estimator.dtype) in (np.float64, np.float32)
        usual = exact and 0 < estimator.n_features < 2**31
        return HashedTermsKernel(estimator, tokenizer) if usual else TextKernel(estimator)
    try:
        return CountedTermsKernel(estimator, tokenizer)
    except (AttributeError, TypeError, ValueError):
        # No vocabulary yet, or one with terms that are no texts.
        return TextKernel(estimator)


class _TermsKernel(TextKernel):
    """Documents as a column of texts; anything else is left to the vectorizer.

    Parameters
    ----------
    estimator : fitted vectorizer
    tokenizer : Tokenizer
        Takes documents apart as the vectorizer does.
    """

    def __init__(self, estimator: Any, tokenizer: Tokenizer) -> None:
        super().__init__(estimator)
        self._tokenizer = tokenizer

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        documents = string_column(X)
        if documents is None:
            return super().apply(X, rows)
        try:
            parts = [self._count(tokens) for tokens in self._tokenizer.pieces(documents)]
        except (pa.ArrowException, ValueError):
            # The vectorizer's own way knows which document it is.
            return super().apply(X, rows)
        return self._finished(self._stack(parts))

    def _stack(self, parts: list[Part]) -> Any:
        from scipy import sparse

        columns, values, lengths = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        if indptr[-1] < 2**31:
            indptr = indptr.astype(np.int32)
        found = values.astype(self._estimator.dtype)
        if self._estimator.binary:
            found.fill(1)
        shape = (len(lengths), self.width)
        matrix = sparse.csr_matrix((found, columns, indptr), shape=shape)
        matrix.has_canonical_format = True
        return matrix

    def _count(self, tokens: Tokens) -> Part:
        """Return the counts of a piece."""
        raise NotImplementedError

    def _finished(self, X: Any) -> Any:
        """Do what the vectorizer does with the counts."""
        raise NotImplementedError


class HashedTermsKernel(_TermsKernel):
    """A HashingVectorizer: words are hashed all at once."""

    def _count(self, tokens: Tokens) -> Part:
        width = int(self._estimator.n_features)
        hashes = murmur3_32(tokens.words)
        # The least number has no absolute value in 32 bits with a sign; without, it is right.
        sizes = np.abs(hashes).view(np.uint32)
        columns = sizes - sizes // np.uint32(width) * np.uint32(width)
        negative = hashes < 0 if self._estimator.alternate_sign else None
        return count_pairs(tokens, columns.astype(np.int64), width, negative)

    def _finished(self, X: Any) -> Any:
        from sklearn.preprocessing import normalize

        norm = self._estimator.norm
        return X if norm is None else normalize(X, norm=norm, copy=False)


class CountedTermsKernel(_TermsKernel):
    """A CountVectorizer or TfidfVectorizer: each distinct word of a piece is looked up once.

    Raises
    ------
    AttributeError, TypeError, ValueError
        If there is no vocabulary, or a term is no text.
    """

    def __init__(self, estimator: Any, tokenizer: Tokenizer) -> None:
        super().__init__(estimator, tokenizer)
        self._table = TermTable(estimator.vocabulary_)

    def _count(self, tokens: Tokens) -> Part:
        encoded = tokens.words.dictionary_encode()
        columns = self._table.find(encoded.dictionary)[encoded.indices.to_numpy()]
        return count_pairs(tokens, columns, len(self._estimator.vocabulary_))

    def _finished(self, X: Any) -> Any:
        weights = getattr(self._estimator, "_tfidf", None)
        return X if weights is None else weights.transform(X, copy=False)


def count_pairs(
    tokens: Tokens,
    columns: NDArray[np.int64],
    width: int,
    negative: NDArray[np.bool_] | None = None,
) -> Part:
    """Count how often each column occurs in each document.

    Parameters
    ----------
    tokens : Tokens
    columns : array of int, shape (words,)
        Column of each word, negative where it has none.
    width : int
        Columns in all.
    negative : array of bool, shape (words,), optional
        Words that count less than nothing.
    """
    documents = tokens.documents()
    known = columns >= 0
    if not known.all():
        documents, columns = documents[known], columns[known]
    keys = documents * width + columns
    if negative is not None:
        keys = keys * 2 + negative
    keys.sort()
    pairs = keys if negative is None else keys >> 1
    first = np.flatnonzero(np.diff(pairs, prepend=-1))
    counts = np.diff(first, append=len(pairs))
    if negative is not None and len(first):
        counts -= 2 * np.add.reduceat(keys & 1, first)
    pairs = pairs[first]
    documents = pairs // width
    columns = pairs - documents * width
    lengths: NDArray[np.int64] = np.bincount(documents, minlength=len(tokens))
    return columns.astype(np.int32), counts, lengths
