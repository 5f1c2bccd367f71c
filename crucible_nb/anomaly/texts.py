"""Numbers and distances in a reason."""

from __future__ import annotations

from crucible_nb.anomaly.recursions import MAX_SCORE


def format_distance(value: float, unit: str) -> str:
    """Format a distance for a reason; a huge one, where all past values were equal, has no meaningful unit."""
    return f"{abs(value):.1f} {unit}" if abs(value) < 10_000 else "far"


def format_limit(own: float, score: float) -> str:
    """Format the limit that a model's own score exceeded, for a reason."""
    if score >= MAX_SCORE:
        return f"{MAX_SCORE:,.0f} times the limit or more"
    return f"the limit is {format_number(own / score)}"


def format_number(value: float) -> str:
    """Format a number for a reason."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def format_seconds(value: float) -> str:
    """Format a length of time in seconds for a reason, with two digits or three.

    Examples:
        >>> [format_seconds(value) for value in (0.0123, 1.5, 40.2, 720.0, 5400.0, 200_000.0, 2_000_000.0)]
        ['12 ms', '1.5 s', '40 s', '12 min', '1.5 h', '56 h', '23 d']
    """
    units = ((1.0, "ms", 1e-3), (120.0, "s", 1.0), (5400.0, "min", 60.0), (259_200.0, "h", 3600.0))
    unit, size = next(((unit, size) for most, unit, size in units if value < most), ("d", 86_400.0))
    return f"{value / size:.2g} {unit}" if value / size < 99.5 else f"{value / size:.0f} {unit}"
