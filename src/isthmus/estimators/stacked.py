"""`StackedAutoencoder`: layer by layer from the data up, then the whole (`isthmus.stacking`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from numpy.typing import ArrayLike

from isthmus._errors import InvalidParameterError, UnsupportedTypeError
from isthmus._random import RandomState
from isthmus._registry import unknown_name
from isthmus.corruptions import Corruption
from isthmus.encoders import Encoder
from isthmus.estimators import resolve
from isthmus.estimators.fitted import Fitted
from isthmus.estimators.fitting import fit_autoencoder
from isthmus.estimators.resolve import ByName, Given
from isthmus.penalties import Penalty
from isthmus.stacking import Layer
from isthmus.training import Epoch

OF_A_LAYER = (
    "corruption",
    "penalty",
    "optimizer",
    "learning_rate",
    "batch_size",
    "max_epochs",
    "patience",
)


class StackedAutoencoder(Fitted):
    """An autoencoder whose layers are trained one after the other, then all together.

    Layer l minimises the autoencoder's objective over what the layers below make of the rows,

        hˡ = s(Wˡ hˡ⁻¹ + bˡ) ,   h⁰ = x ,

    with a corruption or a penalty of its own (Hinton and Salakhutdinov, 2006; Vincent et al.,
    2010; Rifai et al., 2011). The clean code of each feeds the next. Then the whole, which is an
    `Autoencoder` of fully connected layers, is fine-tuned. It does what an `Autoencoder` does, and
    can be the ``autoencoder`` of a `PretrainedClassifier`.

    Args:
        n_components: k, the width of the code, which is the highest layer.
        hidden: Widths of the layers below it, from the data up.
        activation: s, of the hidden layers. Above ``"sigmoid"`` layers each unit is the
            probability of a bit, and reconstructed by its cross-entropy; above others by squared
            error.
        encoder: p(h | x) of the code: ``Deterministic("sigmoid")`` for one like the hidden layers.
        likelihood: p(x | h), as in `Autoencoder`.
        corruption: Of what each layer sees, and of x when the whole is trained. In hidden layers
            a ``GaussianNoise`` is in the units' own units.
        penalty: Of each layer, and of the whole.
        layers: What is different for some layers: a list of a dictionary for each, the code's
            last, with any of ``corruption``, ``penalty``, ``optimizer``, ``learning_rate``,
            ``batch_size``, ``max_epochs`` and ``patience``.
        layer_epochs: Passes over the data for each layer.
        fine_tune: Whether the whole is trained after that.
        optimizer: As in `Autoencoder`.
        learning_rate: The highest rate, of each layer and of the whole.
        batch_size: Rows per step.
        max_epochs: Passes over the data at most when the whole is trained.
        validation_fraction: Part of the rows held out for early stopping, of each layer too.
        patience: Epochs without a better held-out nll before training stops.
        device: As in `Autoencoder`.
        precision: As in `Autoencoder`.
        random_state: Seed; None is a new one each time.
        verbose: As in `Autoencoder`.

    Attributes:
        model_: The trained `isthmus.model.Model`, a torch module.
        likelihood_: p(x | h) as it was chosen.
        schema_: What the columns of a table are; None for other data.
        layer_history_: For each layer, one `isthmus.training.Epoch` per epoch.
        history_: The same of the whole.
        code_report_: How the code is used: unused units, divergence, saturation.
        n_features_in_: d.
        feature_names_in_: The columns' names, where the data had any.
        row_shape_: The shape of one row: ``(d,)``, or an image's.
        n_iter_: Epochs of the whole.

    Example:
        Stacked denoising (Vincent et al., 2010) and contractive autoencoders (Rifai et al., 2011):

        >>> units = {"hidden": (1000, 1000), "activation": "sigmoid", "likelihood": "bernoulli"}
        >>> denoising = StackedAutoencoder(1000, corruption=Masking(0.25, rescale=False), **units)
        >>> contractive = StackedAutoencoder(1000, penalty=Contractive(0.1), **units)
    """

    def __init__(  # noqa: PLR0913  # a scikit-learn estimator lists its parameters here
        self,
        n_components: int = 32,
        *,
        hidden: tuple[int, ...] = (256,),
        activation: str = "silu",
        encoder: str | Encoder = "deterministic",
        likelihood: Given | ByName = "auto",
        corruption: str | Corruption | list[str | Corruption] | None = None,
        penalty: str | Penalty | list[str | Penalty] | None = None,
        layers: list[dict[str, Any]] | None = None,
        layer_epochs: int = 20,
        fine_tune: bool = True,
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
        self.encoder = encoder
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalty = penalty
        self.layers = layers
        self.layer_epochs = layer_epochs
        self.fine_tune = fine_tune
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

    layer_history_: list[list[Epoch]]

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from rows.

        Ctrl-C ends the training early; the layers so far are kept.

        Args:
            X: Rows as in `Autoencoder.fit`.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            InvalidDataError: As in `Autoencoder.fit`.
            SupportError: A value that the likelihood can't have.
            InvalidParameterError: A parameter outside its range.
            TrainingError: No finite step could be found.
        """
        params = self.get_params(deep=False)
        stages = read_layers(params)
        fine_tune = resolve.truth("fine_tune", self.fine_tune)
        fit_autoencoder(self, X, resolve.read_plan(params) if fine_tune else None, stages)
        return self


def read_layers(params: dict[str, Any]) -> list[Layer]:
    """How each layer is trained, from an estimator's parameters.

    Raises:
        InvalidParameterError: Another number of layers, or a value outside its range.
        UnsupportedTypeError: No list of dictionaries.
    """
    recipe, n_layers = resolve.read_recipe(params), len(params["hidden"]) + 1
    epochs = resolve.whole("layer_epochs", params["layer_epochs"], 1)
    usual = replace(resolve.read_plan(params), max_epochs=epochs)
    given = params["layers"]
    if given is None:
        return [Layer(recipe.objective, usual)] * n_layers
    if not isinstance(given, Sequence) or not all(isinstance(each, Mapping) for each in given):
        raise UnsupportedTypeError(
            f"layers must be a list of a dictionary for each layer; got {given!r}."
        )
    if len(given) != n_layers:
        raise InvalidParameterError(
            f"layers describes {len(given)} layers, but there are {n_layers}: those of hidden "
            "and the code. Give a dictionary for each; {} changes nothing."
        )
    return [_changed(params, epochs, each) for each in given]


def _changed(params: dict[str, Any], epochs: int, changes: Mapping[str, Any]) -> Layer:
    for name in changes:
        if name not in OF_A_LAYER:
            raise unknown_name("parameter of a layer", name, OF_A_LAYER)
    own = {**params, "max_epochs": epochs, **changes}
    return Layer(resolve.read_recipe(own).objective, resolve.read_plan(own))
