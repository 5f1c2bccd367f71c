"""Quantiles from a histogram with logarithmic buckets: a guaranteed relative error and an exact merge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from crucible_nb.accumulators.buckets import MANTISSA, TINY, Buckets, bucket_edges, bucket_keys, bucket_values
from crucible_nb.accumulators.inputs import known_values
from crucible_nb.accumulators.kernels import KERNELS
from crucible_nb.accumulators.order import QuantileSketch, quantile_of_sorted
from crucible_nb.accumulators.serial import StateReader, check_mergeable
from crucible_nb.utils import checks

_BITS = tuple(range(1, 17))
_BLOCK = 8192  # values per step of numpy, so that temporaries stay in the cache
_HUGE = float(np.finfo(np.float64).max)


class LogHistogram(QuantileSketch):
    """Quantiles of any float64 within a guaranteed relative error.

    Every octave is divided into `2**bits` equal buckets, computed from the bits of the number. Negative values have a
    mirrored set of buckets; zero and both infinities are counted separately. Smallest and largest value are exact, so
    quantiles 0 and 1 are exact, and constant data give the constant. Merging adds counts: the result is the same to
    the bit in any order (as long as the weights are whole numbers). The size depends on the range of the values only,
    see `Buckets`.

    Args:
        bits: Binary logarithm of the number of buckets per octave, from 1 to 16.

    Examples:
        >>> import numpy as np
        >>> sketch = LogHistogram().update(np.arange(1.0, 100_001.0))
        >>> sketch.quantile(0.95), sketch.relative_error_bound
        (95103.82772543741, 0.001953125)
        >>> sketch
        LogHistogram(bits=8, count=100000, minimum=1.0, maximum=100000.0)
        >>> LogHistogram().update([2.0, 2.0, 8.0]).quantile([0.0, 0.5, 1.0]).tolist()
        [2.0, 2.003898635477583, 8.0]

    References:
        Masson, Rim and Lee (2019), DDSketch: a fast and fully-mergeable quantile sketch with relative-error
        guarantees; OpenTelemetry, exponential histogram.
    """

    __slots__ = (
        "_above", "_below", "_negative", "_positive", "_zero",
        "bits", "count", "infinite", "maximum", "minimum", "missing",
    )  # fmt: skip
    kind = "loghistogram"
    parameters = ("bits",)
    fields: ClassVar[Mapping[str, str]] = {
        "count": "whole",
        "missing": "whole",
        "infinite": "whole",
        "minimum": "number",
        "maximum": "number",
        "_zero": "weight",
        "_below": "weight",
        "_above": "weight",
    }
    shown = ("bits", "count", "minimum", "maximum")

    def __init__(self, bits: int = 8) -> None:
        self.bits: int = bits if type(bits) is int and bits in _BITS else checks.one_of("bits", bits, _BITS)
        self.count = self.missing = self.infinite = 0
        self.minimum = self.maximum = math.nan
        self._zero = self._below = self._above = 0.0
        self._negative, self._positive = Buckets(self.bits), Buckets(self.bits)

    @property
    def relative_error_bound(self) -> float:
        """Largest relative error of `quantile`, 2 ** -(bits + 1).

        A theorem for every finite float64, subnormal numbers included, if the two order statistics around the exact
        quantile have the same sign; otherwise the error is relative to the larger of the two.

        Examples:
            >>> LogHistogram(bits=6).relative_error_bound
            0.0078125
        """
        return 2.0 ** -(self.bits + 1)

    @property
    def exact(self) -> bool:
        """Whether quantiles are exact, always False."""
        return False

    @property
    def error_bound(self) -> float:
        """Same as `relative_error_bound`; NaN before the first value."""
        return self.relative_error_bound if self.count else math.nan

    def update(self, values: Any, weights: Any = None) -> Self:
        x, w, missing = known_values(values, weights)
        self.missing += missing
        size = _BLOCK if KERNELS.after(0) is None else max(1, len(x))
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            self._add(x[part], None if w is None else w[part])
        return self

    def _add(self, x: np.ndarray, w: np.ndarray | None) -> None:
        low, high = float(x.min()) + 0.0, float(x.max()) + 0.0  # never -0.0, which depends on the order
        self._widen(len(x), low, high)
        if low >= TINY and high <= _HUGE:
            self._bin(self._positive, x, w, low, high)
        elif w is not None or not self._add_signed(x, low, high):
            self._add_any(x, w)

    def _widen(self, count: int, low: float, high: float) -> None:
        self.count += count
        if not self.minimum <= low:  # true also for NaN, before the first value
            self.minimum = low
        if not self.maximum >= high:
            self.maximum = high

    def _add_signed(self, x: np.ndarray, low: float, high: float) -> bool:
        """Add finite values of any sign with compiled code; return False without it, and for subnormal values."""
        kernels = KERNELS.after(len(x)) if low >= -_HUGE and high <= _HUGE else None
        if kernels is None:
            return False
        above, below = kernels.nearest_to_zero(x)
        if above < TINY or below > -TINY:
            return False
        for buckets, near, far in ((self._positive, above, high), (self._negative, -below, -low)):
            if near <= far:
                first, last = bucket_keys(np.array([near, far]), self.bits).tolist()
                buckets.reserve(first, last + 1)
        positive, negative = self._positive, self._negative
        self._zero += kernels.count_signed_keys(
            x, MANTISSA - self.bits, positive.start, positive.weights, negative.start, negative.weights
        )
        return True

    def _add_any(self, x: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(x)) if w is None else w
        self._zero += float(w[x == 0].sum())
        self._below += float(w[x == -math.inf].sum())
        self._above += float(w[x == math.inf].sum())
        finite = np.isfinite(x)
        self.infinite += len(x) - int(np.count_nonzero(finite))
        positive, negative = finite & (x > 0), finite & (x < 0)
        for buckets, part, weights in (
            (self._positive, x[positive], w[positive]),
            (self._negative, -x[negative], w[negative]),
        ):
            if len(part):
                self._bin(buckets, part, weights, float(part.min()), float(part.max()))

    def _bin(self, buckets: Buckets, x: np.ndarray, w: np.ndarray | None, low: float, high: float) -> None:
        first, last = bucket_keys(np.array([low, high]), self.bits).tolist()
        kernels = KERNELS.after(len(x)) if w is None and low >= TINY else None
        if kernels is not None:
            buckets.reserve(first, last + 1)
            kernels.count_keys(x, MANTISSA - self.bits, buckets.start, buckets.weights)
        else:
            keys = bucket_keys(x, self.bits)
            keys -= first
            buckets.add(first, np.bincount(keys, w))

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Merge all parts into a new accumulator; faster than repeated `merge`.

        Args:
            parts: Histograms with the same bits, at least one.

        Returns:
            A new accumulator; the parts stay unchanged.

        Raises:
            ConfigError: The bits differ.

        Examples:
            >>> LogHistogram.merge_all([LogHistogram().update([x]) for x in (1.0, 2.0, 3.0)]).count
            3
        """
        merged = cls(parts[0].bits)
        for part in parts:
            check_mergeable(merged, part)
            if part.count:
                merged._widen(part.count, part.minimum, part.maximum)
        for name in ("missing", "infinite", "_zero", "_below", "_above"):
            setattr(merged, name, sum([getattr(part, name) for part in parts]))
        merged._positive = Buckets.merge_all([part._positive for part in parts], merged.bits)
        merged._negative = Buckets.merge_all([part._negative for part in parts], merged.bits)
        return merged

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        return self.merge_all([self, later])

    def copy(self) -> Self:
        """Copy the histogram with its memory.

        Examples:
            >>> LogHistogram().update([1.0]).copy().count
            1
        """
        return self.merge_all([self])

    def quantile(self, q: Any) -> Any:
        if not self.count:
            return quantile_of_sorted(np.zeros(0), q)
        values, weights = self._weighted_values()
        return quantile_of_sorted(values, q, weights)

    def _weighted_values(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the value of each bucket, ascending, and its weight; minimum and maximum are separate entries."""
        low, below = self._negative.filled()
        high, above = self._positive.filled()
        small, large = -bucket_values(low[::-1], self.bits), bucket_values(high, self.bits)
        values = np.concatenate(([-math.inf], small, [0.0], large, [math.inf]))
        weights = np.concatenate(([self._below], below[::-1], [self._zero], above, [self._above]))
        values, weights = np.clip(values[weights > 0], self.minimum, self.maximum), weights[weights > 0]
        first = min(1.0, weights[0])
        weights[0] -= first
        last = min(1.0, weights[-1])
        weights[-1] -= last
        values = np.concatenate(([self.minimum], values, [self.maximum]))
        return values, np.concatenate(([first], weights, [last]))

    def intervals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the non-empty buckets of finite values as disjoint closed intervals.

        Returns:
            Lower ends, upper ends and weights, float64[k] each, ascending; cut to the smallest and the largest value.

        Examples:
            >>> LogHistogram(bits=1).update([0.0, 1.2, 1.3]).intervals()[2].tolist()
            [1.0, 2.0]
        """
        below, few = self._negative.filled()
        above, many = self._positive.filled()
        mirrored = below[::-1]
        zero = np.zeros(1 if self._zero else 0)
        low = np.concatenate(
            (np.nextafter(-bucket_edges(mirrored + 1, self.bits), np.inf), zero, bucket_edges(above, self.bits))
        )
        high = np.concatenate(
            (-bucket_edges(mirrored, self.bits), zero, np.nextafter(bucket_edges(above + 1, self.bits), -np.inf))
        )
        weights = np.concatenate((few[::-1], np.full(len(zero), self._zero), many))
        return np.maximum(low, self.minimum), np.minimum(high, self.maximum), weights

    def _extra_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        for name, buckets in (("positive", self._positive), ("negative", self._negative)):
            keys, weights = buckets.filled()
            state |= {f"{name}_keys": keys.tolist(), f"{name}_weights": weights.tolist()}
        return state

    def _load_extra_state(self, reader: StateReader) -> None:
        for name, buckets in (("positive", self._positive), ("negative", self._negative)):
            keys = reader.wholes(f"{name}_keys")
            weights = reader.weights(f"{name}_weights", len(keys))
            lowest, highest = bucket_keys(np.array([5e-324, _HUGE]), self.bits).tolist()
            if ((keys < lowest) | (keys > highest)).any():  # would allocate all memory of the machine
                raise reader.broken(f"{name}_keys: expected numbers from {lowest} to {highest}")
            if len(keys):
                buckets.reserve(int(keys[0]), int(keys[-1]) + 1)
                buckets.weights[keys - buckets.start] = weights
