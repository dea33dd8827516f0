"""`wp.LowTensorRankRegressor`: fits in the manners of scikit-learn, for its splitters, scorers and searches.

This is the only module that imports scikit-learn.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from weightpath._types import Float
from weightpath.inference.fit import fit
from weightpath.inference.new_trials import predict_trials
from weightpath.inference.recording import Recording
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Columns of a table of trials, in the order in which an array without names holds them.
COLUMNS = ("trial_id", "condition", "epoch")


class LowTensorRankRegressor(RegressorMixin, BaseEstimator):
    r"""A low-tensor-rank network as a scikit-learn regressor: samples are trials, the target is their activity.

    `X`: the table of trials. A data frame with the columns `trial_id` (place in the session), `condition` and `epoch`,
    of which the last two may be missing; or an array (trial, column) with these columns in this order. `y`: activity
    (trial, time, neuron), NaN where missing. `table(recording)` gives both.

    `predict(X)` gives the activity of any trials of the session. Trials that were not trained on have the predictive
    mean of the prior, as in `wp.cross_validate`. So `KFold`, `GroupKFold`, `cross_val_score` and `GridSearchCV`
    work over trials:

    `GridSearchCV(wp.LowTensorRankRegressor(), {"rank": [1, 2, 3]}, cv=KFold(5, shuffle=True)).fit(X, y)`.

    Parameters are settings of `wp.LowTensorRankRNN` (any other one in the dictionary `settings`) and of `wp.fit`;
    `random_state` is the seed, a whole number. `score` is R^2 over all observed entries, with one scalar mean.
    `GridSearchCV` takes the best mean score; the test curve flattens above the true rank, so prefer the smallest rank
    that is level with it (`wp.cross_validate` does). No control is fitted: nothing about changing weights follows.

    After `fit`: `fit_`, the `wp.Fit`.
    """

    def __init__(
        self, rank=3, *, units=None, decoder="linear", inputs="free", initial_state="condition", kernel=None,
        changes="trial", trial_offset=None, prior_weight="auto", prior_multiplier=1.0, time_constant=4.0, settings=None,
        random_state=0, iterations=1000, learning_rate=1e-2, dtype="float32",
    ):  # fmt: skip
        # Nothing is checked or converted here: that is how scikit-learn clones and changes estimators.
        self.rank = rank
        self.units = units
        self.decoder = decoder
        self.inputs = inputs
        self.initial_state = initial_state
        self.kernel = kernel
        self.changes = changes
        self.trial_offset = trial_offset
        self.prior_weight = prior_weight
        self.prior_multiplier = prior_multiplier
        self.time_constant = time_constant
        self.settings = settings
        self.random_state = random_state
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.dtype = dtype

    @property
    def model(self) -> LowTensorRankRNN:
        """The specification that the parameters stand for.

        **Raises:** ValueError for a setting outside its range or an unknown one.
        """
        names = (
            "rank", "units", "decoder", "inputs", "initial_state", "changes", "trial_offset", "prior_weight",
            "prior_multiplier", "time_constant",
        )  # fmt: skip
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        given |= {} if self.kernel is None else {"kernel": self.kernel}
        further = dict(self.settings or {})
        # A rank from np.arange is a whole number too.
        given |= {"rank": int(self.rank) if isinstance(self.rank, np.integer) else self.rank}
        unknown = [name for name in further if name in given or name not in LowTensorRankRNN.__dataclass_fields__]
        if unknown:
            raise ValueError(f"settings holds {unknown[0]!r}, which is a parameter of its own or no setting at all.")
        return LowTensorRankRNN(**given, **further)

    def fit(self, X, y) -> "LowTensorRankRegressor":
        """Fit to the activity `y` (trial, time, neuron) of the trials in the table `X`; warns if it does not settle.

        **Raises:** ValueError for a table or activity of the wrong shape, and for what `wp.fit` refuses.
        """
        columns = _columns(X)
        y = np.asarray(y, dtype=float)
        if y.ndim != 3 or len(y) != len(columns["trial_id"]):
            raise ValueError(
                f"y must be activity (trial, time, neuron) of the {len(columns['trial_id'])} trials in X; got shape "
                f"{y.shape}."
            )
        self.n_features_in_ = len(columns)
        self.n_neurons_ = y.shape[2]
        self.fit_ = fit(
            self.model, Recording(y, **columns), seed=self.random_state, iterations=self.iterations,
            learning_rate=self.learning_rate, dtype=self.dtype, progress=False,
        )  # fmt: skip
        return self

    def predict(self, X) -> Float[np.ndarray, "trial time neuron"]:
        """Activity (trial, time, neuron) of the trials in the table `X`; neurons that had to be dropped are NaN.

        **Raises:** ValueError for labels that no training trial had.
        """
        check_is_fitted(self)
        prediction = predict_trials(self.fit_, **_columns(X))
        whole = np.full((*prediction.shape[:2], self.n_neurons_), np.nan)
        whole[:, :, self.fit_.recording.source_neuron] = prediction
        return whole

    def score(self, X, y, sample_weight=None) -> float:
        r"""$R^2 = 1 - \sum(y - \hat y)^2 / \sum(y - \bar y)^2$ over the observed entries, with one scalar mean.

        `sample_weight` (trial,) weighs trials.

        **Raises:** ValueError when shapes differ or no entry is observed.
        """
        y, prediction = np.asarray(y, dtype=float), self.predict(X)
        if y.shape != prediction.shape:
            raise ValueError(f"y has shape {y.shape} and the prediction {prediction.shape}.")
        observed = np.isfinite(y) & np.isfinite(prediction)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        weight = np.broadcast_to(weight[:, None, None], y.shape)[observed]
        if not weight.sum() > 0:
            raise ValueError("no observed entry is left to score.")
        values, error = y[observed], (y - prediction)[observed]
        spread = weight @ (values - np.average(values, weights=weight)) ** 2
        return float(1 - weight @ error**2 / spread)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.input_tags.allow_nan = False
        tags.no_validation = True
        return tags

    @staticmethod
    def table(recording: Recording):
        """Table of trials (a data frame) and activity of a recording, as `fit` and scikit-learn's tools take them."""
        from pandas import DataFrame

        labels = {name: np.array(getattr(recording, f"{name}s"), dtype=object) for name in ("condition", "epoch")}
        columns = {name: labels[name][getattr(recording, name)] for name in labels}
        return DataFrame({"trial_id": recording.trial_id, **columns}), recording.values


def _columns(X) -> dict[str, Any]:
    """Columns of a table of trials by name."""
    if hasattr(X, "columns"):
        names = [str(name) for name in X.columns]
        unknown = [name for name in names if name not in COLUMNS]
        if unknown or "trial_id" not in names:
            raise ValueError(f"X needs the column trial_id, and may have condition and epoch; got {', '.join(names)}.")
        columns = {name: np.asarray(X[name]) for name in names}
    else:
        X = np.asarray(X)
        X = X[:, None] if X.ndim == 1 else X
        if X.ndim != 2 or not 1 <= X.shape[1] <= len(COLUMNS):
            raise ValueError(
                f"X must be a table of trials with up to three columns ({', '.join(COLUMNS)}); got shape {X.shape}."
            )
        columns = dict(zip(COLUMNS, X.T, strict=False))
    try:
        return columns | {"trial_id": columns["trial_id"].astype(float)}
    except (TypeError, ValueError) as error:
        raise ValueError("trial_id, the first column of X, must hold numbers.") from error
