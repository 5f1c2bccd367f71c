"""Where evidence reaches a threshold: always the outer end of what is known, so that an interval is never short."""

from __future__ import annotations

import math
from collections.abc import Callable

_ROUNDS = 200


def edge(excess: Callable[[float], float], inside: float, outside: float, tolerance: float = 1e-10) -> float:
    """The point beyond which `excess` is positive, from its outer side.

    Args:
        excess: Evidence minus the threshold; negative at `inside`, growing towards `outside`.
        inside: A point that is not excluded.
        outside: Far end of the search; given back when even it is not excluded.
        tolerance: Width of the bracket at which to stop, relative to its ends; 1/1,000 of it relative to the search.

    Returns:
        A point that is excluded, within the tolerance of one that is not.

    Examples:
        >>> round(edge(lambda x: x * x - 2, 0.0, 10.0), 6)
        1.414214
    """
    high = excess(outside)
    if not high > 0:
        return float(outside)
    low, least = excess(inside), 1e-3 * tolerance * abs(outside - inside)
    for turn in range(_ROUNDS):
        gap = outside - inside
        if abs(gap) <= max(least, tolerance * max(abs(inside), abs(outside))):
            break
        middle = inside + gap / 2
        if turn % 3 and math.isfinite(high) and math.isfinite(low):  # a chord two times out of three
            middle = inside + gap * min(max(low / (low - high), 0.01), 0.99)
        if middle in {inside, outside}:
            break
        found = excess(middle)
        if found > 0:
            outside, high = middle, found
        else:
            inside, low = middle, found
    return float(outside)
