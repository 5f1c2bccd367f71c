"""What `update` does first: known values and their weights out of whatever came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.utils import checks


def known(values: Any, weights: Any = None) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Values without the missing ones, their weights, and how many were missing.

    Values of weight 0 are dropped before anything is counted. The arrays may share memory with the input.

    Examples:
        >>> import numpy as np
        >>> values, weights, missing = known([1.0, np.nan, 3.0], [1.0, 2.0, 0.0])
        >>> values.tolist(), weights.tolist(), missing
        ([1.0], [1.0], 1)
    """
    x = checks.floats("values", values)
    w = None if weights is None else checks.weights(weights, len(x))
    if w is not None and not w.all():
        x, w = x[w > 0], w[w > 0]
    if not len(x) or not math.isnan(x.min()):  # the minimum is NaN when any value is: the fastest look there is
        return x, w, 0
    there = ~np.isnan(x)
    return x[there], None if w is None else w[there], len(x) - int(np.count_nonzero(there))


Chunk = tuple[np.ndarray, np.ndarray | None]
"""Values and their weights, None for 1 each."""


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """Chunks as one, in order.

    Examples:
        >>> import numpy as np
        >>> values, weights = joined([(np.array([1.0]), None), (np.array([5.0]), np.array([2.0]))])
        >>> values.tolist(), weights.tolist()
        ([1.0, 5.0], [1.0, 2.0])
    """
    if not chunks:
        return np.zeros(0), None
    values = np.concatenate([values for values, _ in chunks])
    if all(weights is None for _, weights in chunks):
        return values, None
    return values, np.concatenate([np.ones(len(values)) if weights is None else weights for values, weights in chunks])
