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
