"""Select rows of a frame by a condition on its columns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import CrucibleError, SchemaError
from crucible_nb.events.conditions import parse_condition
from crucible_nb.utils import checks

Where = str | Callable[[pd.DataFrame], Any] | None
"""A condition: text for `DataFrame.eval` or `parse_condition`, or a callable (frame) -> mask."""
_ERRORS = (NameError, KeyError, SyntaxError, TypeError, ValueError, pd.errors.UndefinedVariableError)


def select(rows: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Return the rows for which the condition is true; unknown (NA) counts as false.

    Args:
        rows: DataFrame of n rows.
        where: Condition on the rows: text for `DataFrame.eval`, or, if that cannot read it, for `parse_condition`,
            which knows times as text; or a callable (frame) -> mask of n booleans; None for all rows.

    Raises:
        SchemaError: A column that is missing, or text that is no condition.
        ConfigError: The condition is not true or false for every row.

    Examples:
        >>> frame = pd.DataFrame({"latency_ms": [1.0, 2.0, None]})
        >>> select(frame, "latency_ms > 1").latency_ms.tolist()
        [2.0]
        >>> frame.index = pd.date_range("2025-01-01", periods=3, freq="h", tz="UTC", name="time")
        >>> select(frame, "time >= '2025-01-01 01:00'").latency_ms.tolist()
        [2.0, nan]
    """
    if where is None:
        return rows
    mask = where(rows) if callable(where) else _evaluate(rows, where)
    mask = pd.Series(mask, index=rows.index) if isinstance(mask, np.ndarray) and mask.shape == (len(rows),) else mask
    if not isinstance(mask, pd.Series) or not pd.api.types.is_bool_dtype(mask.dtype):
        raise checks.wrong("where", where, "a condition that is true or false for every row")
    return rows[mask.fillna(False).to_numpy(np.bool_)]


def _evaluate(rows: pd.DataFrame, where: Any) -> Any:
    checks.text("where", where)
    try:
        return rows.eval(where, engine="python")
    except _ERRORS as error:
        with suppress(CrucibleError):
            return parse_condition(where, "where").of_frame(rows) == 1
        raise SchemaError(f"where={where!r}: {error}; columns: {', '.join(map(str, rows.columns))}") from error
