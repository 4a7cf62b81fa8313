"""What a fitted model says about data: imputed copies and their pooling, p-values and reasons.

Importing this room does not load torch.
"""

from isthmus.analysis.conformal import flags, p_values, reasons
from isthmus.analysis.pooling import Pooled, pool

__all__ = ["Pooled", "flags", "p_values", "pool", "reasons"]
