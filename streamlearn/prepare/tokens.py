"""Texts taken apart into words over Arrow's buffers, as scikit-learn's vectorizers would.

Bytes below 128 are classed by arithmetic on whole buffers. What stands between two ASCII characters
that belong to no word, and is not all ASCII itself, goes through the vectorizer's own Python, once
for each distinct one of a piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Block

__all__ = ["Tokenizer", "Tokens", "find_tokenizer", "string_column"]

_SHORTEST = {
    r"(?u)\b\w\w+\b": 2,
    r"\b\w\w+\b": 2,
    r"(?u)\b\w+\b": 1,
    r"\b\w+\b": 1,
    r"(?u)\w+": 1,
    r"\w+": 1,
}
"""Patterns that match runs of word characters whole, and the shortest run each matches."""
_LONGEST = 5
"""Words put together at most: a piece of text becomes so many times longer, and more."""
_PIECE_BYTES = 1 << 19
"""Of text taken apart at once; twenty times as much is held meanwhile. A longer document is one."""
_PIECE_DOCUMENTS = 1 << 20
_SIGMA = (0xCE, 0xA3)
"""The one letter whose lower case hangs on letters around it, in UTF-8."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words of consecutive documents, in the order of the text."""

    words: pa.Array
    """Words of all documents, or neighbouring ones put together, one document after the other."""
    bounds: NDArray[np.int64]
    """Shape (documents + 1,): where in ``words`` each document begins, and the last one ends."""

    def __len__(self) -> int:
        """Return how many documents there are."""
        return len(self.bounds) - 1

    def documents(self) -> NDArray[np.int64]:
        """Return the number of the document that each word is in, from 0."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def where(self, keep: pa.Array) -> Tokens:
        """Keep some of the words."""
        kept = np.zeros(len(keep) + 1, dtype=np.int64)
        np.cumsum(keep.to_numpy(zero_copy_only=False), out=kept[1:])
        return Tokens(self.words.filter(keep), kept[self.bounds])


def find_tokenizer(vectorizer: Any) -> Tokenizer | None:
    """Return what takes documents apart as a vectorizer does; None where only itself can.

    Parameters
    ----------
    vectorizer : CountVectorizer, TfidfVectorizer or HashingVectorizer

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> find_tokenizer(CountVectorizer(analyzer="char")) is None
    True
    """
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

    if type(vectorizer) not in (CountVectorizer, HashingVectorizer, TfidfVectorizer):
        return None
    plain = (
        vectorizer.input == "content"
        and isinstance(vectorizer.analyzer, str)
        and vectorizer.analyzer == "word"
        and vectorizer.tokenizer is None
        and vectorizer.preprocessor is None
        and not callable(vectorizer.strip_accents)
        and vectorizer.token_pattern in _SHORTEST
        and 1 <= vectorizer.ngram_range[0] <= vectorizer.ngram_range[1] <= _LONGEST
    )
    return Tokenizer(vectorizer) if plain else None


def string_column(X: Block) -> pa.Array | None:
    """Return documents as an Arrow array of texts; None where they are not all texts.

    Parameters
    ----------
    X : RecordBatch or frame of one column, Series, list, array of one dimension
    """
    if isinstance(X, pa.RecordBatch) or getattr(X, "ndim", 1) == 2:
        if X.shape[1] != 1 or not (isinstance(X, pa.RecordBatch) or hasattr(X, "iloc")):
            return None
        X = X.column(0) if isinstance(X, pa.RecordBatch) else X.iloc[:, 0]
    if isinstance(X, list | tuple | np.ndarray) or hasattr(X, "iloc"):
        try:
            X = pa.array(X)
            X = X.combine_chunks() if isinstance(X, pa.ChunkedArray) else X
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return None
    if not isinstance(X, pa.Array) or X.null_count or not len(X):
        return None
    return X if pa.types.is_string(X.type) or pa.types.is_large_string(X.type) else None


class Tokenizer:
    """Takes documents apart into words, equal to the vectorizer's own analyzer.

    Parameters
    ----------
    vectorizer : CountVectorizer, TfidfVectorizer or HashingVectorizer

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> (tokens,) = Tokenizer(CountVectorizer()).pieces(pa.array(["One, two", "", "a Café"]))
    >>> tokens.words.to_pylist(), tokens.bounds.tolist()
    (['one', 'two', 'café'], [0, 2, 2, 3])
    """

    def __init__(self, vectorizer: Any) -> None:
        self._lowercase = bool(vectorizer.lowercase)
        self._shortest = _SHORTEST[vectorizer.token_pattern]
        # Warns, once, of stop words that the vectorizer itself would not find.
        vectorizer.build_analyzer()
        self._preprocess: Callable[[str], str] = vectorizer.build_preprocessor()
        self._find: Callable[[str], list[str]] = vectorizer.build_tokenizer()
        self._lengths = range(vectorizer.ngram_range[0], vectorizer.ngram_range[1] + 1)
        # Each word stands in as many terms of so many words.
        self._piece_bytes = max(1, _PIECE_BYTES // sum(self._lengths))
        self._stop_words = [w for w in vectorizer.get_stop_words() or () if isinstance(w, str)]

    def pieces(self, documents: pa.Array) -> Iterator[Tokens]:
        """Take documents apart, some at a time; each is in one piece.

        Parameters
        ----------
        documents : StringArray or LargeStringArray without missing values

        Raises
        ------
        UnicodeDecodeError
            If a text is no UTF-8.
        """
        bounds, text = _buffers(documents)
        start = 0
        while start < len(documents):
            stop = int(np.searchsorted(bounds, bounds[start] + self._piece_bytes, "right")) - 1
            stop = min(max(start + 1, stop), start + _PIECE_DOCUMENTS, len(documents))
            piece = bounds[start : stop + 1].astype(np.int64)
            yield self._take_apart(text[piece[0] : piece[-1]], piece - piece[0])
            start = stop

    def _take_apart(self, text: NDArray[np.uint8], bounds: NDArray[np.int64]) -> Tokens:
        if self._lowercase:
            upper = text - np.uint8(65) < 26
            text = text + (upper.view(np.uint8) << np.uint8(5))
        rough = text > 127
        has_rough = bool(rough.any())
        word = (text | np.uint8(32)) - np.uint8(97) < 26
        word |= text - np.uint8(48) < 10
        word |= text == 95
        word |= rough
        first = word.copy()
        first[1:] &= ~word[:-1]
        begins = bounds[:-1][bounds[:-1] < len(text)]
        first[begins] = word[begins]
        if has_rough and self._lowercase:
            _take_whole(text, bounds, word, first)
        last = word.copy()
        last[:-1] &= first[1:] | ~word[1:]
        if self._shortest == 2:
            alone = first & last
            alone &= ~rough
            word ^= alone
            first ^= alone
            last ^= alone
        starts = np.flatnonzero(first)
        ends = np.flatnonzero(last)
        offsets = np.zeros(len(starts) + 1, dtype=np.int64)
        np.cumsum(ends + 1 - starts, out=offsets[1:])
        tokens = Tokens(_strings(text[word], offsets), np.searchsorted(starts, bounds))
        if has_rough:
            # The first byte of each run is enough; a run may go on in the next document.
            rough[1:] &= first[1:] | ~rough[:-1]
            places = np.searchsorted(starts, np.flatnonzero(rough), "right") - 1
            tokens = self._smooth(tokens, _distinct_of_sorted(places))
        if self._stop_words:
            stop_words = pa.array(self._stop_words, tokens.words.type)
            tokens = tokens.where(pc.invert(pc.is_in(tokens.words, stop_words)))
        return tokens if self._lengths == range(1, 2) else self._neighbours(tokens)

    def _neighbours(self, tokens: Tokens) -> Tokens:
        """Put words together that follow each other: of a document first the shortest, then longer ones."""
        documents = tokens.documents()
        numbers, ends = np.arange(len(documents)), tokens.bounds[1:][documents]
        terms, inside = [], []
        for length in self._lengths:
            begin = np.flatnonzero(numbers + length <= ends)
            parts = [tokens.words.take(pa.array(begin + at)) for at in range(length)]
            terms.append(pc.binary_join_element_wise(*parts, " ") if length > 1 else parts[0])
            inside.append(documents[begin])
        order = np.argsort(np.concatenate(inside), kind="stable")
        bounds = np.zeros(len(tokens) + 1, dtype=np.int64)
        np.cumsum(np.bincount(np.concatenate(inside), minlength=len(tokens)), out=bounds[1:])
        return Tokens(pa.concat_arrays(terms).take(pa.array(order)), bounds)

    def _smooth(self, tokens: Tokens, rough: NDArray[np.int64]) -> Tokens:
        """Put in place of words that are not all ASCII what the vectorizer makes of them."""
        encoded = tokens.words.take(pa.array(rough)).dictionary_encode()
        codes = encoded.indices.to_numpy()
        found = [self._find(self._preprocess(text)) for text in encoded.dictionary.to_pylist()]
        lengths = np.array([len(words) for words in found], dtype=np.int64)
        count = len(tokens.words)
        # What stands in a word's place begins there, among the others or behind them all.
        begin, times = np.arange(count), np.ones(count, dtype=np.int64)
        begin[rough] = count + (np.cumsum(lengths) - lengths)[codes]
        times[rough] = lengths[codes]
        before = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(times, out=before[1:])
        order = np.repeat(begin - before[:-1], times) + np.arange(before[-1])
        others = pa.array(list(chain.from_iterable(found)), tokens.words.type)
        words = pa.concat_arrays([tokens.words, others]).take(pa.array(order))
        return Tokens(words, before[tokens.bounds])


def _take_whole(
    text: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    word: NDArray[np.bool_],
    first: NDArray[np.bool_],
) -> None:
    """Make one word of each document in which the letter occurs that looks around itself."""
    sigmas = np.flatnonzero((text[:-1] == _SIGMA[0]) & (text[1:] == _SIGMA[1]))
    whole = np.zeros(len(bounds) - 1, dtype=bool)
    whole[np.searchsorted(bounds, sigmas, "right") - 1] = True
    inside = np.repeat(whole, np.diff(bounds))
    word |= inside
    first &= ~inside
    first[bounds[:-1][whole]] = True


def _distinct_of_sorted(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return numbers[np.flatnonzero(np.diff(numbers, prepend=-1))]


def _buffers(documents: pa.Array) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return where texts begin and end, and the bytes that this counts in; nothing is copied."""
    _, offsets, text = documents.buffers()
    kind = np.int64 if pa.types.is_large_string(documents.type) else np.int32
    bounds = np.frombuffer(offsets, kind)[documents.offset : documents.offset + len(documents) + 1]
    return bounds, np.frombuffer(text if text is not None else b"", np.uint8)


def _strings(text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> pa.Array:
    """Return the texts between offsets as an Arrow array, nothing copied but the offsets."""
    is_long = len(text) > np.iinfo(np.int32).max
    kind = pa.LargeStringArray if is_long else pa.StringArray
    offsets = offsets.astype(np.int64 if is_long else np.int32)
    return kind.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(text))
