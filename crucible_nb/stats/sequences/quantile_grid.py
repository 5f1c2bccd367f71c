"""Counts of values in ascending bins: one bin per different value up to a limit, then logarithmic buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from crucible_nb.accumulators import LogHistogram, Quantiles, quantile_of_sorted
from crucible_nb.accumulators.serial import StateReader

LIMIT = 2048
"""Maximal number of different values that are stored exactly."""


class Bins(NamedTuple):
    """Disjoint closed intervals in ascending order, with the number of values in each.

    Attributes:
        low: float64[k], lower ends.
        high: float64[k], upper ends; equal to `low` for a value that is stored exactly.
        counts: float64[k], numbers of values, whole numbers.
    """

    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray


_NARROW = 0.25


def _pivot(values: np.ndarray) -> float:
    """Median of ascending values if they differ by less than a quarter of their size; else 0."""
    size = max(abs(values[0]), abs(values[-1]))
    return float(values[len(values) // 2]) if values[-1] - values[0] < _NARROW * size else 0.0


class QuantileGrid:
    """Counts of values, independent of their order, in bounded memory.

    Up to `LIMIT` different values are stored exactly. From the next one on they are counted in the buckets of a
    `LogHistogram`, each at most 1/256 of its values wide: counts at the edges of buckets are exact; inside a bucket the
    position of a value is unknown. Values that differ little for their size (a common offset) are counted by their
    distance from the median of the first ones.

    Examples:
        >>> grid = QuantileGrid().update(np.array([2.0, 1.0, 2.0]))
        >>> grid.bins().counts.tolist(), grid.exact
        ([1.0, 2.0], True)
    """

    def __init__(self) -> None:
        self.n = 0
        self._values: np.ndarray = np.empty(0)
        self._counts: np.ndarray = np.empty(0)
        self._histogram: LogHistogram | None = None
        self._pivot = 0.0

    @property
    def exact(self) -> bool:
        """Whether every value is stored exactly."""
        return self._histogram is None

    def update(self, x: np.ndarray) -> Self:
        """Add finite values."""
        self.n += len(x)
        if self._histogram is not None:
            self._histogram.update(x - self._pivot)
        elif len(x):
            self._merge(x)
        if self._histogram is not None:
            self._histogram.count = self.n  # the histogram counts an update with weights as one value each
        return self

    def _merge(self, x: np.ndarray) -> None:
        all_values = np.concatenate((self._values, x + 0.0))
        values, first, place = np.unique(all_values, return_index=True, return_inverse=True)
        counts = np.concatenate((self._counts, np.ones(len(x))))
        self._values, self._counts = values, np.bincount(place, counts, len(values))
        if len(values) > LIMIT:
            self._pivot = _pivot(values[first <= np.sort(first)[LIMIT]])  # the same however values came in blocks
            self._histogram = LogHistogram().update(self._values - self._pivot, self._counts)
            self._values, self._counts = np.empty(0), np.empty(0)

    @classmethod
    def of_sketch(cls, sketch: Quantiles) -> Self:
        """Convert a `Quantiles` accumulator of unweighted values.

        Examples:
            >>> from crucible_nb.accumulators import Quantiles
            >>> QuantileGrid.of_sketch(Quantiles().update([1.0, 1.0])).n
            2
        """
        new = cls()
        if sketch.exact:
            return new.update(np.array(sketch.sorted_values()[0]))
        new.n, new._histogram = sketch.count, sketch.histogram().copy()
        return new

    def bins(self) -> Bins:
        """The bins, in ascending order."""
        if self._histogram is None:
            return Bins(self._values, self._values, self._counts)
        low, high, counts = self._histogram.intervals()
        return Bins(low + self._pivot, high + self._pivot, counts)

    def quantile(self, q: float) -> float:
        """The quantile of the values, exact or within 0.2 %; NaN without values."""
        if self._histogram is not None:
            return float(self._histogram.quantile(q)) + self._pivot
        return float(quantile_of_sorted(self._values, q, self._counts))

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        histogram = None if self._histogram is None else self._histogram.to_dict()
        return {"kind": "ladder", "version": 1, "values": self._values.tolist(), "counts": self._counts.tolist(),
                "histogram": histogram, "n": self.n, "pivot": self._pivot}  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Load the state that `to_dict` gave; StoreError if it is broken."""
        reader, new = StateReader({"pivot": 0.0, **state}, "ladder"), cls()  # release 0.1 had no pivot
        new._values = reader.ascending("values")
        new._counts = reader.weights("counts", len(new._values))
        histogram = reader.part("histogram")
        new._histogram = None if histogram is None else LogHistogram.from_dict(histogram)
        new.n, new._pivot = reader.whole("n"), reader.number("pivot")
        return new
