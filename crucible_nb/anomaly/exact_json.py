"""Floats in strict JSON, which cannot represent infinities and NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def encode_floats(values: Any) -> Any:
    """Convert an array or a number to plain data, with "inf", "-inf" and "nan" as text instead of null.

    Examples:
        >>> encode_floats(np.array([[1.5, np.inf], [np.nan, -np.inf]]))
        [[1.5, 'inf'], ['nan', '-inf']]
    """
    if isinstance(values, np.ndarray):
        finite = bool(np.isfinite(values).all())
        return values.tolist() if finite else [encode_floats(value) for value in values.tolist()]
    if isinstance(values, list):
        return [encode_floats(value) for value in values]
    return values if math.isfinite(values) else str(float(values))


def decode_floats(values: Any) -> np.ndarray:
    """Convert the result of `encode_floats` back to an array.

    Examples:
        >>> decode_floats([1.5, "inf", "nan"])
        array([1.5, inf, nan])
    """
    return np.array(values, np.float64)
