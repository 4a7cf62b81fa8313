"""The ceiling: a loop by hand with nothing in it that training does not need."""

import numpy as np
import torch

from task import Task, Trained, autoencoder, loss, reconstructing


def train(X: np.ndarray, task: Task) -> Trained:
    """`variant` is the type in which the networks compute."""
    half = task.variant == "bfloat16"
    torch.manual_seed(task.seed)
    network = autoencoder(task)
    optimizer = torch.optim.Adam(network.parameters(), lr=task.learning_rate, fused=True)
    rows = torch.from_numpy(X)
    for _ in range(task.epochs):
        for index in torch.randperm(len(rows)).split(task.batch_size):
            x = rows.index_select(0, index)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                reconstruction = network(x)
            loss(reconstruction.float(), x).backward()
            optimizer.step()
            optimizer.zero_grad()
    return Trained(reconstructing(network))
