"""Columns of a frame as numbers: missing values are NaN, what is no number is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.events.columns import numbers_of, outcomes_of, tokens_of
from crucible_nb.utils import checks
from crucible_nb.windows.panes import floats


def numbers(frame: pd.DataFrame, name: str) -> Any:
    """Return a column as numbers, in its own dtype where that is one of numbers; None when there is none.

    Raises:
        SchemaError: It holds values that are no numbers.
    """
    if name not in frame.columns:
        return None
    series: Any = frame[name]
    if not isinstance(series, pd.Series) or series.dtype.kind not in "iufb" or isinstance(series.dtype, pd.SparseDtype):
        return numbers_of(series, name)
    return series.array if series.dtype.kind in "iub" and series.hasnans else series.to_numpy()


def outcomes(frame: pd.DataFrame) -> Any:
    """Return the `success` column: true, false or missing."""
    if "success" not in frame.columns:
        return None
    array = numbers(frame, "success")
    return array if array.dtype.kind == "b" else outcomes_of(frame["success"])


def tokens(frame: pd.DataFrame) -> Any:
    """Return the `total_tokens` column; where it is missing, prompt and completion tokens if both are known."""
    return tokens_of(frame)


def weights(frame: pd.DataFrame) -> np.ndarray | None:
    """Return the `weight` column; None when it is not there or all weights are 1."""
    array = numbers(frame, "weight")
    if array is None:
        return None
    array = checks.weights(floats(array), len(frame))
    return None if (array == 1.0).all() else array
