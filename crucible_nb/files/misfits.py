"""Cells of a foreign file that do not fit their known column: `metadata` keeps them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import pyarrow as pa

from crucible_nb.errors import CrucibleWarning
from crucible_nb.events.json_text import parse_json, to_json
from crucible_nb.events.times import read_values
from crucible_nb.files.columns import ARROW, UNKNOWN, MisfitError, fit, plain

METADATA = "metadata"
_EXACT = 2**53


class Misfits:
    """The misfits of one part of a file.

    Attributes:
        cells: Values that do not fit, by row and column.
    """

    def __init__(self) -> None:
        self.cells: dict[int, dict[str, Any]] = {}

    def fitted(self, name: str, values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
        """Convert a column to a kind; what does not fit is missing, and noted by row."""
        try:
            return fit(name, values, kind)
        except MisfitError:
            if kind not in _READ:
                raise
        fits: list[Any] = []
        with suppress(pa.ArrowInvalid):  # durations, in a column that takes none
            values = plain(values, name)
        for row, value in enumerate(values.to_pylist()):
            try:
                fits.append(_READ[kind](value))
            except (ValueError, TypeError, OverflowError):
                fits.append(None)
                self.cells.setdefault(row, {})[name] = value
        return pa.chunked_array([pa.array(fits, ARROW[kind])])


def add_misfits(
    frame: pd.DataFrame, found: Sequence[Misfits], sizes: Sequence[int]
) -> tuple[pd.DataFrame, Counter[str]]:
    """Put the misfits of the parts of a frame into its column `metadata`; return it and their number by column."""
    counts: Counter[str] = Counter()
    offset = 0
    texts: list[Any] | None = None
    for misfits, size in zip(found, sizes, strict=True):
        for row, cells in misfits.cells.items():
            texts = frame[METADATA].tolist() if texts is None else texts
            texts[offset + row] = to_json({**_mapping(texts[offset + row]), **cells})
            counts.update(cells.keys())
        offset += size
    if texts is not None:
        frame[METADATA] = pd.array(texts, dtype="str")
    return frame, counts


def warn_of_misfits(path: str, counts: Counter[str]) -> None:
    """Warn once of the cells of a file that are in `metadata`."""
    if counts:
        said = ", ".join(f"{count:,} of {name!r}" for name, count in counts.items())
        message = f"{path!r}: values that do not fit their column are in the column `metadata`: {said}"
        warnings.warn(message, CrucibleWarning, stacklevel=3)


def fits(name: str, values: Any, kind: str) -> bool:
    """Return whether all values of a column fit a kind."""
    try:
        fit(name, values, kind)
    except MisfitError:
        return False
    return True


def _mapping(text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        value = parse_json(text)
    except ValueError:
        value = text
    return value if isinstance(value, dict) else {METADATA: value}


def _given(value: Any) -> Any:
    text = value.strip() if isinstance(value, str) else value
    return None if isinstance(text, str) and text in UNKNOWN else text


def _float(value: Any) -> float | None:
    value = _given(value)
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise ValueError
    return None if value is None else float(value)


def _whole(value: Any) -> int | None:
    value = _given(value)
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise ValueError
    number = value if isinstance(value, int) else _whole_of(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError
    return number


def _whole_of(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if value != int(value) or abs(value) > _EXACT:
        raise ValueError
    return int(value)


_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def _truth(value: Any) -> bool | None:
    value = _given(value)
    if value is None or (isinstance(value, float) and value != value):
        return None
    text = str(value).lower()
    if text not in _TRUTH:
        raise ValueError
    return _TRUTH[text]


def _time(value: Any) -> int | None:
    times = read_values([_given(value)])
    if times.unread:
        raise ValueError
    return int(times.ns[0]) if times.known[0] else None


_READ: dict[str, Callable[[Any], Any]] = {"float": _float, "integer": _whole, "boolean": _truth, "time": _time}
