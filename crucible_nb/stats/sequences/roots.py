"""Where evidence reaches a threshold: always the outer end of what is known, so that an interval is never short."""

from __future__ import annotations

from collections.abc import Callable

_RELATIVE = 1e-10


def edge(excess: Callable[[float], float], inside: float, outside: float, step: float) -> float:
    """The point beyond which `excess` is positive, from its outer side.

    Args:
        excess: Evidence minus the threshold; not positive at `inside`, growing towards `outside`.
        inside: A point that is not excluded.
        outside: Far end of the search; given back when even it is not excluded.
        step: How far off the point may be expected, > 0; doubled until it is passed.

    Returns:
        A point that is excluded, as good as next to one that is not: within 1e-10 of itself and 1e-6 of the step.

    Examples:
        >>> round(edge(lambda x: x * x - 2, 0.0, 10.0, 1.0), 4)
        1.4142
        >>> edge(lambda x: x - 20, 0.0, 10.0, 1.0)
        10.0
    """
    from scipy.optimize import brentq  # noqa: PLC0415

    sign = 1.0 if outside > inside else -1.0
    near, far = inside, inside
    while far != outside:
        far = sign * min(sign * (inside + sign * step), sign * outside)
        if excess(far) > 0:
            break
        near, step = far, 2 * step
    else:
        return float(outside)
    least = max(1e-6 * abs(far - near), 1e-300)
    found = brentq(excess, near, far, xtol=least, rtol=_RELATIVE) if excess(near) < 0 else near
    return float(sign * min(sign * found + 2 * (least + _RELATIVE * abs(found)), sign * outside))
