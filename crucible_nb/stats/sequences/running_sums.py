"""Sums that go on from event to event: the same bits however the events were cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.serial import StateReader


def carry(total: float, x: np.ndarray) -> float:
    """`total` plus each value in turn.

    Examples:
        >>> carry(carry(0.0, np.array([0.1, 0.2])), np.array([0.3])) == carry(0.0, np.array([0.1, 0.2, 0.3]))
        True
    """
    return float(np.add.accumulate(np.concatenate(([total], x)))[-1])


class RunningSums:
    """Number, mean, variance and correlation of neighbours of a stream of values.

    Sums are of differences to the first value, so an offset costs no digits.

    Examples:
        >>> sums = RunningSums().update(np.array([1.0, 2.0, 1.0, 2.0]))
        >>> sums.n, sums.mean, sums.lag1
        (4, 1.5, -0.75)
    """

    _SUMS = ("first", "last", "total", "squares", "products")

    def __init__(self) -> None:
        self.n = 0
        self.first = self.last = self.total = self.squares = self.products = 0.0

    def update(self, x: np.ndarray) -> Self:
        """Take finite values in, in place."""
        if not len(x):
            return self
        if not self.n:
            self.first = float(x[0])
        d = x - self.first
        before = np.concatenate(([self.last], d[:-1]))  # of the very first value the difference is 0
        self.products = carry(self.products, d * before)
        self.total, self.squares = carry(self.total, d), carry(self.squares, d * d)
        self.n, self.last = self.n + len(x), float(d[-1])
        return self

    @classmethod
    def of_moments(cls, n: int, mean: float, spread: float) -> Self:
        """Sums with these moments; nothing is known of neighbours.

        Args:
            n: Number of values.
            mean: Their mean.
            spread: Sum of squared deviations from it.
        """
        new = cls()
        if n:
            new.n, new.first, new.squares, new.products = n, mean, spread, float("nan")
        return new

    @property
    def mean(self) -> float:
        """Mean, NaN of nothing."""
        return self.first + self.total / self.n if self.n else float("nan")

    @property
    def spread(self) -> float:
        """Sum of squared deviations from the mean."""
        return max(self.squares - self.total**2 / self.n, 0.0) if self.n else 0.0

    @property
    def variance(self) -> float:
        """With n - 1, NaN below two values."""
        return self.spread / (self.n - 1) if self.n > 1 else float("nan")

    @property
    def lag1(self) -> float:
        """Correlation of neighbours, as `blocks.lag1` has it; NaN below three values or without any spread."""
        if self.n < 3 or self.spread <= 1e-12 * self.squares:
            return float("nan")
        mean = self.total / self.n
        inner = 2 * self.total - self.last  # both sums of neighbours; the first difference is 0
        return (self.products - mean * inner + (self.n - 1) * mean**2) / self.spread

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"kind": "carried", "version": 1, "n": self.n, **{name: getattr(self, name) for name in self._SUMS}}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The sums whose `to_dict` gave `state`.

        Raises:
            StoreError: The state is broken.
        """
        opened, new = StateReader(state, "carried"), cls()
        new.n = opened.whole("n")
        for name in cls._SUMS:
            setattr(new, name, opened.number(name))
        return new
