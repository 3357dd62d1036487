"""CountVectorizer, TfidfVectorizer, TfidfTransformer: as fitted in memory."""

from __future__ import annotations

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import streamlearn as sl
from streamlearn.errors import CellError, DataError, UnsupportedEstimatorError, UsageError
from streamlearn.learn.documents import DocumentCounts
from streamlearn.learn.vocabulary import Vocabulary

READINGS = [("groups", 7, 3), ("groups", 1, 1), ("one", 1000, 1), ("files", 1000, 3)]
rng = np.random.default_rng(5)
LETTERS = np.array(list("aeioubcdlmnrst"))
WORDS = np.array(
    ["".join(rng.choice(LETTERS, rng.integers(1, 9))) for _ in range(900)], dtype=object
)
ODD = [
    "",
    "   ",
    "the of and",
    "Cafe\u0301 Caf\u00e9 CAFÉ naïve ﬁne",
    "שלום עולם مرحبا بالعالم",
    "🦊🦊 fox🦊 👩‍👩‍👧 family",
    "日本語 の 文書 中文文本",
    "straße STRASSE İstanbul \u0131spanak \u017f",
    "a\u200bb\u00a0c\td\ne\x00f",
    "x" * 3000,
    "12 12.5 3rd e-mail it's",
]


def articles(count, seed=0):
    """Documents as of a newsgroup: few words often, most seldom, some odd ones in between."""
    made = np.random.default_rng(seed)
    places = np.minimum(made.pareto(0.8, (count, 40)).astype(int), len(WORDS) - 1)
    texts = [" ".join(WORDS[row[: made.integers(0, 40)]]) for row in places]
    for at, odd in enumerate(ODD):
        texts[(17 * at + 3) % count] = odd
    return texts


TEXTS = articles(160)


def halves(text):
    yield from (text[: len(text) // 2], text[len(text) // 2 :])


def shout(text):
    return text.upper()


def squeeze(text):
    return re.sub(r"(.)\1+", r"\1", text)


OPTIONS = {
    "plain": {},
    "rare": {"min_df": 3},
    "share": {"min_df": 0.02, "max_df": 0.3},
    "common": {"max_df": 20},
    "most": {"max_features": 50},
    "most, many ties": {"max_features": 400},
    "most of some": {"max_features": 30, "min_df": 2, "max_df": 0.5},
    "more than there are": {"max_features": 10**6},
    "binary": {"binary": True, "max_features": 60},
    "pairs": {"ngram_range": (1, 2), "max_features": 500},
    "letters": {"analyzer": "char", "ngram_range": (1, 3)},
    "letters of words": {"analyzer": "char_wb", "ngram_range": (2, 4), "min_df": 2},
    "english": {"stop_words": "english"},
    "stop words": {"stop_words": ["the", "of"], "lowercase": False},
    "accents": {"strip_accents": "unicode"},
    "ascii": {"strip_accents": "ascii"},
    "own analyzer": {"analyzer": halves, "max_features": 40},
    "own tokenizer": {"tokenizer": str.split, "token_pattern": None},
    "own preprocessor": {"preprocessor": shout, "strip_accents": None},
    "own accents": {"strip_accents": squeeze},
    "pattern": {"token_pattern": r"(?u)\b(\w)\w*\b"},
    "vocabulary": {"vocabulary": ["the", "zebra", WORDS[0], WORDS[1]]},
    "vocabulary set": {"vocabulary": {WORDS[2], "a", WORDS[0]}},
    "vocabulary places": {"vocabulary": {WORDS[0]: 2, WORDS[5]: 0, "x": 1}},
}
WEIGHTS = {
    "no smoothing": {"smooth_idf": False},
    "no idf": {"use_idf": False},
    "l1": {"norm": "l1"},
    "no norm, sublinear": {"norm": None, "sublinear_tf": True},
    "float32": {"dtype": np.float32, "max_features": 70},
}


def fitted_in_memory(vectorizer, texts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(vectorizer).fit(texts)


def same_vectorizer(parity, found, expected, texts):
    assert type(found) is type(expected)
    assert list(found.vocabulary_.items()) == list(expected.vocabulary_.items())
    kinds = [{type(place) for place in one.vocabulary_.values()} for one in (found, expected)]
    assert kinds[0] == kinds[1]
    assert found.fixed_vocabulary_ == expected.fixed_vocabulary_
    parity.same(found.get_feature_names_out(), expected.get_feature_names_out(), "names")
    if getattr(expected, "use_idf", False):
        parity.same(found.idf_, expected.idf_, "idf_")  # to the bit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parity.same(found.transform(texts), expected.transform(texts), "output")
    assert vars(found).keys() == vars(expected).keys()


def check(parity, vectorizer, texts, readings=READINGS[:1]):
    """Fit on a table of one column; return the last."""
    expected = fitted_in_memory(vectorizer, texts)
    data = pa.table({"text": texts})
    found = None
    for layout, chunk_size, threads in readings:
        source = parity.source(data, layout)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = sl.fit(vectorizer, source, chunk_size=chunk_size, threads=threads).estimator
        same_vectorizer(parity, found, expected, texts)
    assert not hasattr(vectorizer, "vocabulary_"), "the caller's own was fitted"
    return found


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer])
def test_a_vectorizer_is_fitted_as_in_memory(parity, kind, options):
    check(parity, kind(**options), TEXTS)


@pytest.mark.parametrize("options", WEIGHTS.values(), ids=WEIGHTS)
def test_tfidf_weighs_as_in_memory(parity, options):
    check(parity, TfidfVectorizer(**options), TEXTS)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.float32, np.float64])
