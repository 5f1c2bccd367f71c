"""Named moments of an experiment, kept with its rows: `exp.mark("warm")`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from crucible_nb.utils import checks

_KEY = "crucible_marks"


def check_mark(name: Any) -> str:
    """Check the name of a mark: letters, digits and underscores, as it is written in conditions.

    Raises:
        ConfigError: Another name.

    Examples:
        >>> check_mark("warm")
        'warm'
    """
    if isinstance(name, str) and name.isidentifier():
        return name
    raise checks.wrong("name", name, "a name of letters, digits and underscores, such as 'warm'")


def set_marks(frame: pd.DataFrame, marks: Mapping[str, int]) -> None:
    """Store marks, UTC nanoseconds by name, in the `attrs` of a frame; its slices inherit them, files store them."""
    if marks:
        frame.attrs[_KEY] = dict(marks)


def marks_of(frame: pd.DataFrame) -> dict[str, int]:
    """Return the marks of a frame, UTC nanoseconds by name.

    Examples:
        >>> frame = pd.DataFrame({"latency_ms": [1.0]})
        >>> set_marks(frame, {"warm": 5})
        >>> marks_of(frame.iloc[:0])
        {'warm': 5}
    """
    marks = frame.attrs.get(_KEY)
    return {str(name): int(time) for name, time in marks.items()} if isinstance(marks, dict) else {}


def at_marks(arguments: Mapping[str, Any], marks: Mapping[str, int]) -> dict[str, Any]:
    """Replace names of marks in the arguments start, end and at by their times.

    Examples:
        >>> at_marks({"start": "warm", "where": "warm > 1"}, {"warm": 5})
        {'start': 5, 'where': 'warm > 1'}
    """
    times = ("start", "end", "at")
    return {
        name: marks[value] if name in times and isinstance(value, str) and value in marks else value
        for name, value in arguments.items()
    }
