"""The story of a run: plan, fit, evaluate, predict; and of data: convert, profile.

The only file that knows every layer.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import pyarrow as pa

from streamlearn.bundle import save_run, staged
from streamlearn.contest import Contest
from streamlearn.conversion import Conversion, Converting, ConvertOptions
from streamlearn.errors import UsageError
from streamlearn.evaluating import Evaluating
from streamlearn.evaluation import Evaluation
from streamlearn.fitting import Fitting
from streamlearn.journal import journal, log_event
from streamlearn.learn.profile import Profile
from streamlearn.manifest import derived_for
from streamlearn.measuring import EvaluateOptions
from streamlearn.plan.job import Options, check_on_error, scratch_folder, take_apart
from streamlearn.plan.plan import Plan
from streamlearn.plan.projection import make_plan
from streamlearn.predicting import Batches, Predicting, PredictOptions
from streamlearn.prediction import Prediction, Saving
from streamlearn.profiling import Profiling
from streamlearn.result import Result, load
from streamlearn.source.dataset import Dataset
from streamlearn.source.quarantine import Quarantine
from streamlearn.source.scan import scan
from streamlearn.stream.call import bounded
from streamlearn.stream.events import Listener
from streamlearn.write.place import find_place

__all__ = ["convert", "evaluate", "explain", "fit", "predict", "profile"]


def explain(estimator: Any, data: Any, **options: Any) -> Plan:
    """Say what fitting would read, how often, why, and what it would hold; reads no row.

    Parameters
    ----------
    estimator : Pipeline, ColumnTransformer or estimator
    data : Dataset, or what `streamlearn.scan` takes
    **options
        As for `fit`, from ``memory_budget`` to ``run``.

    Returns
    -------
    Plan
        Prints as a table.

    Raises
    ------
    UnsupportedEstimatorError
        If a step cannot be fitted from chunks.
    MemoryBudgetError
        If it would not fit, with the budget that would do.

    Examples
    --------
    >>> from sklearn.linear_model import SGDRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> plan = explain(make_pipeline(StandardScaler(), SGDRegressor()), (X, X[:, 0]))
    >>> [item.name for item in plan.passes]
    ['statistics', 'learn']
    """
    wanted = Options(**options)
    with bounded(wanted.memory_budget) as call:
        job = take_apart(estimator, data, wanted)
        return call.plan(partial(make_plan, job))


def fit(
    estimator: Any,
    data: Any,
    *,
    memory_budget: str | int | None = "auto",
    hard_limit: bool = False,
    chunk_size: int | None = None,
    batch_size: int | None = None,
    epochs: int = 1,
    shuffle: bool = False,
    validation: float = 0.0,
    early_stopping: bool = False,
    tol: float = 1e-3,
    n_iter_no_change: int = 5,
    random_state: int = 0,
    threads: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
    on_error: str = "raise",
    on_unsupported: str = "raise",
    sample_rows: int = 100_000,
    quantiles: str = "exact",
    cache: bool | None = None,
    run: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    listeners: Sequence[Listener] = (),
) -> Result:
    """Fit a scikit-learn estimator on data larger than memory, inside a memory budget.

    Parameters
    ----------
    estimator : Pipeline, ColumnTransformer or estimator
        Transformers that streamlearn knows (docs/catalogue.md lists them), nested in any way, and
        a last step with ``partial_fit``. It is cloned, not changed.
    data : Dataset, or what `streamlearn.scan` takes
    memory_budget : str or int, default "auto"
        Highest resident memory the process may reach: ``"512MB"``, ``"2GiB"``, ``"50%"`` of
        what is available, ``"+300MB"`` above what it holds now; ``"auto"`` is half of what is
        available.
    hard_limit : bool, default False
        Let the kernel refuse memory beyond the budget, so that an overrun ends as a
        `MemoryBudgetError` and not as a killed process (Linux).
    chunk_size : int, optional
        Rows read at once; by default what the budget allows. Changes no bit of the model.
    batch_size : int, optional
        Rows given to the model at once: part of the mathematics. By default the estimator's
        own ``batch_size``, or 32,768.
    epochs : int, default 1
        Times the model sees all rows.
    shuffle : bool, default False
        Shuffle rows for the model, each epoch anew; they are kept on disk for that.
    validation : float, default 0
        Share of rows held out, chosen by a hash of the row number.
    early_stopping : bool, default False
        Stop when the held-out score (accuracy or R²) has not improved by ``tol`` for
        ``n_iter_no_change`` epochs. The model is that of the last epoch, as scikit-learn's SGD.
    tol, n_iter_no_change
        See ``early_stopping``.
    random_state : int, default 0
        Seed of everything random, and of estimators whose own ``random_state`` is None.
    threads : int, optional
        By default the number of cores. Changes no bit of the model.
    scratch_dir : path, optional
        Where shuffled, prepared and held-out rows are kept; the system's temporary folder by
        default.
    on_error : {"raise", "quarantine"}, default "raise"
        What becomes of rows that cannot be used: fragments that cannot be read, lines that do
        not parse, targets and weights that are no finite number, infinite features. With
        ``"quarantine"`` they are found in a pass of their own, left out, counted as rejected,
        and listed in ``result.quarantine`` and the run's ``quarantine.jsonl``.
    on_unsupported : {"raise", "sample"}, default "raise"
        What becomes of a transformer that learns from rows and has no fit from chunks. With
        ``"sample"`` it is fitted on a uniform random sample of the rows, chosen by
        ``random_state``; the result and the report say so.
    sample_rows : int, default 100,000
        Rows of such a sample.
    quantiles : {"exact", "sketch"}, default "exact"
        Whether medians and other quantiles are exact, which may take one or two passes more, or
        from a sketch with a bound on its error, which the result and the report state.
    cache : bool, optional
        Keep prepared rows on disk between epochs, which are then neither decoded nor transformed
        again; by default where that is projected to save time and the disk has twice the room.
    run : path, optional
        Folder to save the run in.
    overwrite : bool, default False
        Replace a run that is there already.
    listeners : sequence of callable
        Each takes every `streamlearn.stream.events.Event`; `streamlearn.Progress()` shows them in
        a notebook or a terminal.

    Returns
    -------
    Result
        Its ``estimator`` is a plain, fitted scikit-learn object.

    Raises
    ------
    MemoryBudgetError
        If it does not fit, before the first row is read wherever that can be known.
    UnsupportedEstimatorError
        If a step cannot be fitted from chunks.
    DataError
        If the data holds what a step cannot take; the message says where.
    DivergenceError
        If the model ran to NaN or infinity.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> result = fit(make_pipeline(StandardScaler(), SGDClassifier()), (X, y), epochs=3)
    >>> result.estimator.score(X, y) > 0.95
    True
    """
    options = Options(
        memory_budget=memory_budget,
        hard_limit=hard_limit,
        chunk_size=chunk_size,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=shuffle,
        validation=validation,
        early_stopping=early_stopping,
        tol=tol,
        n_iter_no_change=n_iter_no_change,
        random_state=random_state,
        threads=threads,
        scratch_dir=scratch_dir,
        run=run,
        on_error=on_error,
        on_unsupported=on_unsupported,
        sample_rows=sample_rows,
        quantiles=quantiles,
        cache=cache,
    )
    with ExitStack() as stack:
        stage = None
        if run is not None:
            stage = stack.enter_context(staged(run, overwrite=overwrite))
            stack.enter_context(journal(stage))
        call = stack.enter_context(
            bounded(memory_budget, hard_limit=hard_limit, listeners=[*listeners, log_event])
        )
        job = take_apart(estimator, data, options)
        plan = call.plan(partial(make_plan, job))
        governor = call.governor(plan.memory)
        result = Fitting(job, plan, governor, call.recorder).run()
        if run is not None and stage is not None:
            result = save_run(result, run, stage, governor.finish, governor.relieve)
        return result


def evaluate(
    model: Any,
    data: Any,
    *,
    metrics: Sequence[str] | str = (),
    exact: bool | Sequence[str] = False,
    slice_by: Sequence[str] | str = (),
    fairness_by: Sequence[str] | str = (),
    positive: Any = None,
    compare: Any = (),
    require: Sequence[str] | str = (),
    confidence: float = 0.95,
    draws: int = 400,
    random_state: int = 0,
    slices: int = 1_000,
    least_rows: int = 30,
    segments: int = 50,
    memory_budget: str | int | None = "auto",
    hard_limit: bool = False,
    chunk_size: int | None = None,
    threads: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
    on_error: str = "raise",
    listeners: Sequence[Listener] = (),
) -> Evaluation:
    """Judge a fitted model on data larger than memory, in one pass.

    Parameters
    ----------
    model : Result, path of a run folder, or fitted scikit-learn predictor
    data : Dataset, or what `streamlearn.scan` takes
        With a target, and the columns the model was fitted on. Of a clusterer with
        ``cluster_centers_`` the target may be missing: then it is scored by the rows themselves.
    metrics : sequence of str, optional
        By scikit-learn's scorer names, or plain ones (``rmse``, ``mae``); the first is the one that
        drift and the worst slices go by.
        By default common ones of classifiers or regressors.
    exact : bool or sequence of str, default False
        Compute metrics that are otherwise binned (``roc_auc``, ``average_precision``, ``ks``,
        ``median_absolute_error``) exactly, by a sort on disk: all of them, or those named. Those
        of slices stay binned.
    slice_by : sequence of str
        Columns, features or not, whose values make slices: ``"zone"`` (values as they are; floats
        of more than 20 values in four quantile bins), ``"distance:10"`` (quantile bins),
        ``"pickup:month"`` (``year``, ``month``, ``day``, ``weekday``, ``hour``), ``"file"``. Edges
        of bins come from a sample of the stored rows, which the table says.
    fairness_by : sequence of str
        Columns, as for ``slice_by``, between whose groups a classifier is compared.
    positive : object, optional
        The positive class for fairness; the second of two by default.
    compare : Result, path, predictor, or a sequence or mapping of these
        Models to answer the same rows in the same pass, with paired intervals of the differences.
    require : sequence of str
        Gates: ``"rmse <= 6.5"``, ``"roc_auc >= 0.8 where PULocationID == 74"``. Whether they were
        kept is in ``gates`` and ``passed``; nothing is raised.
    confidence : float, default 0.95
        Of the intervals, which are those of a Poisson bootstrap over buckets of rows.
    draws : int, default 400
        Of the bootstrap.
    random_state : int, default 0
        Seed of the bootstrap.
    slices : int, default 1,000
        Values of a column that get a slice of their own, in the order of the rows; further ones
        share one, and the evaluation says how many rows that are.
    least_rows : int, default 30
        Smaller slices are not among the worst, and smaller groups not in the fairness gaps.
    segments : int, default 50
        Equal stretches of the stored rows for which the main metric is kept, to see drift; 0 for
        none.
    memory_budget, hard_limit, chunk_size, threads, scratch_dir, on_error, listeners
        As for `fit`. None of them changes a bit of the result. With ``on_error="quarantine"``,
        rows are set aside for what stands in columns to slice by too.

    Returns
    -------
    Evaluation
        Its ``metrics`` map scikit-learn's scorer names (``r2``, ``accuracy``, ...) and the plain
        names of errors (``rmse``, ``mae``, ``log_loss``) to values.

    Raises
    ------
    UsageError
        If an option cannot be right, as a metric, a slice or a gate.
    SchemaError
        If columns are missing.
    MemoryBudgetError
        If it does not fit, before the first row is read.
    DataError
        If a row cannot be predicted or scored; the message says where it is.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import SGDRegressor
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> result = fit(SGDRegressor(), (X, X[:, 0]), epochs=5)
    >>> found = evaluate(result, (X, X[:, 0]), slice_by=["1:4"], require=["rmse <= 0.1"])
    >>> found.metrics["r2"] > 0.99, found.passed, len(found.slices[0])
    (True, True, 4)
    """
    check_on_error(on_error)
    folder = scratch_folder(scratch_dir)
    options = EvaluateOptions(
        metrics=_texts("metrics", metrics),
        exact=exact if isinstance(exact, bool) else _texts("exact", exact),
        slice_by=_texts("slice_by", slice_by),
        fairness_by=_texts("fairness_by", fairness_by),
        positive=positive,
        require=_texts("require", require),
        confidence=confidence,
        draws=draws,
        random_state=random_state,
        slices=slices,
        least_rows=least_rows,
        segments=segments,
        chunk_size=chunk_size,
        threads=threads,
        scratch_dir=folder,
    )
    with bounded(memory_budget, hard_limit=hard_limit, listeners=listeners) as call:
        contest = Contest.of(model, compare)
        dataset = data if isinstance(data, Dataset) else scan(data)
        if on_error == "quarantine":
            dataset = dataset.quarantined(Quarantine(folder))
        evaluating = Evaluating(contest.models, dataset, options, contest.about)
        memory = call.plan(evaluating.plan)
        return evaluating.run(memory, call.governor(memory), call.recorder)


def predict(
    model: Any,
    data: Any,
    *,
    out: str | os.PathLike[str] | None = None,
    method: str | Sequence[str] = "predict",
    columns: Sequence[Any] = (),
    row_ids: bool = False,
    memory_budget: str | int | None = "auto",
    hard_limit: bool = False,
    chunk_size: int | None = None,
    threads: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
    on_error: str = "raise",
    overwrite: bool = False,
    format: str | None = None,  # noqa: A002 - the word users know
    compression: str = "zstd",
    row_group_bytes: str | int | None = None,
    rows_per_file: int | None = None,
    listeners: Sequence[Listener] = (),
) -> Prediction | Batches:
    """Ask a fitted model about data larger than memory, inside a memory budget.

    The rows come in input order, one of output for one of input. Blocks of one size, a function of
    the model alone, are answered in several threads: the answers do not depend on budget, chunk
    size or threads, to the bit.

    Parameters
    ----------
    model : Result, path of a run folder, or fitted scikit-learn estimator
    data : Dataset, or what `streamlearn.scan` takes
        With the columns the model was fitted on; a target is not looked at. Columns that the run
        computed in SQL are computed again where ``data`` is no Dataset yet. The condition on rows of
        the run is not applied: name one in `scan`.
    out : path, optional
        ``"answers.parquet"`` is one file, ``"answers/"`` a folder of files, ``"answers.zarr"`` a store
        with an array for each method (``prediction``, ``probability``, ``decision``, ``X``) and each
        further column. It is complete or not there at all. By default nothing is written.
    method : str or list of str, default "predict"
        ``"predict"``, ``"predict_proba"``, ``"decision_function"``, ``"transform"``, or several. Their
        columns are ``prediction``; ``probability_<class>``; ``decision``, or ``decision_<class>`` of
        more than two classes; and the names of ``get_feature_names_out``. Several outputs are
        numbered: ``prediction_0``, ... A sparse output is filled with zeros, up to 1,024 columns.
    columns : sequence of str, optional
        Columns passed through; of a matrix their positions.
    row_ids : bool, default False
        Add a column ``row``: the number of the row in the source (int64), before any filter.
    memory_budget, hard_limit, chunk_size, threads, scratch_dir, listeners
        As for `fit`.
    on_error : {"raise", "quarantine"}, default "raise"
        With ``"quarantine"``, rows that cannot be predicted are left out, counted and listed:
        those that cannot be read or are infinite, and those the model or its steps refuse.
    overwrite, format, compression, row_group_bytes, rows_per_file
        As for `convert`.

    Returns
    -------
    Prediction
        With ``out``: rows, files, memory, seconds.
    Batches
        Without: an iterator of `pyarrow.RecordBatch`. It is not read ahead further than the budget
        allows, and can be closed at any time.

    Raises
    ------
    MemoryBudgetError
        If it does not fit, before the first row is read.
    SchemaError
        If columns are missing.
    UsageError
        If the model is not fitted or lacks the method, or something stands at ``out``.
    DataError
        If a row cannot be predicted; the message says where it is.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> model = LinearRegression().fit(X, X[:, 0])
    >>> [batch.num_rows for batch in predict(model, X)]
    [3]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = predict(model, X, out=f"{folder}/answers.parquet", row_ids=True)
    >>> done.columns, done.rows.predicted
    (('row', 'prediction'), 3)
    """
    check_on_error(on_error)
    folder = scratch_folder(scratch_dir)
    options = PredictOptions(
        method=method,
        columns=columns,
        row_ids=row_ids,
        chunk_size=chunk_size,
        threads=threads,
        scratch_dir=folder,
        overwrite=overwrite,
        format=format,
        compression=compression,
        row_group_bytes=row_group_bytes,
        rows_per_file=rows_per_file,
    )
    if out is not None:
        find_place(out, format).refuse_occupied(overwrite=overwrite)
    if isinstance(model, str | os.PathLike):
        model = load(model)
    estimator = model.estimator if isinstance(model, Result) else model
    manifest = model.manifest if isinstance(model, Result) else {}

    def opened() -> Predicting:
        dataset = data
        if not isinstance(data, Dataset):
            known = getattr(estimator, "feature_names_in_", None)
            needed = None if known is None else [*known, *map(str, columns)]
            dataset = scan(data, derive=derived_for(manifest, needed) or None)
        if on_error == "quarantine":
            dataset = dataset.quarantined(Quarantine(folder))
        return Predicting(estimator, dataset, options)

    limits: Any = {"hard_limit": hard_limit, "listeners": listeners, "jemalloc": False}
    if out is None:
        predicting = opened()

        def batches() -> Generator[pa.RecordBatch, None, None]:
            with bounded(memory_budget, **limits) as call:
                memory = call.plan(predicting.plan)
                yield from predicting.batches(memory, call.governor(memory))

        return Batches(predicting, batches())
    with bounded(memory_budget, **limits) as call:
        saving = Saving(opened(), out, options, _about(manifest), _paths(data))
        memory = call.plan(saving.plan)
        return saving.run(memory, call.governor(memory), call.recorder)


def _about(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what an output says of the run that its model comes from."""
    if not manifest:
        return {}
    return {
        "fitted_on": manifest.get("data", {}).get("fingerprint"),
        "seed": manifest.get("seed"),
        "versions": manifest.get("versions"),
    }


