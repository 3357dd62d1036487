"""TargetEncoder: encodings as fitted in memory, and training rows encoded by the other folds."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

import streamlearn as sl
from streamlearn.errors import DataError, UnsupportedEstimatorError, UsageError
from streamlearn.learn.target_means import TargetMeans
from streamlearn.prepare.compile import compile_transformer
from streamlearn.prepare.folds import fold_of

ROWS = 1500
rng = np.random.default_rng(0)


def gaps(values, share=0.05):
    return pa.array(values, mask=rng.random(len(values)) < share)


TABLE = pa.table(
    {
        "text": gaps(rng.choice(np.array([f"zone ü{n}" for n in range(40)]), ROWS)),
        "whole": rng.integers(-3, 9, ROWS),
        "gaps": gaps(rng.integers(0, 9, ROWS)),
        "float": np.where(rng.random(ROWS) < 0.1, np.nan, rng.integers(0, 5, ROWS) / 2),
        "zeros": rng.choice([-0.0, 0.0, 1.0], ROWS),
        "bool": gaps(rng.random(ROWS) < 0.3),
        "rare": [f"x{n}" for n in rng.integers(0, 10**6, ROWS)],
        "empty": pa.nulls(ROWS),
        "one": ["only"] * ROWS,
    }
)
BATCH = TABLE.combine_chunks().to_batches()[0]
TARGETS = {
    "numbers": rng.normal(5, 2, ROWS),
    "two": rng.integers(0, 2, ROWS),
    "bool": rng.random(ROWS) < 0.3,
    "two texts": rng.choice(np.array(["no", "yes"], dtype=object), ROWS),
    "three texts": rng.choice(np.array(["v", "u", "w"], dtype=object), ROWS),
    "classes": rng.integers(0, 4, ROWS),
    "whole floats": rng.integers(0, 4, ROWS).astype(float),
    "a fraction at last": np.append(rng.integers(0, 4, ROWS - 1).astype(float), 0.5),
    "constant": np.full(ROWS, 7.1),
    "one class": np.full(ROWS, 3),
}


def learn(encoder, batch, y, cuts=(0, 1, 1, 400, 900), block=100):
    """Fit from blocks of fragments that are merged in order; return encoder and kernel."""
    fitted, whole = clone(encoder), None
    for start, stop in zip(cuts, [*cuts[1:], len(y)], strict=True):
        part = TargetMeans(fitted)
        for at in range(start, stop, block):
            end = min(at + block, stop)
            part.note_rows(np.arange(at, end))
            part.update(batch[at:end], y[at:end], None)
        if whole is None:
            whole = part
        else:
            whole.merge(part)
    sample = batch[:4].to_pandas() if isinstance(batch, pa.RecordBatch) else batch[:4]
    whole.finish(fitted, sample)
    return fitted, whole.kernel


def fit_in_memory(encoder, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(encoder).fit(X, y)


def by_the_other_folds(encoder, X, y, rows, target_type):
    """Encode each fold by scikit-learn's own encoder, fitted on all others."""
    seed = encoder.random_state if isinstance(encoder.random_state, int) else 0
    fold, out = fold_of(rows, encoder.cv, seed), None
    encoder = clone(encoder).set_params(target_type=target_type)
    for number in range(encoder.cv):
        mine = fold == number
        if not mine.any():
            continue
        found = fit_in_memory(encoder, X[~mine], y[~mine]).transform(X[mine])
        out = np.empty((len(y), found.shape[1])) if out is None else out
        out[mine] = found
    return out


@pytest.mark.parametrize("smooth", ["auto", 0.0, 3.5])
@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_encodings_are_those_of_all_rows(parity, y, smooth):
    encoder = TargetEncoder(smooth=smooth)
    frame = TABLE.to_pandas()
    expected = fit_in_memory(encoder, frame, y)
    fitted, kernel = learn(encoder, BATCH, y)
    parity.same(vars(fitted), vars(expected), "TargetEncoder", 1e-12, 1e-13)
    parity.same(fitted.transform(frame), expected.transform(frame), "output", 1e-12, 1e-13)
    parity.same(kernel.apply(BATCH), fitted.transform(frame), "kernel")
    assert kernel.width == len(expected.get_feature_names_out())
    again = pickle.loads(pickle.dumps(fitted))
    parity.same(again.transform(frame), fitted.transform(frame), "unpickled")
    # The plain estimator compiles to the same, less the folds.
    parity.same(compile_transformer(fitted).apply(BATCH), kernel.apply(BATCH), "compiled")


