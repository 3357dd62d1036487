# ruff: noqa: RUF001
"""Texts taken apart, hashed and counted over Arrow's buffers: the vectorizers' own results, to the bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.utils import murmurhash3_32

from streamlearn.errors import CellError
from streamlearn.learn.vocabulary import Vocabulary
from streamlearn.prepare import term_table
from streamlearn.prepare import tokens as module
from streamlearn.prepare.compile import compile_transformer
from streamlearn.prepare.murmur import murmur3_32
from streamlearn.prepare.terms import CountedTermsKernel, HashedTermsKernel
from streamlearn.prepare.text import TextKernel
from streamlearn.prepare.tokens import find_tokenizer, string_column

ADVERSARIES = [
    "",
    "   \t\r\n",
    "...!?;:--",
    "a",
    "a b c d",
    "_ __ _a 1_ 12 1 3rd e-mail it's",
    "line\r\nbreak\r\n",
    "nul\x00byte\x00\x00s",
    "\x1f\x7f\x80\x85 \xa0x\u200by",
    "Kelvin 273 \u212a, \u212aelvin",
    "İstanbul İ ı ﬁne straße STRASSE",
    "ΟΔΥΣΣΕΥΣ Σ ΑΣ ΑΣ.Α 'Σ aΣ, Σa ς",
    "Cafe\u0301 Café CAFÉ naïve ½ ´ = \u0338x",
    "日本語 の 文書 中文x文本 ｆｕｌｌ",
    "🦊🦊 fox🦊 👩‍👩‍👧 family ٣٤ x²",
    "x" * 100_000,
    "é" * 1_000 + " end",
    "the same word the same the",
]
LETTERS = "abzAZ09_ \t\r\n.,'^`-\x00\x7f\x80éÉßİıſΣςσ\u0301\u0338\u0345\u212a½´²日🦊\ufb01\u1e9e"
OPTIONS = {
    "plain": {},
    "cases": {"lowercase": False},
    "short": {"token_pattern": r"(?u)\b\w+\b"},
    "runs": {"token_pattern": r"\w+"},
    "english": {"stop_words": "english"},
    "stop words": {"stop_words": ["the", "café", "CAFÉ", "is"], "lowercase": False},
    "accents": {"strip_accents": "unicode"},
    "pairs": {"ngram_range": (1, 2)},
    "only longer": {"ngram_range": (2, 4), "stop_words": ["the"], "token_pattern": r"\w+"},
    "ascii": {"strip_accents": "ascii", "token_pattern": r"\b\w+\b"},
}


def same_bits(found, expected):
    assert type(found) is type(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    for part in ("indptr", "indices", "data"):
        left, right = getattr(found, part), getattr(expected, part)
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right, part)


def taken_apart(vectorizer, documents):
    tokenizer = find_tokenizer(vectorizer)
    assert tokenizer is not None
    found = []
    for tokens in tokenizer.pieces(documents):
        words, bounds = tokens.words.to_pylist(), tokens.bounds.tolist()
        found += [words[a:b] for a, b in pairwise(bounds)]
    return found


@pytest.mark.filterwarnings("ignore:Your stop_words may be inconsistent")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_adversaries_are_taken_apart_as_by_the_analyzer(options, kind):
    vectorizer = CountVectorizer(**options)
    analyze = vectorizer.build_analyzer()
    expected = [list(analyze(text)) for text in ADVERSARIES]
    assert taken_apart(vectorizer, pa.array(ADVERSARIES, kind)) == expected
    cut = pa.array(["before Ö", *ADVERSARIES, "after Ö"], kind).slice(1, len(ADVERSARIES))
    assert taken_apart(vectorizer, cut) == expected
    for text, words in zip(ADVERSARIES, expected, strict=True):
        assert taken_apart(vectorizer, pa.array([text], kind)) == [words]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(st.text(alphabet=LETTERS, max_size=14) | st.text(max_size=8), min_size=1, max_size=8),
    st.sampled_from(list(OPTIONS.values())),
    st.sampled_from([1, 5, 1 << 20]),
)
@pytest.mark.filterwarnings("ignore:Your stop_words may be inconsistent")
def test_any_texts_are_taken_apart_as_by_the_analyzer(texts, options, piece):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    vectorizer = CountVectorizer(**options)
    analyze = vectorizer.build_analyzer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_BYTES", piece)
        assert taken_apart(vectorizer, pa.array(texts)) == [list(analyze(text)) for text in texts]


def test_every_character_between_others_is_taken_apart_as_by_the_analyzer():
    singles = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    texts = [f"ab{one}cd {one} {one}e 'x{one}" for one in singles]
    for options in ({}, {"strip_accents": "unicode"}, {"lowercase": False}):
        vectorizer = CountVectorizer(**options)
        analyze = vectorizer.build_analyzer()
        expected = [list(analyze(text)) for text in texts]
        assert taken_apart(vectorizer, pa.array(texts)) == expected


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.binary(max_size=280), min_size=1, max_size=9), st.integers(0, 9))
def test_hashes_are_those_of_scikit_learn(items, start):
    expected = [murmurhash3_32(item) for item in items]
    for kind in (pa.binary(), pa.large_binary()):
        found = murmur3_32(pa.array(items, kind)[start:])
        assert found.dtype == np.int32
        assert found.tolist() == expected[start:]


def test_hashes_of_all_lengths_and_none():
    items = [(bytes(range(256)) * 2)[:length] for length in range(300)]
    assert murmur3_32(pa.array(items)).tolist() == [murmurhash3_32(item) for item in items]
    assert len(murmur3_32(pa.array([], pa.string()))) == 0


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(st.text(alphabet="abé日", max_size=3), min_size=1, unique=True),
    st.lists(st.text(alphabet="abé日", max_size=3)),
    st.sampled_from([0, 1, -1]),
)
def test_terms_are_found_as_in_a_dict(terms, words, mask):
    vocabulary = {term: 7 * at for at, term in enumerate(terms)}
    with pytest.MonkeyPatch.context() as patch:
        # Few hashes: terms that cannot be told apart by theirs.
        patch.setattr(term_table, "murmur3_32", lambda texts: murmur3_32(texts) & mask)
        found = term_table.TermTable(vocabulary).find(pa.array(words, pa.string()))
    assert found.tolist() == [vocabulary.get(word, -1) for word in words]


def test_vocabularies_of_other_than_texts_are_left_to_the_vectorizer():
    for vocabulary in ({b"cat": 0}, {("a", "b"): 0, "cat": 1}, {"cat": 0, b"cat": 1}):
        vectorizer = CountVectorizer(vocabulary=vocabulary, lowercase=False).fit(["cat"])
        kernel = compile_transformer(vectorizer)
        assert type(kernel) is TextKernel
        same_bits(kernel.apply(["a cat"]), vectorizer.transform(["a cat"]))


VECTORIZERS = {
    "hashing": HashingVectorizer(),
    "few": HashingVectorizer(n_features=3),
    "one": HashingVectorizer(n_features=1, norm=None),
    "most": HashingVectorizer(n_features=2**31 - 2),
    "hashed pairs": HashingVectorizer(n_features=50, ngram_range=(1, 2)),
    "tfidf of pairs": TfidfVectorizer(ngram_range=(1, 3), max_features=40),
    "no sign": HashingVectorizer(n_features=7, alternate_sign=False, norm="l1"),
    "binary hashes": HashingVectorizer(n_features=5, binary=True, dtype=np.float32),
    "hashed stop words": HashingVectorizer(n_features=64, stop_words="english"),
    "counts": CountVectorizer(),
    "binary": CountVectorizer(binary=True, dtype=np.uint8),
    "limited": CountVectorizer(max_features=5),
    "fixed": CountVectorizer(vocabulary=["same", "café", "nothing", "the"]),
    "tfidf": TfidfVectorizer(),
    "tfidf float32": TfidfVectorizer(dtype=np.float32, sublinear_tf=True, norm="l1"),
    "tfidf stop words": TfidfVectorizer(stop_words="english", use_idf=False),
}


@pytest.mark.parametrize("vectorizer", VECTORIZERS.values(), ids=VECTORIZERS)
def test_kernels_equal_transform_to_the_bit(vectorizer):
    fitted = clone(vectorizer).fit(ADVERSARIES)
    kernel = compile_transformer(fitted)
    assert isinstance(kernel, CountedTermsKernel | HashedTermsKernel)
    texts = [*ADVERSARIES, "unseen words only", *(f"w{at} w{at % 7}" for at in range(300))]
    expected = fitted.transform(texts)
    object_strings = pd.Series(texts, dtype=object, index=np.arange(len(texts)) % 2)
    batches = [
        pa.RecordBatch.from_pydict({"t": pa.array(texts, kind)})
        for kind in (pa.string(), pa.large_string())
    ]
    for form in (*batches, texts, np.array(texts, dtype=object), object_strings):
        same_bits(kernel.apply(form), expected)
    same_bits(kernel.apply(batches[0].slice(4, 20)), expected[4:24])
    same_bits(kernel.apply(batches[0].slice(0, 1)), expected[:1])


@pytest.mark.parametrize("piece", [1, 100, 10_000])
def test_pieces_change_nothing(monkeypatch, piece):
    texts = [*ADVERSARIES, *(f"w{at} w{at % 7}" for at in range(300))]
    vectorizers = [HashingVectorizer(), TfidfVectorizer().fit(texts)]
    monkeypatch.setattr(module, "_PIECE_BYTES", piece)
    for vectorizer in vectorizers:
        same_bits(compile_transformer(vectorizer).apply(texts), vectorizer.transform(texts))
    state = Vocabulary(TfidfVectorizer(max_features=40))
    state.update(texts, None, None)
    found = TfidfVectorizer(max_features=40)
    state.finish(found, None)
    fitted = TfidfVectorizer(max_features=40).fit(texts)
    assert list(found.vocabulary_.items()) == list(fitted.vocabulary_.items())


def test_a_long_document_is_one_piece():
    texts = ["short", "word " * 250_000 + "end", "Übrigens " * 1000]
    fitted = TfidfVectorizer().fit(texts)
    same_bits(compile_transformer(fitted).apply(texts), fitted.transform(texts))


def own(text):
    return text.split()


@pytest.mark.parametrize(
    "options",
    [
        {"analyzer": "char"},
        {"analyzer": own},
        {"tokenizer": own, "token_pattern": None},
        {"preprocessor": str.upper},
        {"strip_accents": str.upper},
        {"token_pattern": r"[a-z]+"},
        {"ngram_range": (1, 6)},
    ],
)
def test_what_has_no_tokenizer_is_left_to_the_vectorizer(options):
    texts = ["one two", "three Two one"]
    for kind in (CountVectorizer, HashingVectorizer):
        vectorizer = kind(**options).fit(texts)
        assert find_tokenizer(vectorizer) is None
        kernel = compile_transformer(vectorizer)
        assert type(kernel) is TextKernel
        same_bits(kernel.apply(texts), vectorizer.transform(texts))


def test_subclasses_and_other_dtypes_are_left_to_the_vectorizer():
    class Own(CountVectorizer):
        pass

    assert type(compile_transformer(Own().fit(["a cat"]))) is TextKernel
    assert type(compile_transformer(HashingVectorizer(dtype=np.int8))) is TextKernel


@pytest.mark.parametrize(
    "X",
    [
        [b"bytes"],
        ["text", b"bytes"],
        ["text", None],
        ["text", float("nan")],
        [1, 2],
        "text",
        [],
        np.array([["a"], ["b"]]),
        pd.Series(["a", "b"], dtype="category"),
        pa.RecordBatch.from_pydict({"a": ["x"], "b": ["y"]}),
        pa.RecordBatch.from_pydict({"a": pa.array(["x", None])}),
        pa.RecordBatch.from_pydict({"a": pa.array(["x"]).dictionary_encode()}),
        pa.RecordBatch.from_pydict({"a": pa.array(["x"], pa.string_view())}),
    ],
)
def test_what_is_no_column_of_texts_is_none(X):
    assert string_column(X) is None


@pytest.mark.parametrize("make", [list, tuple, np.array, pd.Series, pa.array])
def test_whatever_holds_texts_alone_is_a_column(make):
    column = string_column(make(["one", "zwei", "trois é"]))
    assert column is not None
    assert column.to_pylist() == ["one", "zwei", "trois é"]


def test_bytes_that_are_no_text_are_refused_with_their_place_or_as_before():
    broken = pa.array([b"fine", b"caf\xe9 x", b"ok"]).view(pa.string())
    block = pa.RecordBatch.from_arrays([broken], ["t"])
    for vectorizer in (CountVectorizer().fit(["fine"]), HashingVectorizer()):
        with pytest.raises((CellError, ValueError, pa.ArrowException)):
            compile_transformer(vectorizer).apply(block)
    with pytest.raises((CellError, ValueError, pa.ArrowException)):
        Vocabulary(CountVectorizer()).update(block, None, None)


def test_a_missing_document_is_refused_with_its_place():
    block = pa.RecordBatch.from_pydict({"t": ["a text", None]})
    for vectorizer in (CountVectorizer().fit(["text"]), HashingVectorizer()):
        with pytest.raises(CellError, match="missing document") as caught:
            compile_transformer(vectorizer).apply(block)
        assert (caught.value.row, caught.value.column) == (1, "t")


def test_inconsistent_stop_words_warn_once():
    vectorizer = CountVectorizer(stop_words=["it's"], vocabulary=["its"])
    with pytest.warns(UserWarning, match="inconsistent"):
        vectorizer.fit(["its"])
    compile_transformer(vectorizer)
