"""Running sums that are bit-identical for any cut of the events into blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.serial import StateReader


def add_in_order(total: float, x: np.ndarray) -> float:
    """Add each value to `total`, one after the other.

    Examples:
        >>> x = np.array([0.1, 0.2, 0.3])
        >>> add_in_order(add_in_order(0.0, x[:2]), x[2:]) == add_in_order(0.0, x)
        True
    """
    return float(np.add.accumulate(np.concatenate(([total], x)))[-1])


class RunningSums:
    """Number, mean, variance and lag-1 correlation of a stream of values.

    Sums are of differences from the first value, so that a common offset costs no digits; in units of a power of two
    near the first difference, so that their squares neither overflow nor underflow.

    Examples:
        >>> sums = RunningSums().update(np.array([1.0, 2.0, 1.0, 2.0]))
        >>> sums.n, sums.mean, sums.lag1
        (4, 1.5, -0.75)
    """

    _SUMS = ("first", "last", "total", "squares", "products", "unit")

    def __init__(self) -> None:
        self.n = 0
        self.first = self.last = self.total = self.squares = self.products = self.unit = 0.0

    def update(self, x: np.ndarray) -> Self:
        """Add finite values, in order of arrival."""
        if not len(x):
            return self
        if not self.n:
            self.first = float(x[0])
        d = self._in_units(x - self.first)
        before = np.concatenate(([self.last], d[:-1]))  # the difference of the first value of all is 0
        self.products = add_in_order(self.products, d * before)
        self.total, self.squares = add_in_order(self.total, d), add_in_order(self.squares, d * d)
        self.n, self.last = self.n + len(x), float(d[-1])
        return self

    def _in_units(self, d: np.ndarray) -> np.ndarray:
        if not self.unit and d.any():
            self.unit = float(np.ldexp(1.0, np.frexp(d[np.flatnonzero(d)[0]])[1] - 1))
        return d / self.unit if self.unit else d

    @classmethod
    def of_moments(cls, n: int, mean: float, squared_deviations: float) -> Self:
        """Make sums with these moments; the correlation of neighbours is unknown.

        Args:
            n: Number of values.
            mean: Mean of the values.
            squared_deviations: Sum of squared deviations from the mean.
        """
        new = cls()
        if n:
            new.n, new.first, new.squares, new.products, new.unit = n, mean, squared_deviations, float("nan"), 1.0
        return new

    @property
    def mean(self) -> float:
        """Mean; NaN without values."""
        return self.first + self.unit * self.total / self.n if self.n else float("nan")

    @property
    def _squared_deviations(self) -> float:
        """Sum of squared deviations from the mean, in squared units."""
        return max(self.squares - self.total**2 / self.n, 0.0) if self.n else 0.0

    @property
    def sd(self) -> float:
        """Standard deviation, with n - 1; NaN for fewer than two values."""
        return self.unit * float(np.sqrt(self._squared_deviations / (self.n - 1))) if self.n > 1 else float("nan")

    @property
    def lag1(self) -> float:
        """Correlation of neighbours, as by `blocks.lag1`; NaN for fewer than three values or constant ones."""
        if self.n < 3 or self._squared_deviations <= 1e-12 * self.squares:
            return float("nan")
        mean = self.total / self.n
        inner = 2 * self.total - self.last  # sum without the last value + sum without the first, whose difference is 0
        return (self.products - mean * inner + (self.n - 1) * mean**2) / self._squared_deviations

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {
            "kind": "carried",
            "version": 1,
            "n": self.n,
            "unit": self.unit,
            **{name: getattr(self, name) for name in self._SUMS},
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Load the state that `to_dict` gave; StoreError if it is broken."""
        reader, new = StateReader({"unit": 1.0, **state}, "carried"), cls()  # release 0.1 had no unit
        new.n = reader.whole("n")
        for name in cls._SUMS:
            setattr(new, name, reader.number(name))
        return new
