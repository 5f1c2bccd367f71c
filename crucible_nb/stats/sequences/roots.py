"""Root finding for limits of intervals, rounded outwards, so that an interval is never too short."""

from __future__ import annotations

from collections.abc import Callable

_RELATIVE = 1e-10


def find_edge(excess: Callable[[float], float], inside: float, outside: float, step: float) -> float:
    """Find the point beyond which `excess` is positive, approximated from outside.

    Args:
        excess: Evidence minus the threshold; not positive at `inside`, increasing towards `outside`.
        inside: A point that is not excluded.
        outside: Far end of the search, which is returned if it is not excluded.
        step: First guess of the distance to the point, > 0; doubled until the point is passed.

    Returns:
        An excluded point, within 1e-10 of itself and 1e-6 of the step of one that is not.

    Examples:
        >>> round(find_edge(lambda x: x * x - 2, 0.0, 10.0, 1.0), 4)
        1.4142
        >>> find_edge(lambda x: x - 20, 0.0, 10.0, 1.0)
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
    tolerance = max(1e-6 * abs(far - near), 1e-300)
    root = brentq(excess, near, far, xtol=tolerance, rtol=_RELATIVE) if excess(near) < 0 else near
    return float(sign * min(sign * root + 2 * (tolerance + _RELATIVE * abs(root)), sign * outside))