@pytest.mark.parametrize("cv", [2, 5])
@pytest.mark.parametrize("smooth", ["auto", 0.0, 3.5])
@pytest.mark.parametrize("name", ["numbers", "two texts", "classes", "a fraction at last"])
def test_rows_learned_from_are_encoded_by_the_other_folds(parity, name, smooth, cv):
    y, rows, frame = TARGETS[name], np.arange(ROWS), TABLE.to_pandas()
    encoder = TargetEncoder(smooth=smooth, cv=cv)
    fitted, kernel = learn(encoder, BATCH, y)
    expected = by_the_other_folds(encoder, frame, y, rows, fitted.target_type_)
    parity.same(kernel.apply(BATCH, rows), expected, "cross-fitted", 1e-12, 1e-13)
    some = rng.permutation(ROWS)[:100]
    parity.same(kernel.apply(BATCH.take(pa.array(some)), some), expected[some], "some", 1e-12)


def test_folds_go_by_row_and_seed_and_not_by_what_is_held_out():
    rows = np.arange(100_000)
    folds = fold_of(rows, 5, 0)
    assert (np.abs(np.bincount(folds) - 20_000) < 600).all()
    assert (folds[5:70] == fold_of(rows[5:70], 5, 0)).all()
    assert 0.15 < (folds == fold_of(rows, 5, 1)).mean() < 0.25
    from streamlearn.plan.holdout import held_out

    for seed in (0, 1):
        out = held_out(rows, 0.3, seed)
        assert (np.abs(np.bincount(folds[out]) / out.sum() - 0.2) < 0.01).all()


def test_given_categories_and_unknown_values(parity):
    batch = BATCH.select(["text", "whole"])
    frame, y = batch.to_pandas(), TARGETS["numbers"]
    texts = sorted(set(frame["text"].dropna()))
    encoder = TargetEncoder(categories=[texts[3:20], [-1, 0, 4, 99]])
    expected = fit_in_memory(encoder, frame, y)
    fitted, kernel = learn(encoder, batch, y)
    parity.same(vars(fitted), vars(expected), "TargetEncoder", 1e-12)
    parity.same(kernel.apply(batch), expected.transform(frame), "output", 1e-12)
    crossed = by_the_other_folds(encoder, frame, y, np.arange(ROWS), "continuous")
    parity.same(kernel.apply(batch, np.arange(ROWS)), crossed, "cross-fitted", 1e-12)


@pytest.mark.parametrize("offset", [1e6, 1e9])
def test_an_offset_of_the_target_is_only_an_offset(offset):
    y = np.round(rng.normal(size=ROWS) * 1024) / 1024
    batch = BATCH.select(["text", "rare"])
    plain, _ = learn(TargetEncoder(), batch, y)
    moved, _ = learn(TargetEncoder(), batch, y + offset)
    for mine, theirs in zip(moved.encodings_, plain.encodings_, strict=True):
        np.testing.assert_allclose(mine - offset, theirs, 0, 2e-16 * offset)


def test_a_float32_target_is_summed_in_double(parity):
    # scikit-learn takes its mean in float32, of seven digits.
    y = TARGETS["numbers"].astype(np.float32)
    fitted, _ = learn(TargetEncoder(), BATCH, y)
    expected = fit_in_memory(TargetEncoder(), TABLE.to_pandas(), y.astype(float))
    assert type(fitted.target_mean_) is np.float32
    parity.same(fitted.encodings_, expected.encodings_, "encodings_", 1e-12)


