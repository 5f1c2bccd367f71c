"""Select rows of a frame by a condition on its columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.utils import checks

Where = str | Callable[[pd.DataFrame], Any] | None
"""A condition: text for `DataFrame.eval`, or a callable (frame) -> mask."""


def select(rows: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Return the rows for which the condition is true; unknown (NA) counts as false.

    Args:
        rows: DataFrame of n rows.
        where: Condition on the rows: text for `DataFrame.eval`, or a callable (frame) -> mask of n booleans; None for
            all rows.

    Raises:
        SchemaError: A column that is missing, or text that is no condition.
        ConfigError: The condition is not true or false for every row.

    Examples:
        >>> frame = pd.DataFrame({"latency_ms": [1.0, 2.0, None]})
        >>> select(frame, "latency_ms > 1").latency_ms.tolist()
        [2.0]
    """
    if where is None:
        return rows
    try:
        mask = where(rows) if callable(where) else rows.eval(where, engine="python")
    except (NameError, KeyError, SyntaxError, TypeError, ValueError, pd.errors.UndefinedVariableError) as error:
        if callable(where) and isinstance(error, (TypeError, ValueError)):
            raise
        raise SchemaError(f"where={where!r}: {error}; columns: {', '.join(rows.columns)}") from error
    mask = pd.Series(mask, index=rows.index) if isinstance(mask, np.ndarray) and mask.shape == (len(rows),) else mask
    if not isinstance(mask, pd.Series) or not pd.api.types.is_bool_dtype(mask.dtype):
        raise checks.wrong("where", where, "a condition that is true or false for every row")
    return rows[mask.fillna(False).to_numpy(np.bool_)]