def test_ties_fall_as_in_memory_whatever_counts_are_summed_in(parity, dtype):
    check(parity, CountVectorizer(max_features=200, dtype=dtype), TEXTS)


@pytest.mark.parametrize("options", [{}, {"max_features": 90, "ngram_range": (1, 2)}])
def test_it_does_not_matter_how_documents_are_read(parity, options):
    check(parity, TfidfVectorizer(**options), TEXTS, READINGS)


def test_one_document_and_many_terms(parity):
    check(parity, TfidfVectorizer(), ["only one one"], [("one", 7, 1)])
    many = [
        " ".join(f"t{at:x}" for at in range(start, start + 500)) for start in range(0, 10**5, 500)
    ]
    check(parity, CountVectorizer(), many, [("groups", 50, 3)])
    check(parity, TfidfVectorizer(max_features=5_000), many, [("groups", 50, 3)])


def test_a_fitted_vectorizer_is_scikit_learns_own(parity):
    found = check(parity, TfidfVectorizer(min_df=2), TEXTS)
    again = pickle.loads(pickle.dumps(found))
    parity.same(again.transform(TEXTS), found.transform(TEXTS), "output, unpickled")
    assert clone(found).get_params() == TfidfVectorizer(min_df=2).get_params()


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.lists(st.text(alphabet="ab cé日🦊\u0301", max_size=12), min_size=1, max_size=12),
    st.lists(st.integers(0, 12), max_size=3).map(sorted),
    st.sampled_from([{}, {"max_features": 3}, {"ngram_range": (1, 2), "min_df": 2}]),
)
def test_documents_in_any_cut_give_the_same_vocabulary(parity, texts, cuts, options):
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\w+", **options)
    state = Vocabulary(vectorizer)
    for start, stop in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        part = Vocabulary(vectorizer)
        part.update(texts[start:stop], None, None)
        state.merge(part)
    found = clone(vectorizer)
    try:
        expected = fitted_in_memory(vectorizer, texts)
    except ValueError:
        with pytest.raises(ValueError, match=r"no term in any|none of|no term can be"):
            state.finish(found, None)
        return
    state.finish(found, None)
    same_vectorizer(parity, found, expected, texts)


def test_every_form_of_documents_is_taken(parity):
    texts = ["a cat", "no dog", "cat, cat"]
    forms = [
        texts,
        tuple(texts),
        np.array(texts, dtype=object),
        np.array(texts),
        pd.Series(texts, index=[5, 5, 1]),
        pd.Series(texts, dtype=object),
        pa.RecordBatch.from_pydict({"t": texts}),
        pa.RecordBatch.from_pydict({"t": pa.array(texts, pa.large_string())}),
        pa.RecordBatch.from_pydict({"t": [text.encode() for text in texts]}),
        pd.DataFrame({"t": texts}),
    ]
    expected = CountVectorizer().fit(texts)
    for form in forms:
        vectorizer = CountVectorizer()
        state = Vocabulary(vectorizer)
        state.update(form, None, None)
        state.finish(vectorizer, None)
        same_vectorizer(parity, vectorizer, expected, texts)