def _paths(data: Any) -> list[str]:
    """Return the paths that the user named, where data is no more than that."""
    items = data if isinstance(data, list | tuple) else [data]
    return [os.fspath(item) for item in items if isinstance(item, str | os.PathLike)]


def _texts(name: str, given: Sequence[str] | str) -> tuple[str, ...]:
    """Return texts as a tuple; a single one need not be in a list."""
    found = (given,) if isinstance(given, str) else tuple(given)
    wrong = [item for item in found if not isinstance(item, str) or not item.strip()]
    if wrong:
        raise UsageError(f"{name}= takes texts, not {wrong[0]!r}")
    return found


def convert(
    data: Any,
    dst: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    memory_budget: str | int | None = "auto",
    hard_limit: bool = False,
    shuffle: bool = False,
    random_state: int = 0,
    compression: str = "zstd",
    row_group_bytes: str | int | None = None,
    rows_per_file: int | None = None,
    shards: bool | str | int = False,
    overwrite: bool = False,
    chunk_size: int | None = None,
    threads: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
    on_error: str = "raise",
    listeners: Sequence[Listener] = (),
) -> Conversion:
    """Write data anew, to parquet or zarr, inside a memory budget.

    Features, target and weight are written; computed columns and the condition on rows are
    applied. The output is complete or not there at all, and its bytes depend on the data as stored
    and on the options of the format, never on budget, chunk size or threads.

    Parameters
    ----------
    data : Dataset, or what `streamlearn.scan` takes
    dst : path
        ``"trips.parquet"`` is one file, ``"trips/"`` a folder of files ``part-00000.parquet``, ...,
        and ``"trips.zarr"`` a store (version 3): a group with ``X`` of shape (rows, columns), and
        ``y`` and ``sample_weight`` of shape (rows,) where there are a target and a weight.
    format : {"parquet", "zarr"}, optional
        Where the name does not tell.
    memory_budget, hard_limit, chunk_size, threads, on_error, listeners
        As for `fit`.
    shuffle : bool, default False
        Put all rows in random order, by way of the disk: every order is as likely as any other.
    random_state : int, default 0
        Seed of that order.
    compression : str, default "zstd"
        Of parquet ``"zstd"``, ``"snappy"``, ``"gzip"``, ``"lz4"``, ``"brotli"`` or ``"none"``; of
        zarr ``"zstd"``, ``"gzip"`` or ``"none"``.
    row_group_bytes : str or int, default "32MiB"
        Decoded bytes of a row group of parquet.
    rows_per_file : int, optional
        For a folder of parquet files; by default 16 row groups make a file.
    shards : bool, str or int, default False
        Put chunks of zarr together in shards of so many decoded bytes; True is ``"64MiB"``.
    overwrite : bool, default False
        Replace an earlier output; nothing else is ever replaced.
    scratch_dir : path, optional
        Where rows are kept while they are shuffled; the system's temporary folder by default.

    Returns
    -------
    Conversion
        Rows, bytes, memory and seconds.

    Raises
    ------
    MemoryBudgetError
        If it does not fit, before the first row is read.
    UsageError
        If something stands at ``dst``, or columns that are no numbers are to go to zarr.
    DataError
        If a value cannot be written; the message says where it is.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = convert((X, np.array([0, 1, 0])), f"{folder}/small.parquet")
    ...     back = scan(f"{folder}/small.parquet", target="target")
    >>> done.rows.written, back.features.names
    (3, ['0', '1'])
    """
    options = ConvertOptions(
        format=format,
        shuffle=shuffle,
        random_state=random_state,
        compression=compression,
        row_group_bytes=row_group_bytes,
        rows_per_file=rows_per_file,
        shards=shards,
        overwrite=overwrite,
        chunk_size=chunk_size,
        threads=threads,
        scratch_dir=scratch_dir,
    )
    check_on_error(on_error)
    # Between groups memory is given back on purpose, which Arrow's default pool does when asked.
    with bounded(memory_budget, hard_limit=hard_limit, listeners=listeners, jemalloc=False) as call:
        dataset = data if isinstance(data, Dataset) else scan(data)
        if on_error == "quarantine":
            dataset = dataset.quarantined(Quarantine(scratch_folder(scratch_dir)))
        converting = Converting(dataset, dst, options)
        memory = call.plan(converting.plan)
        return converting.run(memory, call.governor(memory), call.recorder)


