"""Columns of a frame as numbers: what is missing is unknown (NaN), what is no number is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.utils import checks
from crucible_nb.windows.panes import floats

Take = Callable[[Any], Any]


def numbers(frame: pd.DataFrame, name: str) -> Any:
    """A numeric column as a numpy array, as a pandas array where values are missing; None when there is none."""
    if name not in frame.columns:
        return None
    series: Any = frame[name]
    if series.dtype == object:
        series = series.convert_dtypes()
    if series.dtype.kind in "iufb":
        return series.array if series.dtype.kind in "iub" and series.hasnans else series.to_numpy()
    if series.isna().all():
        return None
    raise SchemaError(f"{name}: expected a column of numbers, got dtype {series.dtype}")


def outcomes(frame: pd.DataFrame) -> Any:
    """The `success` column: true, false or unknown."""
    array = numbers(frame, "success")
    if array is not None and array.dtype.kind != "b":
        array = floats(array)
        wrong = ~((array == 0) | (array == 1) | np.isnan(array))
        if wrong.any():
            raise SchemaError(f"success: expected true, false or missing, got {array[wrong][0]:g}")
    return array


def tokens(frame: pd.DataFrame) -> Any:
    """The `total_tokens` column; where it is unknown, prompt and completion tokens together if both are known."""
    total, prompt, completion = (numbers(frame, f"{part}_tokens") for part in ("total", "prompt", "completion"))
    if prompt is None or completion is None:
        return total
    if total is None:
        return floats(prompt) + floats(completion)
    if not pd.isna(total).any():
        return total
    total = floats(total)
    return np.where(np.isnan(total), floats(prompt) + floats(completion), total)


def weights(frame: pd.DataFrame) -> np.ndarray | None:
    """The `weight` column; None when it is not there or every row stands for itself alone."""
    array = numbers(frame, "weight")
    if array is None:
        return None
    array = checks.weights(floats(array), len(frame))
    return None if (array == 1.0).all() else array
