"""Quantiles from a histogram with logarithmic buckets: a guaranteed relative error and an exact merge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from crucible_nb.accumulators.buckets import TINY, Buckets, keys_of, values_of
from crucible_nb.accumulators.inputs import known
from crucible_nb.accumulators.order import QuantileResult, quantile_of_sorted, quantile_result
from crucible_nb.accumulators.serial import Opened, Stateful, alike
from crucible_nb.utils import checks

_BITS = tuple(range(1, 17))
_BLOCK = 8192  # values whose temporaries stay in the cache
_HUGE = float(np.finfo(np.float64).max)


class LogHistogram(Stateful):
    """Quantiles of any float64 within a guaranteed relative error.

    Every octave is cut into `2**bits` equal buckets, found from the bits of the number; negative values have a
    mirrored set, zero and both infinities are counted apart, smallest and largest value are kept. Merging adds
    counts: the result is the same to the bit in any order (as long as the weights are whole numbers). Size depends
    on the spread of the values alone, see `Buckets`.

    Args:
        bits: Buckets an octave, as a power of 2, from 1 to 16.

    Examples:
        >>> import numpy as np
        >>> sketch = LogHistogram().update(np.arange(1.0, 100_001.0))
        >>> sketch.quantile(0.95), sketch.relative_error_bound
        (95103.82772543741, 0.001953125)
        >>> sketch
        LogHistogram(bits=8, count=100000, minimum=1.0, maximum=100000.0)

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
        """Most that `quantile` can be off, relative to the exact one: 2 ** -(bits + 1).

        A theorem for every finite float64, subnormal ones included, when the two neighbours that the exact quantile
        lies between have the same sign; when they have not, it is relative to the larger of the two.

        Examples:
            >>> LogHistogram(bits=6).relative_error_bound
            0.0078125
        """
        return 2.0 ** -(self.bits + 1)

    @property
    def exact(self) -> bool:
        """False: quantiles are approximate from the first value on."""
        return False

    @property
    def error_bound(self) -> float:
        """The same as `relative_error_bound`; NaN until a value is known."""
        return self.relative_error_bound if self.count else math.nan

    def update(self, values: Any, weights: Any = None) -> Self:
        """Take values in, in place.

        Args:
            values: Array-like of n numbers, NaN where missing.
            weights: n finite numbers >= 0; None is 1 each.

        Returns:
            The accumulator itself.

        Raises:
            StatError: When `values` are no numbers, or `weights` are negative, infinite or not n.

        Examples:
            >>> LogHistogram().update([-1.0, 0.0, 5.0, float("inf")]).infinite
            1
        """
        x, w, missing = known(values, weights)
        self.missing += missing
        for start in range(0, len(x), _BLOCK):
            part = slice(start, start + _BLOCK)
            self._add(x[part], None if w is None else w[part])
        return self

    def _add(self, x: np.ndarray, w: np.ndarray | None) -> None:
        low, high = float(x.min()) + 0.0, float(x.max()) + 0.0  # never -0.0, which depends on the order
        self._widen(len(x), low, high)
        if low >= TINY and high <= _HUGE:
            self._bin(self._positive, x, w)
        else:
            self._add_any(x, w)

    def _widen(self, count: int, low: float, high: float) -> None:
        self.count += count
        if not self.minimum <= low:  # also when it is NaN, of nothing
            self.minimum = low
        if not self.maximum >= high:
            self.maximum = high

    def _add_any(self, x: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(x)) if w is None else w
        self._zero += float(w[x == 0].sum())
        self._below += float(w[x == -math.inf].sum())
        self._above += float(w[x == math.inf].sum())
        finite = np.isfinite(x)
        self.infinite += len(x) - int(np.count_nonzero(finite))
        positive, negative = finite & (x > 0), finite & (x < 0)
        self._bin(self._positive, x[positive], w[positive])
        self._bin(self._negative, -x[negative], w[negative])

    def _bin(self, buckets: Buckets, x: np.ndarray, w: np.ndarray | None) -> None:
        if len(x):
            keys = keys_of(x, self.bits)
            first = int(keys.min())
            keys -= first
            buckets.add(first, np.bincount(keys, w))

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """All parts together, as a new accumulator; faster than one `merge` after the other.

        Args:
            parts: Histograms with the same bits, at least one.

        Returns:
            A new accumulator; the parts are left alone.

        Raises:
            ConfigError: When they differ in bits.

        Examples:
            >>> LogHistogram.merge_all([LogHistogram().update([x]) for x in (1.0, 2.0, 3.0)]).count
            3
        """
        both = cls(parts[0].bits)
        for part in parts:
            alike(both, part)
            if part.count:
                both._widen(part.count, part.minimum, part.maximum)
        for name in ("missing", "infinite", "_zero", "_below", "_above"):
            setattr(both, name, sum([getattr(part, name) for part in parts]))
        both._positive = Buckets.merged([part._positive for part in parts], both.bits)
        both._negative = Buckets.merged([part._negative for part in parts], both.bits)
        return both

    def merge(self, later: Self) -> Self:
        """Both together, as a new accumulator; both are left alone.

        Raises:
            ConfigError: When `later` is something else or has other bits.

        Examples:
            >>> LogHistogram().update([1.0]).merge(LogHistogram().update([4.0])).maximum
            4.0
        """
        alike(self, later)
        return self.merge_all([self, later])

    def copy(self) -> Self:
        """The same in memory of its own.

        Examples:
            >>> LogHistogram().update([1.0]).copy().count
            1
        """
        return self.merge_all([self])

    def quantile(self, q: Any) -> Any:
        """Quantiles within `relative_error_bound`; 0 and 1 give the exact extremes, constant data the constant.

        Args:
            q: A number or an array of numbers in [0, 1].

        Returns:
            A float, or float64 of the shape of `q`, in the unit of the values; NaN when nothing is known.

        Raises:
            ConfigError: When a `q` is outside [0, 1].

        Examples:
            >>> LogHistogram().update([2.0, 2.0, 8.0]).quantile([0.0, 0.5, 1.0]).tolist()
            [2.0, 2.003898635477583, 8.0]
        """
        if not self.count:
            return quantile_of_sorted(np.zeros(0), q)
        values, weights = self._ladder()
        return quantile_of_sorted(values, q, weights)

    def _ladder(self) -> tuple[np.ndarray, np.ndarray]:
        """What stands for each bucket, ascending, and its weight; smallest and largest value on rungs of their own."""
        low, below = self._negative.filled()
        high, above = self._positive.filled()
        small, large = -values_of(low[::-1], self.bits), values_of(high, self.bits)
        values = np.concatenate(([-math.inf], small, [0.0], large, [math.inf]))
        weights = np.concatenate(([self._below], below[::-1], [self._zero], above, [self._above]))
        values, weights = np.clip(values[weights > 0], self.minimum, self.maximum), weights[weights > 0]
        first = min(1.0, weights[0])
        weights[0] -= first
        last = min(1.0, weights[-1])
        weights[-1] -= last
        values = np.concatenate(([self.minimum], values, [self.maximum]))
        return values, np.concatenate(([first], weights, [last]))

    def result(self) -> QuantileResult:
        """What is known so far.

        Examples:
            >>> LogHistogram().result().p50
            nan
        """
        return quantile_result(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole state as plain data that JSON can hold.

        Examples:
            >>> LogHistogram().update([1.0, 1.0]).to_dict()["positive_weights"]
            [2.0]
        """
        state = super().to_dict()
        for name, buckets in (("positive", self._positive), ("negative", self._negative)):
            keys, weights = buckets.filled()
            state |= {f"{name}_keys": keys.tolist(), f"{name}_weights": weights.tolist()}
        return state

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The accumulator whose `to_dict` gave `state`.

        Raises:
            StoreError: When the state is broken, of another kind or from a newer release.

        Examples:
            >>> LogHistogram.from_dict(LogHistogram().update([1.0, 9.0]).to_dict()).maximum
            9.0
        """
        new = super().from_dict(state)
        opened = Opened(state, cls.kind)
        for name, buckets in (("positive", new._positive), ("negative", new._negative)):
            keys = opened.wholes(f"{name}_keys")
            weights = opened.weights(f"{name}_weights", len(keys))
            lowest, highest = keys_of(np.array([5e-324, _HUGE]), new.bits).tolist()
            if ((keys < lowest) | (keys > highest)).any():  # would reserve the memory of the machine
                raise opened.broken(f"{name}_keys: expected numbers from {lowest} to {highest}")
            if len(keys):
                buckets.reserve(int(keys[0]), int(keys[-1]) + 1)
                buckets.weights[keys - buckets.start] = weights
        return new
