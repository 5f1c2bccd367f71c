"""Sums of products of long vectors, in one thread: the threads of BLAS wait for a processor that is busy."""

from __future__ import annotations

import numpy as np


def dot(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of the products of two vectors, float64[n].

    On two busy processors `x @ y` of a million values may take twenty times as long.

    Examples:
        >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
        11.0
    """
    return float(np.einsum("i,i->", x, y))
