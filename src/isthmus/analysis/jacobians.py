"""What a step in the data does to the code, and to the reconstruction.

    ∂f/∂x  (k × d)           ∂r/∂x  (d × d) ,    r = g∘f

in the user's own units: with z = (x − c)/s, entered as e(z), the chain rule is

    ∂f/∂x = F · diag(e′(z)/s) ,      ∂r/∂x = diag(s) · G F · diag(e′(z)/s)

where F is of the encoder network and its mean, G of the decoder network and the likelihood's.
Fully connected layers need no automatic differentiation; see `derivatives`.
"""

from typing import Any

from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus.analysis.learned import Learned, learned
from isthmus.derivatives import (
    Composed,
    Differential,
    Featurewise,
    OfFunction,
    OfLayers,
    layers_of,
)
from isthmus.model import Model
from isthmus.sparse import dense


def jacobian(model: Any, X: ArrayLike, of: str = "encoder", verbose: int = 0) -> NDArray[Any]:
    """The derivative of the code, or of the reconstruction, at each point.

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Points (n, d) in the user's units.
        of: ``"encoder"`` for f(x) = E[h | x], ``"reconstruction"`` for r(x) = E[x | f(x)].
        verbose: Whether a bar is shown on a terminal.

    Returns:
        Array (n, k, d): change of unit i per unit of column j; or (n, d, d): units of column i
        per unit of column j. float64 where X needs it, else float32.

    Raises:
        InvalidParameterError: Another ``of``, or a module that has no derivative.
        InvalidDataError: As in `learned`; or a result that overflows.

    Example:
        >>> import numpy as np
        >>> from isthmus import Autoencoder
        >>> X = np.random.default_rng(0).normal(size=(100, 5))
        >>> model = Autoencoder(2, max_epochs=1, random_state=0).fit(X)
        >>> jacobian(model, X).shape, jacobian(model, X, of="reconstruction").shape
        ((100, 2, 5), (100, 5, 5))
    """
    require_of(of)
    known = learned(model, X)

    def matrices(x: Tensor) -> Tensor:
        return differential(known, x, of).matrix()

    result: NDArray[Any] = known.over_rows(matrices, cells_of(known.model, of), verbose)
    return result


def require_of(of: str) -> None:
    """Refuse a map that there isn't.

    Raises:
        InvalidParameterError: With what there is.
    """
    if of not in ("encoder", "reconstruction"):
        raise InvalidParameterError(f"of must be 'encoder' or 'reconstruction'; got {of!r}.")


def differential(known: Learned, x: Tensor, of: str) -> Differential:
    """∂f/∂x or ∂r/∂x at points in the user's units, as a linear map.

    Args:
        known: The model.
        x: Points (n, d).
        of: ``"encoder"`` or ``"reconstruction"``.
    """
    model = known.model
    inner = _of_encoder(known, x)
    if of == "encoder":
        return inner
    return Composed(inner, _of_decoder(known, model, inner.out))


def cells_of(model: Model, of: str) -> int:
    """About how many numbers the Jacobian of one row needs on the way."""
    d, k, widest = model.shape.n_features, model.shape.n_components, model.n_entered
    for network in (model.encoder_network, model.decoder_network):
        for layer in layers_of(network) or ():
            widest = max(widest, len(layer.weight))
    through_code = 2 * k * widest
    return through_code if of == "encoder" else through_code + d * d


def _of_encoder(known: Learned, x: Tensor) -> Differential:
    model = known.model
    layers = layers_of(
        model.encoder_network, model.shape.n_components, model.encoder.mean_activation
    )
    if layers is None or model.table is not None:
        return OfFunction(known.encode, x, type(model.encoder_network).__name__)

    def enter(points: Tensor) -> Tensor:
        return dense(model.enter(model.scaled(points)))

    entered = enter(x)
    network = OfLayers(layers, entered)
    return network if entered is x else Composed(Featurewise(enter, x), network)


def _of_decoder(known: Learned, model: Model, h: Tensor) -> Differential:
    layers = layers_of(model.decoder_network)
    if layers is None:
        module = getattr(model.decoder_network, "module", model.decoder_network)
        return OfFunction(known.decode, h, type(module).__name__)
    network = OfLayers(layers, h)
    if model.mean_is_featurewise:
        return Composed(network, Featurewise(model.mean_of, network.out))
    return Composed(network, OfFunction(model.mean_of, network.out, "The likelihood's mean"))
