"""`Autoencoder`: the whole library as one scikit-learn estimator.

It is a skin. Names become objects in `resolve`, objects and data become a model in `construct`,
`training` trains it, `apply` takes arrays through it; this file keeps scikit-learn's contract.
"""

from dataclasses import replace
from typing import Any, Self

from numpy.typing import ArrayLike

from isthmus._random import RandomState, draw_seed
from isthmus.corruptions import Corruption
from isthmus.encoders import Encoder
from isthmus.estimators import resolve
from isthmus.estimators.apply import common_unit, data_to_read
from isthmus.estimators.construct import check_support
from isthmus.estimators.fitted import Fitted
from isthmus.estimators.fitting import begin_fit, fit_autoencoder
from isthmus.estimators.held_out import codes_of
from isthmus.estimators.learn import encoded, follow, one_pass, report
from isthmus.estimators.progress import say
from isthmus.estimators.resolve import ByName, Given, Network
from isthmus.estimators.tables import open_rows
from isthmus.penalties import Penalty
from isthmus.training import train


class Autoencoder(Fitted):
    """From rows of data to a narrow code and back, by maximum likelihood.

    Minimises, on average over rows,

        − log p(x | h) + KL(p(h | x̃) ‖ p(h)) + Σ λ_k Ω_k ,    h ~ p(h | x̃),   x̃ ~ C(x̃ | x)

    The usual, variational, denoising, contractive and hashing autoencoders are choices of its
    parts. Every part is an object, a name, or None.

    Args:
        n_components: k, the width of the code.
        hidden: Widths of the encoder's hidden layers; the decoder has them reversed. ``()`` is a
            linear map on each side: with ``Gaussian(1.0)`` it is PCA.
        activation: Of the hidden layers, a name in `isthmus.activations.ACTIVATIONS`.
        network: ``"mlp"``, ``"conv"`` (images), ``"shortcut"`` (a linear map beside the MLP on
            each side), or a pair of torch modules: an encoder from (n, d) to (n, k·q) and a
            decoder from (n, k) to (n, d·q').
        tied: Whether the decoder uses the encoder's weights, transposed.
        encoder: p(h | x), a name in `isthmus.encoders.ENCODERS` or an object.
        likelihood: p(x | h), a name in `isthmus.likelihoods.LIKELIHOODS` or an object;
            ``"auto"`` reads the data: {0, 1} are Bernoulli, counts NegativeBinomial or Poisson,
            pixels ``Gaussian("shared")``, other numbers ``Gaussian("feature")``, and the columns
            of a frame, if they are of several kinds, get one each; ``"robust"`` does so too, with
            ``StudentT()`` in place of ``Gaussian("feature")``. A list has a name or an object for
            each column, a dictionary for some columns by their names. Where values are missing
            (NaN), one likelihood for all becomes one for each column.
        corruption: C(x̃ | x): one or a list, names or objects; None for none.
        penalty: Ω: one or a list, names or objects; None for none.
        optimizer: ``"adamw"``, ``"adam"``, ``"sgd"`` or ``"muon"``.
        learning_rate: The highest rate; it warms up and decays along a cosine.
        batch_size: Rows per step.
        max_epochs: Passes over the data at most.
        validation_fraction: Part of the rows held out for early stopping; 0 for none.
        patience: Epochs without a better held-out nll before training stops.
        device: ``"auto"``, or a torch device.
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``: of the networks in training.
            Weights and likelihood are always float32, and results are computed in float32, or
            in float64 for float64 input.
        random_state: Seed; None is a new one each time.
        verbose: 1 prints the likelihood and shows a progress bar on a terminal; 2 keeps the bar.

    Attributes:
        model_: The trained `isthmus.model.Model`, a torch module.
        likelihood_: p(x | h) as it was chosen.
        schema_: What the columns of a table are, an `isthmus.data.Schema`; None for other data.
        history_: A list with one `isthmus.training.Epoch` per epoch.
        code_report_: How the code is used: unused units, divergence, saturation.
        n_features_in_: d.
        feature_names_in_: The columns' names, where the data had any.
        row_shape_: The shape of one row: ``(d,)``, or an image's.
        n_iter_: Epochs that were run.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> codes = Autoencoder(2, random_state=0, max_epochs=2).fit_transform(X)
        >>> codes.shape
        (150, 2)
    """

    def __init__(  # noqa: PLR0913  # a scikit-learn estimator lists its parameters here
        self,
        n_components: int = 32,
        *,
        hidden: tuple[int, ...] = (256,),
        activation: str = "silu",
        network: Network = "mlp",
        tied: bool = False,
        encoder: str | Encoder = "deterministic",
        likelihood: Given | ByName = "auto",
        corruption: str | Corruption | list[str | Corruption] | None = None,
        penalty: str | Penalty | list[str | Penalty] | None = None,
        optimizer: str = "adamw",
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        max_epochs: int = 100,
        validation_fraction: float = 0.1,
        patience: int = 10,
        device: str = "auto",
        precision: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.activation = activation
        self.network = network
        self.tied = tied
        self.encoder = encoder
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalty = penalty
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    # ---- learning ---------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from rows.

        Ctrl-C ends the training early; the best model so far is kept.

        Args:
            X: Array (n, d), images (n, H, W) or (n, H, W, C), a torch tensor, a pandas, polars
                or Arrow frame, a sparse matrix, or what needn't fit in memory: Parquet
                and NPY paths, datasets, functions that give batches (`isthmus.data.as_stream`).
                NaN is a missing value.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            InvalidDataError: Infinite values, a wrong shape, text in an array, an identifier.
            SupportError: A value that the likelihood can't have.
            InvalidParameterError: A parameter outside its range.
            TrainingError: No finite step could be found.
        """
        fit_autoencoder(self, X, resolve.read_plan(self.get_params(deep=False)))
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from one more batch of rows, in one pass over it.

        The first call sets the scaling, the likelihood and the weights from its rows, as `fit`
        would; later calls go on from there, at a learning rate that does not decay. So the first
        batch should be large enough to speak for the others: of a table it fixes the columns,
        their kinds and their levels. A category that comes later counts as missing, in a warning,
        and so does a cell of a column that was all missing in the first batch.

        Args:
            X: Anything that `fit` takes, a table, an array or what is read in passes.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            InvalidDataError: As in `fit`, or later columns that are not those of the first batch.
            IsthmusError: As in `fit`.

        Warns:
            IsthmusWarning: Cells whose like the first batch didn't have, by column and number.
        """
        params = {**self.get_params(deep=False), "max_epochs": 1}
        plan, recipe = resolve.read_plan(params), resolve.read_recipe(params)
        if hasattr(self, "model_"):
            data = data_to_read(self, X)
            check_support(self.likelihood_, data)
        else:
            opened = open_rows(X, self.likelihood)
            data = begin_fit(self, X, opened, draw_seed(self.random_state)).data
        stepper, generator = self._session.go_on(self.model_, plan, self.random_state)
        rows, some = one_pass(data, self.model_)
        objective = recipe.objective.in_units(common_unit(self.model_))
        follow(
            train(self.model_, objective, rows, plan, generator, stepper=stepper), self.history_
        )
        eta = encoded(self.model_, some())
        self.code_report_ = report(self.model_, eta, say(self.verbose))
        self._tried = replace(self._tried, codes=codes_of(self.model_, eta))
        return self
