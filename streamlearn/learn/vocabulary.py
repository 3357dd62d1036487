"""Fits text vectorizers: the terms of all documents, and in how many each occurs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from numbers import Integral
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import UnsupportedEstimatorError, UsageError
from streamlearn.learn.base import Growth
from streamlearn.learn.documents import document_weights
from streamlearn.prepare.terms import count_pairs
from streamlearn.prepare.text import column_name, refused, texts_of
from streamlearn.prepare.tokens import Tokens, find_tokenizer, string_column

__all__ = ["Vocabulary"]

_STATE_BYTES = 90
_TIMES_BYTES = 62
"""Of a term in the tables of counts, beside its text, while one of them grows (measured)."""
_FINISH_BYTES = 160
"""Of a term while it gets its place in alphabetical order (measured)."""
_KEPT_BYTES = 150
_PAGE_BYTES = 8
"""Of a term that is kept, with its place in the kernel's table, and of any, beside its text (measured):
texts that go leave their pages with Python, which gives them to other objects, and seldom back to the
system."""


class Vocabulary:
    """Fits `sklearn.feature_extraction.text.CountVectorizer` and `TfidfVectorizer`.

    Documents are taken apart as the vectorizer's own analyzer would, by whole columns where that is
    possible. Terms keep the order in which they
    occur first, for this is the order of scikit-learn's ``vocabulary_``.

    Parameters
    ----------
    estimator : CountVectorizer or TfidfVectorizer

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> vectorizer = CountVectorizer(min_df=2)
    >>> one, two = Vocabulary(vectorizer), Vocabulary(vectorizer)
    >>> one.update(["the cat sat", "the dog"], None, None)
    >>> two.update(["a cat"], None, None)
    >>> one.merge(two)
    >>> one.finish(vectorizer, None)
    >>> vectorizer.vocabulary_
    {'the': 1, 'cat': 0}
    """

    def __init__(self, estimator: Any) -> None:
        name = type(estimator).__name__
        if estimator.input != "content":
            raise UnsupportedEstimatorError(
                f"{name}(input={estimator.input!r}) reads files of its own, outside the memory "
                "budget; use input='content' and give it the texts themselves, say as a column "
                "of a parquet file"
            )
        try:
            estimator._validate_params()
            estimator._validate_ngram_range()
            estimator._validate_vocabulary()
            self._analyze: Callable[[Any], Iterable[Any]] = estimator.build_analyzer()
            self._tokenizer = find_tokenizer(estimator)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{name}: {error}") from error
        self._estimator = estimator
        self._column = "text"
        self._documents = 0
        self._in: Counter[Any] = Counter()
        """Documents that each term is in; terms in the order in which they came."""
        self._times: Counter[Any] = Counter()
        """How often each term occurs, where that decides which are kept."""
        self._measured = 0
        """Terms whose bytes are counted."""
        self._term_bytes = 0
        self._needs_times = bool(
            estimator.max_features is not None
            and not estimator.binary
            and not estimator.fixed_vocabulary_
        )
        self._needs_terms = bool(
            not estimator.fixed_vocabulary_ or getattr(estimator, "use_idf", False)
        )
        self.counts: list[NDArray[np.int64]] | None = None
        """Documents of each column's term, once finished."""

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        self._column = column_name(X)
        documents = string_column(X) if self._tokenizer is not None else None
        if documents is None or self._tokenizer is None:
            self._update_texts(texts_of(X, self._estimator))
            return
        try:
            for tokens in self._tokenizer.pieces(documents) if self._needs_terms else ():
                self._update_tokens(tokens)
        except (pa.ArrowException, ValueError):
            # Taken apart one by one, it comes out which document it is.
            self._update_texts(texts_of(X, self._estimator))
            raise
        self._documents += len(documents)

    def _update_tokens(self, tokens: Tokens) -> None:
        """Count the terms of some documents, each distinct one once."""
        encoded = tokens.words.dictionary_encode()
        # As they come first in the text, which is the order of a dictionary too.
        terms = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy()
        if self._needs_times:
            times = np.bincount(codes, minlength=len(terms))
            self._times.update(dict(zip(terms, times.tolist(), strict=True)))
        in_documents, _, _ = count_pairs(tokens, codes.astype(np.int64), len(terms))
        documents = np.bincount(in_documents, minlength=len(terms))
        self._count(dict(zip(terms, documents.tolist(), strict=True)))
        self._measure()

    def _update_texts(self, texts: list[Any]) -> None:
        """Count documents that the vectorizer's own analyzer takes apart."""
        self._documents += len(texts)
        if not self._needs_terms:
            return
        fixed = self._estimator.fixed_vocabulary_
        found: Counter[Any] = Counter() if fixed else self._in
        for row, text in enumerate(texts):
            try:
                terms = self._analyze(text)
                if self._needs_times:
                    terms = list(terms)
                    self._times.update(terms)
                # In the order of the text, where a set would have one of its own.
                found.update(iter(dict.fromkeys(terms)))
            except (ValueError, TypeError, AttributeError) as error:
                raise refused(error, text, row, self._column) from error
        if fixed:
            self._count(found)
        self._measure()

    def _count(self, found: Mapping[Any, int]) -> None:
        """Add documents of terms, of a fixed vocabulary's alone if there is one."""
        if self._estimator.fixed_vocabulary_:
            places = self._estimator.vocabulary_
            found = {term: count for term, count in found.items() if term in places}
        self._in.update(found)

    def _measure(self) -> None:
        """Add the bytes of terms that are new, which stand last."""
        new = len(self._in) - self._measured
        self._term_bytes += sum(map(sys.getsizeof, islice(reversed(self._in), new)))
        self._measured += new

    def merge(self, other: Vocabulary) -> None:
        """See `Accumulator.merge`."""
        self._documents += other._documents
        self._column = other._column
        if not self._in:
            self._in, self._times = other._in, other._times
            self._measured, self._term_bytes = other._measured, other._term_bytes
            return
        self._count(other._in)
        self._times.update(other._times)
        self._measure()

    def growth(self, *, exact: bool = False) -> list[Growth]:
        """See `Growing.growth`."""
        terms = len(self._in)
        fixed = self._estimator.fixed_vocabulary_
        kept = len(self._estimator.vocabulary_) if fixed else terms
        if exact and not fixed:
            kept = int(self._kept(self._document_counts()).sum())
        if not fixed and self._estimator.max_features is not None:
            kept = min(kept, self._estimator.max_features)
        table_bytes = _STATE_BYTES + (_TIMES_BYTES if self._needs_times else 0)
        return [
            Growth(
                self._column,
                terms,
                kept,
                self._term_bytes + table_bytes * terms,
                _FINISH_BYTES * terms,
                self._term_bytes + _PAGE_BYTES * terms + _KEPT_BYTES * kept,
                unit="terms",
                instead="use a HashingVectorizer, which keeps no terms",
            )
        ]

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`.

        There is no replay: a stand-in of a few documents would not get by ``min_df``.
        """
        del sample
        estimator._validate_vocabulary()
        if estimator.fixed_vocabulary_:
            places = estimator.vocabulary_
            documents = np.zeros(len(places), dtype=np.int64)
            for term, count in self._in.items():
                documents[places[term]] = count
        else:
            documents = self._choose(estimator)
        self.counts = [documents] if self._needs_terms else None
        if hasattr(estimator, "use_idf"):
            self._weigh(estimator, documents)

    def _choose(self, estimator: Any) -> NDArray[np.int64]:
        """Set the terms to keep as the vocabulary; return the documents of each, by its place."""
        if not self._in:
            raise ValueError(
                f"no term in any of {self._documents:,} documents of column {self._column!r}; "
                "they are empty, or hold stop words alone; look at stop_words, token_pattern "
                "and analyzer"
            )
        least, most = self._bounds()
        if most < least:
            raise ValueError(
                f"max_df={estimator.max_df} is {most:g} of {self._documents:,} documents, fewer "
                f"than min_df={estimator.min_df}, which is {least:g}; no term can be in both"
            )
        documents = self._document_counts()
        kept = self._kept(documents)
        limit = estimator.max_features
        if limit is not None and kept.sum() > limit:
            kept = self._most_frequent(kept, documents, limit)
        if not kept.any():
            raise ValueError(
                f"none of {len(kept):,} terms is in at least min_df={estimator.min_df} and at "
                f"most max_df={estimator.max_df} of {self._documents:,} documents; use a lower "
                "min_df or a higher max_df"
            )
        terms = list(self._in)
        if not kept.all():
            terms = [term for term, keep in zip(terms, kept.tolist(), strict=True) if keep]
        order = _alphabetical(terms)
        place = np.empty(len(terms), dtype=np.int64)
        place[order] = np.arange(len(terms))
        # As scikit-learn leaves them: where features are limited, its indices are NumPy's.
        places: Any = place if limit is not None else place.tolist()
        estimator.vocabulary_ = dict(zip(terms, places, strict=True))
        return np.asarray(documents[kept][order])

    def _document_counts(self) -> NDArray[np.int64]:
        return np.fromiter(self._in.values(), np.int64, len(self._in))

    def _kept(self, documents: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell terms that are neither too rare nor too common."""
        least, most = self._bounds()
        return np.asarray((documents <= most) & (documents >= least))

    def _bounds(self) -> tuple[Any, Any]:
        """Return in how many documents at least and at most a term has to be."""
        low, high = self._estimator.min_df, self._estimator.max_df
        return (
            low if isinstance(low, Integral) else low * self._documents,
            high if isinstance(high, Integral) else high * self._documents,
        )

    def _most_frequent(
        self, kept: NDArray[np.bool_], documents: NDArray[np.int64], limit: int
    ) -> NDArray[np.bool_]:
        """Keep the terms that occur most often; equals fall as they fall in scikit-learn.

        It sorts unstably, so NumPy gets the same numbers in the same order and dtype here.
        """
        order = _alphabetical(list(self._in))
        times = documents
        if self._needs_times:
            times = np.fromiter(map(self._times.__getitem__, self._in), np.int64, len(self._in))
        candidates = order[kept[order]]
        frequent = (-times[candidates].astype(_sum_dtype(self._estimator.dtype))).argsort()[:limit]
        out = np.zeros(len(kept), dtype=bool)
        out[candidates[frequent]] = True
        return out

    def _weigh(self, estimator: Any, documents: NDArray[np.int64]) -> None:
        """Fit the vectorizer's inner TfidfTransformer."""
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfTransformer

        weights = TfidfTransformer(
            norm=estimator.norm,
            use_idf=estimator.use_idf,
            smooth_idf=estimator.smooth_idf,
            sublinear_tf=estimator.sublinear_tf,
        )
        weights.fit(sparse.csr_matrix((1, len(documents)), dtype=estimator.dtype))
        if estimator.use_idf:
            weights.idf_ = document_weights(
                documents, self._documents, weights.idf_.dtype, smooth=estimator.smooth_idf
            )
        estimator._tfidf = weights


def _alphabetical(terms: list[Any]) -> NDArray[np.int64]:
    return np.array(sorted(range(len(terms)), key=terms.__getitem__), dtype=np.int64)


def _sum_dtype(dtype: Any) -> np.dtype[Any]:
    """Return in what scipy adds up a sparse matrix of a dtype."""
    from scipy import sparse

    kind: np.dtype[Any] = sparse.csr_matrix((1, 1), dtype=dtype).sum(axis=0).dtype
    return kind
