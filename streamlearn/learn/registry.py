"""Which scikit-learn class learns from chunks in which way.

To add a way of fitting: write an accumulator (`streamlearn.learn.base.Accumulator`), and
`register` it for the class. Subclasses inherit it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamlearn.errors import UnsupportedEstimatorError
from streamlearn.learn.base import Accumulator

__all__ = ["Exact", "Fallback", "Learner", "Recipe", "Stateless", "find_recipe", "register"]


@dataclass(frozen=True)
class Exact:
    """Fitted from mergeable statistics, equal to the fit in memory."""

    make: Callable[[Any], Accumulator]
    """Empty accumulator for an estimator."""


@dataclass(frozen=True)
class Stateless:
    """Learns nothing from rows; its own fit sees names and types only."""


@dataclass(frozen=True)
class Learner:
    """Learns from batches in order, through ``partial_fit``."""


Recipe = Exact | Stateless | Learner
Fallback = Callable[[Any], Accumulator]
"""Makes what fits an estimator that has no fit from chunks."""

_BUILT_IN: dict[str, str] = {
    "sklearn.decomposition.FactorAnalysis": "streamlearn.learn.components.FactorScatter",
    "sklearn.decomposition.PCA": "streamlearn.learn.components.PrincipalScatter",
    "sklearn.decomposition.TruncatedSVD": "streamlearn.learn.components.RawScatter",
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": (
        "streamlearn.learn.discriminant.ClassScatter"
    ),
    "sklearn.feature_extraction.CountVectorizer": "streamlearn.learn.vocabulary.Vocabulary",
    "sklearn.feature_extraction.DictVectorizer": "streamlearn.learn.dict_features.DictFeatures",
    "sklearn.feature_extraction.TfidfTransformer": "streamlearn.learn.documents.DocumentCounts",
    "sklearn.feature_extraction.TfidfVectorizer": "streamlearn.learn.vocabulary.Vocabulary",
    "sklearn.feature_selection.GenericUnivariateSelect": (
        "streamlearn.learn.selection.SelectionScores"
    ),
    "sklearn.feature_selection.SelectFdr": "streamlearn.learn.selection.SelectionScores",
    "sklearn.feature_selection.SelectFpr": "streamlearn.learn.selection.SelectionScores",
    "sklearn.feature_selection.SelectFwe": "streamlearn.learn.selection.SelectionScores",
    "sklearn.feature_selection.SelectKBest": "streamlearn.learn.selection.SelectionScores",
    "sklearn.feature_selection.SelectPercentile": "streamlearn.learn.selection.SelectionScores",
    "sklearn.feature_selection.VarianceThreshold": "streamlearn.learn.variances.Variances",
    "sklearn.impute.MissingIndicator": "streamlearn.learn.indicator.MissingColumns",
    "sklearn.impute.SimpleImputer": "streamlearn.learn.imputing.ImputerStatistics",
    "sklearn.kernel_approximation.Nystroem": "streamlearn.learn.reservoir.LandmarkSample",
    "sklearn.kernel_approximation.RBFSampler": "streamlearn.learn.shapes.Shape",
    "sklearn.preprocessing.KBinsDiscretizer": "streamlearn.learn.bins.BinEdges",
    "sklearn.preprocessing.LabelBinarizer": "streamlearn.learn.labels.Labels",
    "sklearn.preprocessing.LabelEncoder": "streamlearn.learn.labels.Labels",
    "sklearn.preprocessing.MaxAbsScaler": "streamlearn.learn.extrema.Extrema",
    "sklearn.preprocessing.MinMaxScaler": "streamlearn.learn.extrema.Extrema",
    "sklearn.preprocessing.MultiLabelBinarizer": "streamlearn.learn.labels.Labels",
    "sklearn.preprocessing.OneHotEncoder": "streamlearn.learn.categories.Categories",
    "sklearn.preprocessing.OrdinalEncoder": "streamlearn.learn.categories.Categories",
    "sklearn.preprocessing.PowerTransformer": "streamlearn.learn.power.PowerLikelihood",
    "sklearn.preprocessing.QuantileTransformer": "streamlearn.learn.quantiles.Landmarks",
    "sklearn.preprocessing.RobustScaler": "streamlearn.learn.quantiles.RobustQuantiles",
    "sklearn.preprocessing.SplineTransformer": "streamlearn.learn.knots.SplineKnots",
    "sklearn.preprocessing.StandardScaler": "streamlearn.learn.moments.ScalerMoments",
    "sklearn.preprocessing.TargetEncoder": "streamlearn.learn.target_means.TargetMeans",
    "sklearn.random_projection.GaussianRandomProjection": "streamlearn.learn.shapes.Shape",
    "sklearn.random_projection.SparseRandomProjection": "streamlearn.learn.shapes.Shape",
}
_STATELESS = {
    "AdditiveChi2Sampler",
    "Binarizer",
    "FeatureHasher",
    "FunctionTransformer",
    "HashingVectorizer",
    "Normalizer",
    "PolynomialCountSketch",
    "PolynomialFeatures",
    "SkewedChi2Sampler",
}
_INSTEAD = {
    "LogisticRegression": "SGDClassifier(loss='log_loss')",
    "LinearRegression": "SGDRegressor()",
    "Ridge": "SGDRegressor(penalty='l2')",
    "Lasso": "SGDRegressor(penalty='l1')",
    "ElasticNet": "SGDRegressor(penalty='elasticnet')",
    "LinearSVC": "SGDClassifier(loss='hinge')",
    "SVC": "SGDClassifier(loss='hinge')",
    "LinearSVR": "SGDRegressor(loss='epsilon_insensitive')",
    "HuberRegressor": "SGDRegressor(loss='huber')",
    "BisectingKMeans": "MiniBatchKMeans()",
    "DictionaryLearning": "MiniBatchDictionaryLearning()",
    "FastICA": "PCA(whiten=True)",
    "FeatureAgglomeration": "PCA()",
    "Isomap": "make_pipeline(Nystroem(), PCA())",
    "IterativeImputer": "SimpleImputer(strategy='median')",
    "KMeans": "MiniBatchKMeans()",
    "KNNImputer": "SimpleImputer(strategy='median')",
    "KernelPCA": "make_pipeline(Nystroem(), PCA())",
    "LocallyLinearEmbedding": "make_pipeline(Nystroem(), PCA())",
    "MiniBatchSparsePCA": "MiniBatchDictionaryLearning()",
    "NMF": "MiniBatchNMF()",
    "NeighborhoodComponentsAnalysis": "LinearDiscriminantAnalysis()",
    "RFE": "SelectFromModel(SGDClassifier(penalty='l1'))",
    "RFECV": "SelectFromModel(SGDClassifier(penalty='l1'))",
    "RandomTreesEmbedding": "KBinsDiscretizer()",
    "SelectFromModel": "SelectFromModel(SGDClassifier(penalty='l1'))",
    "SequentialFeatureSelector": "SelectFromModel(SGDClassifier(penalty='l1'))",
    "SparsePCA": "MiniBatchDictionaryLearning()",
    "TSNE": "PCA(n_components=2)",
}
_registered: dict[type, Recipe] = {}


def register(kind: type, recipe: Recipe) -> None:
    """Say how a class of estimators, and its subclasses, are fitted from chunks.

    Parameters
    ----------
    kind : type
        A scikit-learn compatible estimator class.
    recipe : Exact, Stateless or Learner

    Examples
    --------
    >>> class Logarithm:
    ...     def fit(self, X, y=None): return self
    ...     def transform(self, X): return np.log(X)
    >>> register(Logarithm, Stateless())
    >>> find_recipe(Logarithm())
    Stateless()
    """
    _registered[kind] = recipe


def find_recipe(estimator: Any) -> Recipe | None:
    """Return how an estimator is fitted from chunks, or None."""
    for kind in type(estimator).__mro__:
        if kind in _registered:
            return _registered[kind]
        package = kind.__module__.split(".")
        if package[0] == "sklearn" and len(package) > 1:
            maker = _BUILT_IN.get(f"sklearn.{package[1]}.{kind.__name__}")
            if maker is not None:
                module, name = maker.rsplit(".", 1)
                return Exact(getattr(importlib.import_module(module), name))
            if kind.__name__ in _STATELESS:
                return Stateless()
    if hasattr(estimator, "partial_fit"):
        return Learner()
    if hasattr(estimator, "transform") and not _requires_fit(estimator):
        return Stateless()
    return None


def _requires_fit(estimator: Any) -> bool:
    tags = getattr(estimator, "__sklearn_tags__", None)
    return bool(tags().requires_fit) if tags is not None else True


def refuse(estimator: Any, path: str) -> UnsupportedEstimatorError:
    """Make the error for a step that cannot be fitted from chunks."""
    name = type(estimator).__name__
    where = f"step {path!r} ({name})" if path else name
    hints = [f"use {_INSTEAD[name]}"] if name in _INSTEAD else []
    if hasattr(estimator, "transform"):
        hints.append(
            "let it be fitted on a random sample of the rows with on_unsupported='sample' "
            "(--on-unsupported sample)"
        )
    elif not hints:
        hints.append("use an estimator with partial_fit")
    if name not in _INSTEAD:
        hints.append("say how it learns with streamlearn.learn.registry.register")
    hint = ", or ".join(hints)
    return UnsupportedEstimatorError(f"{where} cannot be fitted from chunks; {hint}")
