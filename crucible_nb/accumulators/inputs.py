"""Input of `update`: known values and their weights as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.utils import checks


def known_values(values: Any, weights: Any = None) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Return the values that are not missing, their weights, and the number of missing values.

    Values of weight 0 are dropped before anything is counted. The arrays may share memory with the input.

    Examples:
        >>> import numpy as np
        >>> values, weights, missing = known_values([1.0, np.nan, 3.0], [1.0, 2.0, 0.0])
        >>> values.tolist(), weights.tolist(), missing
        ([1.0], [1.0], 1)
    """
    x = checks.floats("values", values)
    w = None if weights is None else checks.weights(weights, len(x))
    if w is not None and not w.all():
        x, w = x[w > 0], w[w > 0]
    if not len(x) or not math.isnan(x.min()):  # the minimum is NaN when any value is: the fastest test
        return x, w, 0
    known = ~np.isnan(x)
    return x[known], None if w is None else w[known], len(x) - int(np.count_nonzero(known))


Chunk = tuple[np.ndarray, np.ndarray | None]
"""Values and their weights, None for 1 each."""


def join_chunks(chunks: Sequence[Chunk]) -> Chunk:
    """Concatenate chunks in order.

    Examples:
        >>> import numpy as np
        >>> values, weights = join_chunks([(np.array([1.0]), None), (np.array([5.0]), np.array([2.0]))])
        >>> values.tolist(), weights.tolist()
        ([1.0, 5.0], [1.0, 2.0])
    """
    if not chunks:
        return np.zeros(0), None
    values = np.concatenate([values for values, _ in chunks])
    if all(weights is None for _, weights in chunks):
        return values, None
    return values, np.concatenate([np.ones(len(values)) if weights is None else weights for values, weights in chunks])