@pytest.mark.parametrize(
    "missing", [None, float("nan"), np.nan, pd.NA], ids=["none", "nan", "np.nan", "NA"]
)
def test_a_missing_document_is_refused_with_its_place(missing):
    state = Vocabulary(CountVectorizer())
    with pytest.raises(CellError, match="missing document.*drop_missing") as caught:
        state.update(pd.Series(["a", "b", missing], dtype=object, name="body"), None, None)
    assert (caught.value.row, caught.value.column) == (2, "body")


def test_errors_say_what_where_and_what_to_do(parity):
    texts = ["some text"] * 20
    gap = parity.source(pa.table({"text": [*texts, None, "more"]}), "groups")
    with pytest.raises(DataError, match=r"(?s)row 20 .*'text'.*missing.*derive"):
        sl.fit(TfidfVectorizer(), gap, chunk_size=7)
    broken = parity.source(pa.table({"b": [*(t.encode() for t in texts), b"\xff"]}), "groups")
    with pytest.raises(DataError, match=r"(?s)row 20 .*'b'.*decoded.*decode_error"):
        sl.fit(TfidfVectorizer(), broken, chunk_size=7)
    sl.fit(TfidfVectorizer(decode_error="ignore"), broken)
    two = parity.source(pa.table({"a": texts, "b": texts}))
    for step in (CountVectorizer(), HashingVectorizer()):
        with pytest.raises(UsageError, match=r"one text column.*2.*features="):
            sl.fit(step, two)
    with pytest.raises(DataError, match="'n'.*int64 where CountVectorizer needs texts"):
        sl.fit(CountVectorizer(), parity.source(pa.table({"n": [1, 2]})))
    one = parity.source(pa.table({"a": ["the", "", "of"]}))
    with pytest.raises(DataError, match="no term in any of 3 documents of column 'a'"):
        sl.fit(CountVectorizer(stop_words="english"), one)
    with pytest.raises(DataError, match=r"none of 2 terms.*min_df=2.*lower"):
        sl.fit(CountVectorizer(min_df=2), one)
    with pytest.raises(DataError, match="max_df=1 is 1 of 3 documents, fewer than min_df=2"):
        sl.fit(CountVectorizer(min_df=2, max_df=1), one)
    with pytest.raises(UnsupportedEstimatorError, match=r"input='filename'.*content"):
        sl.fit(CountVectorizer(input="filename"), one)
    with pytest.raises(UsageError, match="Duplicate term"):
        sl.fit(CountVectorizer(vocabulary=["a", "a"]), one)
    with pytest.raises(UsageError, match=r"write 'a' instead of \['a'\]"):
        sl.fit(ColumnTransformer([("t", TfidfVectorizer(), ["a"])]), one)


def classified(texts=TEXTS):
    y = np.random.default_rng(0).integers(0, 2, len(texts))
    return pa.table({"text": texts, "n": np.arange(len(texts)) * 1.0, "y": y}), y


@pytest.mark.parametrize(
    "steps",
    [
        [TfidfVectorizer(min_df=2)],
        [CountVectorizer(max_features=80)],
        [CountVectorizer(), TfidfTransformer(sublinear_tf=True)],
        [HashingVectorizer(n_features=128)],
        [FunctionTransformer(lambda frame: frame["text"]), TfidfVectorizer()],
    ],
    ids=["tfidf", "count", "count, tfidf", "hashing", "function"],
)
@pytest.mark.parametrize("batch", [32, 1000])
def test_a_pipeline_over_texts_equals_the_loop_by_hand_to_the_bit(tmp_path, steps, batch):
    table, y = classified()
    model = SGDClassifier(random_state=0)
    features = table.select(["text"]).to_pandas()
    given = features if isinstance(steps[0], FunctionTransformer) else features["text"]
    prepared = make_pipeline(*map(clone, steps)).fit(given)
    expected = clone(model)
    for start in range(0, len(y), batch):
        matrix = prepared.transform(given.iloc[start : start + batch])
        expected.partial_fit(matrix, y[start : start + batch], classes=[0, 1])
    for layout, chunk_size, threads in READINGS[::2]:
        pq.write_table(
            table, tmp_path / "a.parquet", row_group_size=1000 if layout == "one" else 45
        )
        source = sl.scan(tmp_path, target="y", features=["text"])
        found = sl.fit(
            make_pipeline(*steps, model),
            source,
            batch_size=batch,
            chunk_size=chunk_size,
            threads=threads,
        ).estimator
        assert np.array_equal(found[-1].coef_, expected.coef_)
        assert np.array_equal(found.predict(given), expected.predict(prepared.transform(given)))
        assert sl.evaluate(found, source) is not None


