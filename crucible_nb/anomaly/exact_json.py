"""Numbers as JSON can hold them: it has no word for infinity, nor for what is unknown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def plain(values: Any) -> Any:
    """An array or a number as plain data, "inf", "-inf" and "nan" as text, which a strict writer would make null.

    Examples:
        >>> plain(np.array([[1.5, np.inf], [np.nan, -np.inf]]))
        [[1.5, 'inf'], ['nan', '-inf']]
    """
    if isinstance(values, np.ndarray):
        finite = bool(np.isfinite(values).all())
        return values.tolist() if finite else [plain(one) for one in values.tolist()]
    if isinstance(values, list):
        return [plain(one) for one in values]
    return values if math.isfinite(values) else str(float(values))


def numbers(values: Any) -> np.ndarray:
    """The array that `plain` wrote down.

    Examples:
        >>> numbers([1.5, "inf", "nan"])
        array([1.5, inf, nan])
    """
    return np.array(values, np.float64)
