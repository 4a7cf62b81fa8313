"""The command line: one small function per verb, which parses, calls and prints.

| verb | what it calls |
|---|---|
| ``fit`` | ``Autoencoder(…).fit(data)``, then ``save`` |
| ``transform`` | ``load(model).transform(data)`` |
| ``inverse`` | ``load(model).inverse_transform(codes)`` |
| ``score`` | ``load(model).score_samples(data)`` or ``score_features`` |
| ``impute`` | ``load(model).impute(data)`` |
| ``sample`` | ``load(model).sample(n)`` |
| ``index`` | ``SemanticHasher(…).fit(data)``, then ``CodeStore(…).upsert`` |
| ``search`` | ``CodeStore(…).search``, put in order by the query itself |
| ``dedupe`` | `isthmus.hashing.clusters` of a store's codes |
| ``report`` | representations compared: does a code help? |
| ``info`` | the card of a model, or the summary of data |
| ``report`` | ``compare(data, label)`` of `isthmus.comparison` |
| ``demo`` | a model from raw data to pictures |

``fit`` has two options for more than an autoencoder: ``--outliers`` makes an ``OutlierDetector``,
and ``--patches`` puts ``PatchFeatures`` before it. ``transform`` and ``score`` take a file of any
estimator that has a method of that name for rows.

Standard output holds one JSON object and nothing else; progress, notes and warnings go to standard
error. A mistake ends with one line there and exit code 2 (see `isthmus.cli.ending`). Options have
the names and the defaults of the estimator's parameters.

Nothing heavy is imported before a verb needs it, so that ``isthmus --help`` answers at once.
"""

import sys
from collections.abc import Sequence

from isthmus.cli.app import app
from isthmus.cli.ending import run


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process with its exit code.

    Args:
        arguments: What follows ``isthmus``; the process's own arguments if None.
    """
    sys.exit(run(app, sys.argv[1:] if arguments is None else arguments))