@pytest.mark.parametrize(
    "X",
    [
        rng.integers(0, 5, (ROWS, 2)),
        rng.integers(0, 5, (ROWS, 2)).astype(np.float32),
        rng.choice(np.array(["a", "b"], dtype=object), (ROWS, 2)),  # of an imputer: no gaps
    ],
)
def test_a_matrix_is_encoded_like_a_table(parity, X):
    y = TARGETS["numbers"]
    expected = fit_in_memory(TargetEncoder(), X, y)
    fitted, kernel = learn(TargetEncoder(), X, y)
    parity.same(vars(fitted), vars(expected), "TargetEncoder", 1e-12)
    parity.same(kernel.apply(X), expected.transform(X), "output", 1e-12)


def test_100_000_categories(parity):
    rows = 200_000
    words = np.array([f"w{n}" for n in range(100_000)])
    batch = pa.record_batch({"w": words[rng.integers(0, 100_000, rows)]})
    y = rng.normal(size=rows)
    fitted, kernel = learn(TargetEncoder(), batch, y, (0, 70_000), 8192)
    expected = fit_in_memory(TargetEncoder(), batch.to_pandas(), y)
    parity.same(fitted.encodings_, expected.encodings_, "encodings_", 1e-9, 1e-13)
    assert kernel.apply(batch[:10], np.arange(10)).shape == (10, 1)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", None, "é"]), st.integers(0, 3)),
        min_size=6,
        max_size=40,
    ),
    st.integers(0, 40),
    st.integers(1, 9),
    st.sampled_from([int, float, str]),
)
def test_encodings_do_not_depend_on_how_rows_are_cut(parity, rows, cut, block, kind):
    batch = pa.record_batch({"c": pa.array([row[0] for row in rows], pa.string())})
    y = np.array([kind(row[1]) for row in rows], dtype=object if kind is str else kind)
    one, _ = learn(TargetEncoder(), batch, y, (0,), 1000)
    other, _ = learn(TargetEncoder(), batch, y, (0, min(cut, len(y))), block)
    parity.same(vars(other), vars(one), "TargetEncoder", 1e-12, 1e-14)


def written(tmp_path, y, group=400):
    path = tmp_path / "rows.parquet"
    table = TABLE.select(["text", "whole", "rare"]).append_column(
        "x", pa.array(rng.normal(size=ROWS))
    )
    pq.write_table(table.append_column("y", pa.array(y)), path, row_group_size=group)
    return table.to_pandas(), sl.scan(path, target="y")


def encoding_steps(encoder):
    return ColumnTransformer(
        [
            ("plain", encoder, ["text", "whole"]),
            (
                "scaled",
                make_pipeline(
                    SimpleImputer(strategy="most_frequent"), clone(encoder), StandardScaler()
                ),
                ["text", "rare"],
            ),
            ("number", StandardScaler(), ["x"]),
        ]
    )


@pytest.mark.parametrize(
    ("model", "name"),
    [(SGDRegressor(random_state=0), "numbers"), (SGDClassifier(random_state=0), "three texts")],
)
def test_a_model_learns_from_rows_encoded_by_the_other_folds(parity, tmp_path, model, name):
    y = TARGETS[name]
    frame, source = written(tmp_path, y)
    encoder = TargetEncoder()
    rows, kind = np.arange(ROWS), "continuous" if name == "numbers" else "multiclass"
    plain = by_the_other_folds(encoder, frame[["text", "whole"]], y, rows, kind)
    filled = SimpleImputer(strategy="most_frequent").fit_transform(frame[["text", "rare"]])
    scaler = StandardScaler()
    scaled = scaler.fit_transform(by_the_other_folds(encoder, filled, y, rows, kind))
    number = StandardScaler().fit_transform(frame[["x"]])
    by_hand, X = clone(model), np.hstack([plain, scaled, number])
    for at in range(0, ROWS, 50):
        more = {"classes": np.unique(y)} if name != "numbers" else {}
        by_hand.partial_fit(X[at : at + 50], y[at : at + 50], **more)
    pipeline = Pipeline([("prepare", encoding_steps(encoder)), ("model", model)])
    for size, threads in ((1, 1), (7, 3), (1000, 2)):
        fitted = sl.fit(pipeline, source, chunk_size=size, threads=threads, batch_size=50).estimator
        np.testing.assert_allclose(fitted["model"].coef_, by_hand.coef_, 1e-8, 1e-9)
        # New rows are encoded by all that was learned.
        whole = fit_in_memory(encoder, frame[["text", "whole"]], y)
        steps = fitted["prepare"].named_transformers_
        parity.same(vars(steps["plain"]), vars(whole), "TargetEncoder", 1e-12)
        parity.same(steps["scaled"][-1].mean_, scaler.mean_, "mean_", 1e-9)
        assert fitted.predict(frame).shape == (ROWS,)


