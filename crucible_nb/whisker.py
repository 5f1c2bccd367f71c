"""A difference and its interval as a small picture: which side of zero, and how sure."""

from __future__ import annotations

import math
from html import escape

WIDTH, HEIGHT, EDGE = 120, 18, 6


def whisker(low: float, high: float, estimate: float, label: str, margin: float | None = None) -> str:
    """A line from low to high with a dot at the estimate; zero is upright, a margin dotted.

    Args:
        low, high: Of the interval; an infinite end runs out of the picture.
        estimate: Where the dot is.
        label: The same in words.
        margin: What would matter.

    Examples:
        >>> whisker(1.0, 3.0, 2.0, "2 (1 to 3)").count("<circle"), whisker(float("nan"), 3.0, 2.0, "")
        (1, '')
    """
    if math.isnan(low) or math.isnan(high) or not math.isfinite(estimate):
        return ""
    marks = [0.0, estimate, *([-margin, margin] if margin else []), *filter(math.isfinite, (low, high))]
    least, most = min(marks), max(marks)
    if most == least:
        least, most = least - 1, most + 1

    def place(value: float) -> float:
        if math.isinf(value):
            return WIDTH if value > 0 else 0.0
        return EDGE + (WIDTH - 2 * EDGE) * (value - least) / (most - least)

    middle = HEIGHT / 2
    dotted = "".join(_upright(place(at), ' stroke-dasharray="1 2"') for at in ([-margin, margin] if margin else []))
    ends = "".join(
        f'<path d="M{place(at):.1f} {middle - 3}v6" stroke="currentColor"/>' for at in (low, high) if math.isfinite(at)
    )
    size, said = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"', escape(label)
    return (
        f'<svg {size} role="img" aria-label="{said}"><title>{said}</title>{_upright(place(0.0))}{dotted}'
        f'<path d="M{place(low):.1f} {middle}H{place(high):.1f}" stroke="currentColor" stroke-width="1.5"/>{ends}'
        f'<circle cx="{place(estimate):.1f}" cy="{middle}" r="3" fill="currentColor"/></svg>'
    )


def _upright(x: float, more: str = "") -> str:
    return f'<path d="M{x:.1f} 1V{HEIGHT - 1}" stroke="currentColor" stroke-opacity=".55"{more}/>'
