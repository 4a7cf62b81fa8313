"""Lightning: the module and the loader of its tutorial, without logs, checkpoints and bars."""

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from task import Task, Trained, autoencoder, loss, reconstructing


class Module(lightning.LightningModule):
    """Network, loss and optimiser, as Lightning wants them."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = autoencoder(task)
        self.learning_rate = task.learning_rate

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch."""
        (x,) = batch
        return loss(self.network(x), x)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam as it comes."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def train(X: np.ndarray, task: Task) -> Trained:
    """Everything that `Trainer` does besides training and that can be switched off, is off."""
    lightning.seed_everything(task.seed, verbose=False)
    module = Module(task)
    loader = DataLoader(
        TensorDataset(torch.from_numpy(X)), batch_size=task.batch_size, shuffle=True
    )
    lightning.Trainer(
        max_epochs=task.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module, loader)
    return Trained(reconstructing(module.network))
