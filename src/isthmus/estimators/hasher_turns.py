"""Learning bits: by gradient, by turns of flipping and learning, and then the queries."""

from dataclasses import replace
from typing import Any

import torch

from isthmus._random import make_generator
from isthmus.binary import EFFORTS, begin_with_rotation, make_coder, teach, with_codes
from isthmus.estimators.apply import common_unit
from isthmus.estimators.hasher_parts import plan_for
from isthmus.estimators.learn import follow, report
from isthmus.estimators.progress import display, say
from isthmus.training import RowsInMemory, freed_memory_kept, train

REPORT_ROWS = 1024


@freed_memory_kept()
def learn_bits(hasher: Any, rows: RowsInMemory, seed: int) -> None:
    """Train a hasher's networks and give it a coder, whenever it is broken off.

    Args:
        hasher: A `SemanticHasher` with its model at step 0.
        rows: What it learns from.
        seed: Of all randomness.
    """
    rounds = hasher._parts.rounds
    model, generator = hasher.model_, make_generator(seed, hasher.model_.device)
    objective = hasher._parts.recipe.objective.in_units(common_unit(model))
    plan = hasher._parts.plan
    if objective.keeps_rows:
        plan = plan_for(plan, len(rows))
        # axes of all that varies are no start for what rows have in common
        begin_with_rotation(model, rows, generator)
    warm_up = replace(plan, max_epochs=max(1, plan.max_epochs - rounds.passes))
    with display(hasher.verbose, len(rows), plan.max_epochs) as shown:
        by_gradient = train(model, objective, rows, warm_up, generator, None, shown.tick)
        ended = follow(by_gradient, hasher.history_, shown.show)
        if ended and rounds.number:
            done = len(hasher.history_)
            by_turns = with_codes(model, rows, plan, rounds, generator, shown.tick, done)
            ended = follow(by_turns, hasher.history_, shown.show)
    chosen = rows.batch(torch.arange(min(len(rows), REPORT_ROWS), device=model.device))
    with torch.no_grad():
        hasher.code_report_ = report(model, model.encode(model.enter(chosen)), say(hasher.verbose))
    # at once something that can be used, whatever is broken off from here on
    what = (model, rows, hasher._parts.metric, rounds.prior)
    hasher._take(make_coder(*what, EFFORTS["none"], generator)[0])
    if ended:
        coder, base = make_coder(*what, EFFORTS[hasher.refine], generator)
        teach(coder, base, plan, generator)
        hasher._take(coder)
