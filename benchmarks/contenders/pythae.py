"""pythae: its AE with networks of our own, since its default decoder ends in a sigmoid."""

from tempfile import TemporaryDirectory

import numpy as np
from pythae.models import AE, AEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from torch import Tensor, manual_seed

from task import Task, Trained, perceptron, reconstructing


class Encoder(BaseEncoder):
    """What pythae wants an encoder to look like."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.network = perceptron(widths)

    def forward(self, x: Tensor) -> ModelOutput:
        """Rows to codes."""
        return ModelOutput(embedding=self.network(x))


class Decoder(BaseDecoder):
    """What pythae wants a decoder to look like."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.network = perceptron(widths)

    def forward(self, z: Tensor) -> ModelOutput:
        """Codes to rows."""
        return ModelOutput(reconstruction=self.network(z))


def train(X: np.ndarray, task: Task) -> Trained:
    """The loss is ‖r(x) − x‖², twice ours; Adam does not see a factor."""
    widths = task.widths
    manual_seed(task.seed)
    model = AE(
        AEConfig(input_dim=(widths[0],), latent_dim=widths[-1]),
        encoder=Encoder(widths),
        decoder=Decoder(widths[::-1]),
    )
    with TemporaryDirectory() as folder:  # it always writes its final model to a file
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=task.epochs,
            learning_rate=task.learning_rate,
            per_device_train_batch_size=task.batch_size,
            optimizer_cls="Adam",
            seed=task.seed,
        )
        TrainingPipeline(model=model, training_config=config)(train_data=X)
    encode = reconstructing(model.encoder.network)
    decode = reconstructing(model.decoder.network)
    return Trained(lambda rows: decode(encode(rows)))