def test_a_text_column_beside_numbers(parity):
    table, _ = classified()
    columns = ColumnTransformer(
        [("t", TfidfVectorizer(min_df=2), "text"), ("n", StandardScaler(), ["n"])]
    )
    frame = table.to_pandas()
    expected = clone(columns).fit(frame)
    for layout, chunk_size, threads in READINGS:
        source = parity.source(table.select(["text", "n"]), layout)
        found = sl.fit(columns, source, chunk_size=chunk_size, threads=threads).estimator
        same_vectorizer(
            parity, found.named_transformers_["t"], expected.named_transformers_["t"], TEXTS
        )
        parity.same(found.transform(frame), expected.transform(frame), "output", 1e-12, 1e-12)


COUNTS = rng.poisson(0.4, (120, 6)) * np.array([1, 1, 1, 1, 0, 3])
TRANSFORMERS = {
    "plain": {},
    "l1": {"norm": "l1"},
    "no norm": {"norm": None},
    "no idf": {"use_idf": False},
    "no smoothing": {"smooth_idf": False},
    "sublinear": {"sublinear_tf": True},
}


@pytest.mark.parametrize("options", TRANSFORMERS.values(), ids=TRANSFORMERS)
@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.float32])
def test_tfidf_of_counts_is_fitted_as_in_memory(parity, options, dtype):
    counts = COUNTS.astype(dtype)
    transformer = TfidfTransformer(**options)
    parity.check(transformer, pa.table(dict(zip("abcdef", counts.T, strict=True))))
    parity.check(transformer, counts)
    stored = sparse.csr_matrix(counts)
    expected = fitted_in_memory(transformer, stored)
    found = sl.fit(transformer, sl.scan(stored), chunk_size=7).estimator
    parity.same(found, expected, "fitted")
    parity.same(found.transform(stored), expected.transform(stored), "output")


def test_tfidf_takes_the_counts_of_a_vectorizer_before_it(parity):
    vectorizer = CountVectorizer(min_df=2)
    state = Vocabulary(vectorizer)
    state.update(TEXTS, None, None)
    state.finish(vectorizer, None)
    counts = vectorizer.transform(TEXTS)
    transformer = TfidfTransformer()
    ahead = DocumentCounts.counted(transformer, state.counts[0], len(TEXTS), counts.dtype)
    ahead.finish(transformer, counts[:8])
    parity.same(transformer, TfidfTransformer().fit(counts), "fitted")


def test_a_count_that_is_no_number_is_refused_with_its_place(parity):
    counts = COUNTS.astype(float)
    counts[31, 2] = np.nan
    table = pa.table(dict(zip("abcdef", counts.T, strict=True)))
    with pytest.raises(DataError, match=r"(?s)row .*'c'.*nan.*SimpleImputer"):
        sl.fit(TfidfTransformer(), parity.source(table, "groups"), chunk_size=7)
    with pytest.raises(CellError, match="'2'.*nan"):
        DocumentCounts(TfidfTransformer()).update(sparse.csr_matrix(counts), None, None)


def test_growth_counts_the_terms_that_are_kept():
    texts = ["a b c", "b c", "c d"]
    options = {"token_pattern": r"(?u)\w+"}
    for more, outputs in (
        ({}, 4),
        ({"min_df": 2}, 2),
        ({"max_features": 3}, 3),
        ({"max_df": 2}, 3),
    ):
        state = Vocabulary(CountVectorizer(**options, **more))
        state.update(pd.Series(texts, name="body"), None, None)
        (grown,) = state.growth(exact=True)
        assert (grown.column, grown.count, grown.outputs) == ("body", 4, outputs)
        assert 4 * 57 < grown.state_bytes < 4 * 250
