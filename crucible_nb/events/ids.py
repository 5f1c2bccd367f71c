"""The one reader of identifiers: the same item has the same text, whatever it was held in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.events.batch import Column
from crucible_nb.events.scalars import EXACT
from crucible_nb.utils.checks import text_of

_MOST_DIGITS = 4000  # Python writes no more than 4300 decimal digits


def identifier(value: Any) -> str | None:
    """Return a plain value as an identifier: text as it is, a whole number as its digits; None for others.

    A float is a whole number up to 2**53, beyond it stands for several.

    Examples:
        >>> identifier(17), identifier(17.0), identifier("17"), identifier(17.5), identifier(True)
        ('17', '17', '17', None, None)
    """
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value.bit_length() > 3 * _MOST_DIGITS:
        return None
    return str(value)


def identifiers(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Return integers or floats as identifiers (None where missing or none), and which values are none."""
    known = column.known()
    bad = np.zeros(len(known), np.bool_)
    if column.kind == "float":
        whole = np.where(known, column.values, 0.0)
        bad = (np.abs(whole) > EXACT) | (whole != np.floor(whole))
        numbers = np.where(bad, 0.0, whole).astype(np.int64)
    else:
        numbers = column.values
    texts: np.ndarray = numbers.astype("U20").astype(object)
    texts[~known | bad] = None
    return texts, bad
