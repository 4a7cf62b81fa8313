"""One file per contender, each with `train(X, task)`; see `task`."""
