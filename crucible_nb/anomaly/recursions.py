"""What is known before each value: sums, means and moments that do not depend on where a block begins.

All arrays are float64[g, m], one row a group, oldest first; states are float64[g, 1].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

MEMORY = 10_000
"""Values that the past of a group remembers, with equal weights at first, fading then."""

BELOW = 1.0 - 1e-6
"""A score that is no alarm, also for who rounds."""

MOST = 1000.0
"""The largest score: where all of the past is alike, anything else would be infinitely far."""

State = dict[str, np.ndarray]


class Scores(NamedTuple):
    """What an algorithm says of values of some groups, one row a group.

    Attributes:
        score: float64[g, m]: 1.0 is the threshold; NaN while unknown.
        parts: What a reason is made of, by name, float64[g, m] or what broadcasts to it.
        after: State after each value, by name, likewise.
    """

    score: np.ndarray
    parts: dict[str, np.ndarray]
    after: State


def before_each(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The state before each value, from the one before the first and those after each."""
    return np.concatenate((before, after[..., :-1]), axis=-1)


def warm() -> None:
    """Import now what `recursion` needs, so that no event has to wait for it."""
    import scipy.signal  # noqa: F401, PLC0415  heavy; only with detectors


def recursion(keep: float, x: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Y = x + keep * y along the last axis, from the y before the first; the same bits however x is cut."""
    if x.shape[-1] == 1:  # one value, as for a reason: the filter's own checks would take ten times as long
        return np.asarray(x + keep * before)
    from scipy.signal import lfilter  # noqa: PLC0415  see `warm`

    after, _ = lfilter([1.0], [1.0, -keep], x, axis=-1, zi=keep * before)
    return np.asarray(after)


def smoothed(share: float, x: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Exponentially weighted means after each value."""
    return recursion(1 - share, share * x, before)


def faded(x: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Sums after each value over about the last `MEMORY` values."""
    return recursion(1 - 1 / MEMORY, x, before)


class Count(NamedTuple):
    """How many values are remembered, as `moments` needs it.

    Attributes:
        after: Remembered values after each value.
        before: Before each, at least 1.
        degrees: One less, at least 1.
        share: 1 - 1 / after: what a value's squared distance to the mean before it adds.
    """

    after: np.ndarray
    before: np.ndarray
    degrees: np.ndarray
    share: np.ndarray


def counted(before: np.ndarray, length: int) -> Count:
    """Remembered values before and after each of `length` values."""
    after = faded(np.ones((len(before), length)), before)
    past = before_each(before, after)
    return Count(after, np.maximum(past, 1.0), np.maximum(past - 1, 1.0), 1 - 1 / after)


def moments(name: str, x: np.ndarray, state: State, n: Count) -> tuple[np.ndarray, np.ndarray, State]:
    """Mean and standard deviation (n - 1) of the remembered values before each, and their state after each.

    Sums are of differences, to the first value and to the mean before, so that an offset costs no digits.

    Args:
        name: Of the series; its state is kept under `name_anchor`, `name_sum` and `name_square`.
        x: The series.
        state: The state before the first value.
        n: Remembered values.

    References:
        West: Updating mean and variance estimates. CACM 22 (1979).
    """
    anchor = np.where(state["n"] > 0, state[f"{name}_anchor"], x[:, :1])
    total = faded(x - anchor, state[f"{name}_sum"])
    mean = anchor + before_each(state[f"{name}_sum"], total) / n.before
    square = faded((x - mean) ** 2 * n.share, state[f"{name}_square"])
    variance = before_each(state[f"{name}_square"], square) / n.degrees
    after = {f"{name}_anchor": np.broadcast_to(anchor, x.shape), f"{name}_sum": total, f"{name}_square": square}
    return mean, np.sqrt(variance), after


def spread_of_mean(share: float) -> float:
    """Standard deviation of an exponentially weighted mean of independent values, in theirs."""
    return math.sqrt(share / (2 - share))


def moments_of(*names: str) -> dict[str, float]:
    """The state that `moments` needs, before the first value."""
    return {f"{name}_{part}": 0.0 for name in names for part in ("anchor", "sum", "square")}