def test_growth_counts_folds_and_classes():
    names = ("numbers", "classes")
    grown = []
    for name in names:
        state = TargetMeans(TargetEncoder())
        state.note_rows(np.arange(ROWS))
        state.update(BATCH, TARGETS[name], None)
        grown.append({item.column: item for item in state.growth(exact=True)})
    for item in grown:
        assert item["text"].count == 41  # a missing value is a category
        assert item["rare"].state_bytes > 40 * ROWS
    assert [item["text"].outputs for item in grown] == [1, 4]
    assert grown[1]["rare"].kept_bytes > grown[0]["rare"].kept_bytes


@pytest.mark.parametrize(
    ("encoder", "told"),
    [
        (TargetEncoder(cv=KFold(3)), "KFold.*the number of folds"),
        (TargetEncoder(shuffle=False), "shuffle=False"),
        (TargetEncoder(random_state=np.random.RandomState(0)), "give a whole number"),
    ],
)
def test_options_that_need_all_rows_are_refused(encoder, told):
    with pytest.raises(UnsupportedEstimatorError, match=told):
        TargetMeans(encoder)


def test_no_way_leads_to_rows_encoded_by_their_own_target(tmp_path):
    _, source = written(tmp_path, TARGETS["numbers"])

    class Own(ColumnTransformer):
        """Keeps its own transform, which knows nothing of folds."""

    own = Own([("t", TargetEncoder(), ["text"]), ("n", StandardScaler(), ["x"])])
    with pytest.raises(UnsupportedEstimatorError, match="cannot be cross-fitted"):
        sl.fit(make_pipeline(own, SGDRegressor()), source)
    fitted, kernel = learn(TargetEncoder(), BATCH, TARGETS["numbers"])
    with pytest.raises(UsageError, match="folds are not known"):
        compile_transformer(fitted).apply(BATCH, np.arange(ROWS))
    _, kernel = learn(TargetEncoder(), BATCH[:1], TARGETS["numbers"][:1], (0,))
    with pytest.raises(DataError, match="more rows"):
        kernel.apply(BATCH[:1], np.arange(1))


@pytest.mark.parametrize("frames", ["nowhere", "a sibling", "everywhere"])
def test_frames_between_steps_are_cross_fitted_all_the_same(tmp_path, frames):
    _, source = written(tmp_path, TARGETS["numbers"])
    pipeline = make_pipeline(
        ColumnTransformer([("t", TargetEncoder(), ["text"]), ("n", StandardScaler(), ["x"])]),
        StandardScaler(),
        SGDRegressor(random_state=0),
    )
    expected = sl.fit(pipeline, source).estimator[-1].coef_
    if frames == "a sibling":
        pipeline[0].transformers[1][1].set_output(transform="pandas")
    elif frames == "everywhere":
        pipeline.set_output(transform="pandas")
    found = sl.fit(pipeline, source).estimator
    np.testing.assert_allclose(found[-1].coef_, expected, rtol=1e-9)
    if frames == "everywhere":
        assert list(found[-1].feature_names_in_) == ["t__text", "n__x"]


def test_a_target_of_too_many_classes_is_refused():
    batch = pa.record_batch({"c": rng.choice(np.array(["a", "b"]), 3000)})
    many = np.arange(3000)
    with pytest.raises(DataError, match="target_type='continuous'"):
        learn(TargetEncoder(), batch, many)
    with pytest.raises(DataError, match="target_type='continuous'"):
        learn(TargetEncoder(), batch, many.astype(float))
    fitted, _ = learn(TargetEncoder(), batch, np.append(many[:-1], 0.5))
    assert fitted.target_type_ == "continuous"
    learn(TargetEncoder(target_type="continuous"), batch, many)
