"""Warn of what a later release removes, at the line that uses it."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

_OURS = str(Path(__file__).parents[1])


def warn_deprecated(what: str, gone_in: str, *, instead: str = "") -> None:
    """Warn that something still works, until when, and what to use in its place.

    The warning is a `FutureWarning`, which is shown by default, also for code in modules.

    Args:
        what: Name as the user writes it, such as "cr.compare(control_name=)".
        gone_in: Version that no longer has it, such as "0.3.0".
        instead: What to write in its place; "" for nothing.

    Examples:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_deprecated("cr.old()", "0.3.0", instead="cr.new()")
        >>> str(caught[0].message)
        'cr.old() is deprecated and goes in crucible_nb 0.3.0; use cr.new()'
    """
    text = f"{what} is deprecated and goes in crucible_nb {gone_in}" + (f"; use {instead}" if instead else "")
    level, frame = 1, sys._getframe()
    while frame.f_code.co_filename.startswith(_OURS) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, FutureWarning, stacklevel=level)
