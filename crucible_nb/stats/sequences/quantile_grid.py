"""Values as an ascending ladder of counts: every different value while they are few, then logarithmic buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from crucible_nb.accumulators import LogHistogram, quantile_of_sorted
from crucible_nb.accumulators.serial import StateReader

LIMIT = 2048
"""Different values that are kept as they are."""
_MANTISSA = 52


class Steps(NamedTuple):
    """Disjoint closed intervals in ascending order, and how many values lie in each.

    Attributes:
        low: float64[k], where each begins.
        high: float64[k], where it ends; the same as `low` for a value that is known exactly.
        held: float64[k], how many, whole numbers.
    """

    low: np.ndarray
    high: np.ndarray
    held: np.ndarray


class QuantileGrid:
    """How many values lie where, whatever the order they came in; what is asked of it does not grow with them.

    Up to `LIMIT` different values are kept exactly. From the next one on they are counted in the buckets of a
    `LogHistogram`, each at most 1/256 of its values wide: counts at the edges of buckets are exact, and inside one it
    is only known that values lie between its ends.

    Examples:
        >>> ladder = QuantileGrid().update(np.array([2.0, 1.0, 2.0]))
        >>> ladder.steps().held.tolist(), ladder.exact
        ([1.0, 2.0], True)
    """

    def __init__(self) -> None:
        self.n = 0
        self._values: np.ndarray = np.empty(0)
        self._counts: np.ndarray = np.empty(0)
        self._histogram: LogHistogram | None = None

    @property
    def exact(self) -> bool:
        """Whether every different value is known."""
        return self._histogram is None

    def update(self, x: np.ndarray) -> Self:
        """Take finite values in, in place."""
        self.n += len(x)
        if self._histogram is not None:
            self._histogram.update(x)
        elif len(x):
            self._merge(x)
        if self._histogram is not None:
            self._histogram.count = self.n  # what it took in as counts of a value was more than one value each
        return self

    def _merge(self, x: np.ndarray) -> None:
        values, place = np.unique(np.concatenate((self._values, x + 0.0)), return_inverse=True)
        counts = np.concatenate((self._counts, np.ones(len(x))))
        self._values, self._counts = values, np.bincount(place, counts, len(values))
        if len(values) > LIMIT:
            self._histogram = LogHistogram().update(self._values, self._counts)
            self._values, self._counts = np.empty(0), np.empty(0)

    @classmethod
    def of_sketch(cls, sketch: Any) -> Self:
        """What a `Quantiles` accumulator without weights holds.

        Examples:
            >>> from crucible_nb.accumulators import Quantiles
            >>> QuantileGrid.of_sketch(Quantiles().update([1.0, 1.0])).n
            2
        """
        new = cls()
        if sketch.exact:
            return new.update(np.array(sketch._ordered()[0]))
        new.n, new._histogram = sketch.count, sketch._binned().copy()
        return new

    def steps(self) -> Steps:
        """The ladder."""
        if self._histogram is None:
            return Steps(self._values, self._values, self._counts)
        return _steps(self._histogram)

    def quantile(self, q: float) -> float:
        """The quantile of what was seen, NaN of nothing; exact or within 0.2 %."""
        if self._histogram is not None:
            return float(self._histogram.quantile(q))
        return float(quantile_of_sorted(self._values, q, self._counts))

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        histogram = None if self._histogram is None else self._histogram.to_dict()
        return {"kind": "ladder", "version": 1, "values": self._values.tolist(), "counts": self._counts.tolist(),
                "histogram": histogram, "n": self.n}  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The ladder whose `to_dict` gave `state`.

        Raises:
            StoreError: The state is broken.
        """
        opened, new = StateReader(state, "ladder"), cls()
        new._values = opened.ascending("values")
        new._counts = opened.weights("counts", len(new._values))
        held = opened.part("histogram")
        new._histogram = None if held is None else LogHistogram.from_dict(held)
        new.n = opened.whole("n")
        return new


def _steps(histogram: LogHistogram) -> Steps:
    """Its buckets as closed intervals, cut to the extremes."""
    bits = histogram.bits
    below, few = histogram._negative.filled()
    above, many = histogram._positive.filled()
    mirrored = below[::-1]
    zero = np.zeros(1 if histogram._zero else 0)
    low = np.concatenate((np.nextafter(-_edge(mirrored + 1, bits), np.inf), zero, _edge(above, bits)))
    high = np.concatenate((-_edge(mirrored, bits), zero, np.nextafter(_edge(above + 1, bits), -np.inf)))
    count = np.concatenate((few[::-1], np.full(len(zero), histogram._zero), many))
    return Steps(np.maximum(low, histogram.minimum), np.minimum(high, histogram.maximum), count)


def _edge(keys: np.ndarray, bits: int) -> np.ndarray:
    """The lower end of each bucket of `accumulators.buckets`."""
    small = keys < 1 << bits
    lifted = np.where(small, keys + (_MANTISSA << bits), keys) << (_MANTISSA - bits)
    found = lifted.view(np.float64)
    lowered = found / 2.0**_MANTISSA  # rounded, where numbers are as sparse as there
    lowered = np.where(lowered * 2.0**_MANTISSA < found, np.nextafter(lowered, np.inf), lowered)
    return np.where(small, lowered, found)
