"""Recursive sums, means and moments before each value; their bits do not depend on where a block starts.

All arrays are float64[g, m], one row per group, oldest first; states are float64[g, 1].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

MEMORY = 10_000
"""Memory of a group in values: weights are equal at first, then decrease exponentially with age."""

JUST_BELOW = 1.0 - 1e-6
"""A score just below an alarm, also after rounding to five digits."""

MAX_SCORE = 1000.0
"""The largest score: if all past values are equal, any other value would be infinitely far away."""

State = dict[str, np.ndarray]


class Scores(NamedTuple):
    """Result of an algorithm for the values of several groups, one row per group.

    Attributes:
        score: Score of each value, float64[g, m]: 1.0 is the threshold; NaN while unknown.
        parts: Numbers that a reason mentions, by name, float64[g, m] or broadcastable to it.
        after: State after each value, by name, float64[g, m] or broadcastable to it.
    """

    score: np.ndarray
    parts: dict[str, np.ndarray]
    after: State


def shift_by_one(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the state before each value, given the state before the first and the states after each."""
    return np.concatenate((before, after[..., :-1]), axis=-1)


def import_scipy() -> None:
    """Import the filter that `recursion` uses, so that no event waits for it."""
    import scipy.signal  # noqa: F401, PLC0415  heavy; only with detectors


def recursion(keep: float, x: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Compute y[t] = x[t] + keep * y[t - 1] along the last axis; the same bits wherever x is cut."""
    if x.shape[-1] == 1:  # one value, as for a reason: the filter's own checks would take ten times as long
        return np.asarray(x + keep * before)
    from scipy.signal import lfilter  # noqa: PLC0415  see `import_scipy`

    after, _ = lfilter([1.0], [1.0, -keep], x, axis=-1, zi=keep * before)
    return np.asarray(after)


def exponential_means(share: float, x: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Compute the exponentially weighted mean after each value; `share` is the weight of the newest."""
    return recursion(1 - share, share * x, before)


def discounted_sums(x: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Compute the sum after each value over about the last `MEMORY` values."""
    return recursion(1 - 1 / MEMORY, x, before)


class Count(NamedTuple):
    """Number of remembered values, in the forms that `moments_before` uses.

    Attributes:
        after: Number of remembered values after each value.
        before: Number before each value, at least 1.
        degrees: Degrees of freedom before each value, at least 1.
        square_weight: 1 - 1 / after: weight of a value's squared distance to the mean before it.
    """

    after: np.ndarray
    before: np.ndarray
    degrees: np.ndarray
    square_weight: np.ndarray


def count_remembered(before: np.ndarray, length: int) -> Count:
    """Return the numbers of remembered values before and after each of `length` values."""
    after = discounted_sums(np.ones((len(before), length)), before)
    past = shift_by_one(before, after)
    return Count(after, np.maximum(past, 1.0), np.maximum(past - 1, 1.0), 1 - 1 / after)


def moments_before(name: str, x: np.ndarray, state: State, n: Count) -> tuple[np.ndarray, np.ndarray, State]:
    """Return mean and standard deviation (n - 1) of the remembered values before each, and their state after each.

    Sums are over differences to the first value and to the mean before, so that an offset loses no precision.

    Args:
        name: Name of the series; the names of its state are `name_anchor`, `name_sum` and `name_square`.
        x: The series.
        state: The state before the first value.
        n: Number of remembered values.

    References:
        West: Updating mean and variance estimates. CACM 22 (1979).
    """
    anchor = np.where(state["n"] > 0, state[f"{name}_anchor"], x[:, :1])
    total = discounted_sums(x - anchor, state[f"{name}_sum"])
    mean = anchor + shift_by_one(state[f"{name}_sum"], total) / n.before
    square = discounted_sums((x - mean) ** 2 * n.square_weight, state[f"{name}_square"])
    variance = shift_by_one(state[f"{name}_square"], square) / n.degrees
    after = {f"{name}_anchor": np.broadcast_to(anchor, x.shape), f"{name}_sum": total, f"{name}_square": square}
    return mean, np.sqrt(variance), after


def sd_of_mean(share: float) -> float:
    """Return the sd of an exponentially weighted mean of independent values, in units of the sd of one value."""
    return math.sqrt(share / (2 - share))


def initial_moments(*names: str) -> dict[str, float]:
    """Return the state of `moments_before` before the first value, for series with these names."""
    return {f"{name}_{part}": 0.0 for name in names for part in ("anchor", "sum", "square")}
