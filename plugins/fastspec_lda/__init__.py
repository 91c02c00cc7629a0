"""Linear discriminant analysis with a shrunk covariance: the linear model that is computed, not searched for."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from fastspec.errors import PluginError
from fastspec.learn import SklearnClassifier
from fastspec.learn.classifier import Groups, Labels

MOST_COLUMNS = 8192


@dataclass(kw_only=True, eq=False)
class LDA(SklearnClassifier):
    """Linear discriminant analysis by scikit-learn, columns standardised on the training clips.

    All classes share one covariance S, which is shrunk to `(1 - shrinkage) S + shrinkage tr(S) / columns I`; there is no step that has to
    converge and, with the shrinkage estimated, nothing to set. The covariance takes the square of the columns in memory.

    Attributes:
        shrinkage: 0 to 1; none estimates the one of least squared error (Ledoit and Wolf 2004).
    """

    name = "lda"
    estimator = "sklearn.discriminant_analysis:LinearDiscriminantAnalysis"
    standardize = True
    shrinkage: float | None = None

    def build(self) -> Any:
        return super().build().set_params(solver="lsqr", shrinkage="auto" if self.shrinkage is None else self.shrinkage)

    def fit_columns(self, columns: NDArray[Any], codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:
        if columns.shape[1] > MOST_COLUMNS:
            raise PluginError(f"lda is given {columns.shape[1]} columns and takes at most {MOST_COLUMNS}; use pool=stats, or fewer bands")
        return super().fit_columns(columns, codes, n_classes=n_classes, groups=groups)
