"""What a fitted model has learned, and what it says about data.

Functions take a fitted estimator, or its ``model_``, and arrays in the user's own units.

Importing this room does not load torch: a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from isthmus.analysis.conformal import flags, p_values, reasons
from isthmus.analysis.pooling import Pooled, pool

if TYPE_CHECKING:
    from isthmus.analysis.chains import langevin, sample_chain
    from isthmus.analysis.density import CodeDensity, fit_density
    from isthmus.analysis.evidence import (
        Evidence,
        Parzen,
        annealed_log_evidence,
        log_evidence,
        parzen_log_likelihood,
    )
    from isthmus.analysis.fields import VectorField, energy_difference, score_field, vector_field
    from isthmus.analysis.gap import FieldGap, denoising_contractive_gap
    from isthmus.analysis.jacobians import jacobian
    from isthmus.analysis.labels import LabelEfficiency, label_efficiency
    from isthmus.analysis.maps import (
        Neighbourhoods,
        neighbour_accuracy,
        neighbourhoods,
    )
    from isthmus.analysis.paired import Differences, accuracy_differences, r2_differences
    from isthmus.analysis.sensitivities import Sensitivity, sensitivity
    from isthmus.analysis.tangents import TangentSpace, Walk, local_dimension, tangent_space, walk

_HOMES = {
    "isthmus.analysis.chains": ("langevin", "sample_chain"),
    "isthmus.analysis.density": ("CodeDensity", "fit_density"),
    "isthmus.analysis.evidence": (
        "Evidence",
        "Parzen",
        "annealed_log_evidence",
        "log_evidence",
        "parzen_log_likelihood",
    ),
    "isthmus.analysis.fields": (
        "VectorField",
        "energy_difference",
        "score_field",
        "vector_field",
    ),
    "isthmus.analysis.gap": ("FieldGap", "denoising_contractive_gap"),
    "isthmus.analysis.jacobians": ("jacobian",),
    "isthmus.analysis.labels": ("LabelEfficiency", "label_efficiency"),
    "isthmus.analysis.paired": ("Differences", "accuracy_differences", "r2_differences"),
    "isthmus.analysis.maps": (
        "Neighbourhoods",
        "neighbour_accuracy",
        "neighbourhoods",
    ),
    "isthmus.analysis.sensitivities": ("Sensitivity", "sensitivity"),
    "isthmus.analysis.tangents": (
        "TangentSpace",
        "Walk",
        "local_dimension",
        "tangent_space",
        "walk",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CodeDensity",
    "Differences",
    "Evidence",
    "FieldGap",
    "LabelEfficiency",
    "Neighbourhoods",
    "Parzen",
    "Pooled",
    "Sensitivity",
    "TangentSpace",
    "VectorField",
    "Walk",
    "accuracy_differences",
    "annealed_log_evidence",
    "denoising_contractive_gap",
    "energy_difference",
    "fit_density",
    "flags",
    "jacobian",
    "label_efficiency",
    "langevin",
    "local_dimension",
    "log_evidence",
    "neighbour_accuracy",
    "neighbourhoods",
    "p_values",
    "parzen_log_likelihood",
    "pool",
    "r2_differences",
    "reasons",
    "sample_chain",
    "score_field",
    "sensitivity",
    "tangent_space",
    "vector_field",
    "walk",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'isthmus.analysis' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