def profile(
    data: Any,
    *,
    memory_budget: str | int | None = "auto",
    hard_limit: bool = False,
    chunk_size: int | None = None,
    threads: int | None = None,
    listeners: Sequence[Listener] = (),
) -> Profile:
    """Say what the columns of some data hold, and what to look at before learning; in one pass.

    Parameters
    ----------
    data : Dataset, or what `streamlearn.scan` takes
        With a target, features are checked for giving it away.
    memory_budget, hard_limit, chunk_size, threads, listeners
        As for `fit`. None of them changes a number.

    Returns
    -------
    Profile
        Prints as a table. Nulls, extremes, means and deviations are exact; distinct values up to
        1,000, then estimated to 6.6 % (three standard errors; more for over 244 columns, and of
        more than 500 columns a lower limit); quantiles are those of a sample of 4,096 rows (fewer
        of wide data), off by 2.1 % in rank.

    Raises
    ------
    MemoryBudgetError
        If it does not fit, before the first row is read.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> found = profile((X, X[:, 0]))
    >>> found["1"].distinct, [finding.kind for finding in found.findings]
    (1000, ['leakage'])
    """
    with bounded(memory_budget, hard_limit=hard_limit, listeners=listeners) as call:
        dataset = data if isinstance(data, Dataset) else scan(data)
        profiling = Profiling(dataset, chunk_size, threads)
        memory = call.plan(profiling.plan)
        return profiling.run(memory, call.governor(memory), call.recorder)
