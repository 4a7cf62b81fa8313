"""Single cells: held-out nats per cell of count models with a code of ten numbers, beside SCVI.

    ISTHMUS_DATA=folder python benchmarks/single_cell.py [NAME ...]
    ISTHMUS_DATA=folder python-with-scvi benchmarks/single_cell.py scvi

Data: singlecell_worm_neuron.npz (4,186 cells), the 2,000 genes of the largest variance in the
training cells. A fifth of the cells is held out once; each model keeps a tenth of its training
cells for early stopping, with the same patience, and never sees the held-out ones. All have one
hidden layer of 128. SCVI keeps its other defaults (batch normalisation, dropout of a tenth, a
warm-up of the divergence, here over 20 epochs) and its last weights, not its best.

Every figure is the negative evidence bound of a held-out cell in nats, so all are comparable as
masses of the same counts. A Gaussian of y = log(1 + x) is a density; its mass for the count x is
its integral over the values of y that round to x, log(1 + x ± ½) or [log(x + ½), log(x + 3/2)],
and for x = 0 all below, (−∞, log(3/2)], so that masses sum to one (the density by itself gains
without bound from a column of zeros, and is no measure of counts); its
expectation over the code is an average over draws, as in the others' bounds. The median and the
worst cell show whether a mean is made by a few cells that lie outside of all training cells.

SCVI runs in an environment of its own (scvi-tools keeps other versions of its dependencies).
"""

import argparse
import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GENES, CODE, HIDDEN, DRAWS = 2_000, 10, 128, 32
PATIENCE, WARM_UP = 20, 20
Counts = NDArray[np.float32]


def cells() -> tuple[Counts, Counts]:
    """Training and held-out counts."""
    from scipy.sparse import csr_array

    path = Path(os.environ.get("ISTHMUS_DATA", ".")) / "singlecell_worm_neuron.npz"
    with np.load(path) as data:
        parts = (data["data"].astype(np.float32), data["indices"], data["indptr"])
        rows = csr_array(parts, shape=tuple(data["shape"])).toarray()
    order = np.random.default_rng(0).permutation(len(rows))
    held_out, train = np.split(rows[order], [len(rows) // 5])
    genes = np.sort(np.argsort(-train.var(0))[:GENES])
    return train[:, genes], held_out[:, genes]


def ours(name: str, train: Counts, held_out: Counts, epochs: int, seed: int) -> dict[str, Any]:
    from isthmus import Autoencoder, Gaussian, NegativeBinomial, Poisson

    likelihood = {
        "negative binomial, sizes": NegativeBinomial(size="library"),
        "negative binomial": NegativeBinomial(),
        "poisson, sizes": Poisson(size="library"),
        "poisson": Poisson(),
        "gaussian of log1p, a scale per gene": Gaussian("feature"),
        "gaussian of log1p, one scale": Gaussian("shared"),
    }[name]
    gaussian = isinstance(likelihood, Gaussian)
    model = Autoencoder(
        CODE,
        hidden=(HIDDEN,),
        encoder="gaussian",
        likelihood=likelihood,
        max_epochs=epochs,
        patience=PATIENCE,
        random_state=seed,
    ).fit(np.log1p(train) if gaussian else train)
    cost = binned_cost(model, held_out) if gaussian else -model.score_samples(held_out)
    return {
        "nats": float(cost.mean()),
        "median": float(np.median(cost)),
        "worst": float(cost.max()),
        "epochs": model.n_iter_,
    }


def binned_cost(fitted: Any, counts: Counts) -> NDArray[np.float64]:
    """The bound of a Gaussian of log(1 + x), integrated over the bin of each count."""
    import torch
    from torch.special import log_ndtr

    model = fitted.model_
    x = torch.from_numpy(counts).double()
    z = model.scaled(x.log1p()).float()
    top = model.scaled((x + 1.5).log())
    bottom = torch.where(x == 0, -torch.inf, model.scaled((x + 0.5).log()))
    total = torch.zeros(len(x)).double()
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        eta = model.encode(model.enter(z))
        for _ in range(DRAWS):
            noise = model.encoder.draw_noise((len(z), CODE), source)
            mean, log_scale = model.decode(model.encoder.draw(eta, noise))
            scale = model.likelihood.log_scale(log_scale).double().exp()
            high, low = (top - mean) / scale, (bottom - mean) / scale
            # mirrored where both ends lie above the mean, or the difference would cancel
            above = low > 0
            high, low = torch.where(above, -low, high), torch.where(above, -high, low)
            mass = log_ndtr(high) + torch.log(-torch.expm1(log_ndtr(low) - log_ndtr(high)))
            total += mass.sum(1) / DRAWS
        cost: torch.Tensor = model.encoder.kl(eta).sum(1) - total
    return cost.numpy()


def scvi(name: str, train: Counts, held_out: Counts, epochs: int, seed: int) -> dict[str, Any]:
    import anndata
    import scvi
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    scvi.settings.seed = seed
    fitted_to = anndata.AnnData(train)
    scvi.model.SCVI.setup_anndata(fitted_to)
    model = scvi.model.SCVI(
        fitted_to, n_hidden=HIDDEN, n_latent=CODE, n_layers=1, gene_likelihood="nb"
    )
    model.train(
        max_epochs=epochs,
        accelerator="cpu",
        train_size=0.9,
        early_stopping=True,
        early_stopping_patience=PATIENCE,
        enable_progress_bar=False,
        plan_kwargs={"n_epochs_kl_warmup": WARM_UP},
    )
    others = anndata.AnnData(held_out)
    bounds = [float(model.get_elbo(others)) for _ in range(DRAWS)]
    return {"nats": abs(float(np.mean(bounds))), "epochs": len(model.history["elbo_train"])}


NAMES = (
    "negative binomial, sizes",
    "negative binomial",
    "poisson, sizes",
    "poisson",
    "gaussian of log1p, a scale per gene",
    "gaussian of log1p, one scale",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=1)
    chosen = parser.parse_args()
    train, held_out = cells()
    for seed, name in itertools.product(range(chosen.seeds), chosen.names):
        began = time.perf_counter()
        fit = scvi if name == "scvi" else ours
        figures = fit(name, train, held_out, chosen.epochs, seed)
        seconds = round(time.perf_counter() - began, 1)
        print(json.dumps({"model": name, "seed": seed, **figures, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
