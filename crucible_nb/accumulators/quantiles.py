"""Quantiles: exact while there are few values, a log histogram above; the result says which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.inputs import Chunk, joined, known
from crucible_nb.accumulators.loghistogram import LogHistogram
from crucible_nb.accumulators.order import QuantileResult, quantile_of_sorted, quantile_result, sort_pair
from crucible_nb.accumulators.serial import Opened, Stateful, alike
from crucible_nb.accumulators.shared_values import Kept
from crucible_nb.utils import checks

_BITS = tuple(range(1, 17))
_LARGE = 2048  # values that are worth a histogram of their own, which others may share
_WAITING = 8192  # values that wait to be binned together


class Quantiles(Stateful):
    """Quantiles, exact up to `limit` known values and within a guaranteed relative error above.

    Whether they are exact depends on the number of values alone, and both the kept values and the histogram merge
    without a choice to make: merging is associative to the bit, in any cut of the stream (as long as the weights
    are whole numbers).

    Args:
        limit: Most known values that are kept as they are. Merging two gives the smaller limit.
        bits: Buckets an octave of the histogram, as a power of 2, from 1 to 16.

    Examples:
        >>> small = Quantiles(limit=100).update([1.0, 2.0, 4.0])
        >>> small.quantile(0.75), small.exact, small.error_bound
        (3.0, True, 0.0)
        >>> large = small.merge(Quantiles(limit=100).update(range(1, 1001)))
        >>> large.quantile(0.5), large.exact, large.error_bound
        (499.4994994994995, False, 0.001953125)
    """

    # Histograms and chunks are never written to once they are here, so copies and merges share them.
    __slots__ = ("_bins", "_chunks", "_histogram", "_sorted", "_waiting", "bits", "count", "limit", "missing")
    kind = "quantiles"
    parameters = ("bits",)
    shown = ("limit", "bits", "count", "exact")

    def __init__(self, limit: int = 2048, bits: int = 8) -> None:
        self.limit: int = checks.whole("limit", limit, ge=1)
        self.bits: int = bits if type(bits) is int and bits in _BITS else checks.one_of("bits", bits, _BITS)
        self.count = self.missing = self._waiting = 0
        self._chunks: list[Kept] = []
        self._histogram: LogHistogram | None = None
        self._sorted: Chunk | None = None
        self._bins: LogHistogram | None = None

    @property
    def exact(self) -> bool:
        """Whether quantiles are exact: true up to `limit` known values."""
        return self.count <= self.limit

    @property
    def error_bound(self) -> float:
        """Most that a quantile can be off, as a share of it: 0 while exact, else the histogram's bound."""
        return 0.0 if self.exact else self._binned().relative_error_bound

    @property
    def minimum(self) -> float:
        """Smallest value, exact; NaN until known."""
        return self._binned().minimum if not self.exact else float(self.quantile(0.0))

    @property
    def maximum(self) -> float:
        """Largest value, exact; NaN until known."""
        return self._binned().maximum if not self.exact else float(self.quantile(1.0))

    @property
    def infinite(self) -> int:
        """Values that were infinite."""
        if self.exact:
            return int(np.count_nonzero(np.isinf(self._ordered()[0])))
        return self._binned().infinite

    def update(self, values: Any, weights: Any = None) -> Self:
        """Take values in, in place. Cheap: they are copied, and binned many at a time.

        Args:
            values: Array-like of n numbers, NaN where missing.
            weights: n finite numbers >= 0; None is 1 each.

        Returns:
            The accumulator itself.

        Raises:
            StatError: When `values` are no numbers, or `weights` are negative, infinite or not n.

        Examples:
            >>> Quantiles().update([1.0, 5.0], weights=[3, 1]).quantile(0.5)
            1.0
        """
        x, w, missing = known(values, weights)
        return self.keep(Kept(x.copy(), None if w is None else w.copy(), missing))

    def keep(self, values: Kept) -> Self:
        """Take known values in without a copy; who holds the same ones shares the work on them.

        Args:
            values: Memory that nobody writes to again.

        Returns:
            The accumulator itself.

        Examples:
            >>> import numpy as np
            >>> from crucible_nb.accumulators.shared_values import Kept
            >>> Quantiles().keep(Kept(np.array([1.0, 3.0]))).quantile(0.5)
            2.0
        """
        self.missing += values.missing
        if len(values.values):
            self.count += len(values.values)
            self._waiting += len(values.values)
            self._chunks.append(values)
            self._sorted = self._bins = None
            if self._waiting > self.limit and self._waiting > _WAITING:
                self._flush()
        return self

    def _flush(self) -> None:
        self._histogram = self._binned()
        self._chunks, self._waiting = [], 0

    def _binned(self) -> LogHistogram:
        """All values as a histogram."""
        if self._bins is None:
            self._bins = _histogram(self.bits, [self])
        return self._bins

    def _ordered(self) -> Chunk:
        """All values sorted, with their weights."""
        if self._sorted is None:
            self._sorted = sort_pair(*joined([one.chunk for one in self._chunks]))
        return self._sorted

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """All parts in order, as a new accumulator; faster than one `merge` after the other.

        Args:
            parts: Accumulators with the same bits; none at all give a fresh one.

        Returns:
            A new accumulator; the parts are left alone.

        Raises:
            ConfigError: When they differ in bits.

        Examples:
            >>> Quantiles.merge_all([Quantiles().update([x]) for x in (1.0, 2.0, 9.0)]).quantile(0.5)
            2.0
        """
        if not parts:
            return cls()
        both = cls(min(part.limit for part in parts), parts[0].bits)
        for part in parts:
            alike(both, part)
            both.count += part.count
            both.missing += part.missing
        if both.count > both.limit:
            both._histogram = both._bins = _histogram(both.bits, parts)
        else:
            both._chunks = [chunk for part in parts for chunk in part._chunks]
            both._waiting = both.count
        return both

    def merge(self, later: Self) -> Self:
        """Both together, as a new accumulator; both are left alone.

        Raises:
            ConfigError: When `later` is something else or has other bits.

        Examples:
            >>> Quantiles().update([1.0]).merge(Quantiles().update([4.0])).quantile(0.5)
            2.5
        """
        alike(self, later)
        return self.merge_all([self, later])

    def copy(self) -> Self:
        """The same, to be updated apart.

        Examples:
            >>> Quantiles().update([1.0]).copy().count
            1
        """
        new = copy(self)
        new._chunks = self._chunks.copy()
        return new

    def quantile(self, q: Any) -> Any:
        """Quantiles as `np.quantile` has them while exact, else within `error_bound`.

        Args:
            q: A number or an array of numbers in [0, 1].

        Returns:
            A float, or float64 of the shape of `q`, in the unit of the values; NaN when nothing is known.

        Raises:
            ConfigError: When a `q` is outside [0, 1].

        Examples:
            >>> Quantiles().update([1.0, 2.0, 4.0]).quantile([0.5, 0.75]).tolist()
            [2.0, 3.0]
        """
        if not self.exact:
            return self._binned().quantile(q)
        values, weights = self._ordered()
        return quantile_of_sorted(values, q, weights)

    def result(self) -> QuantileResult:
        """What is known so far.

        Examples:
            >>> Quantiles().result().p50
            nan
        """
        return quantile_result(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole state as plain data that JSON can hold.

        Examples:
            >>> Quantiles().update([2.0, 1.0]).to_dict()["values"]
            [2.0, 1.0]
        """
        values, weights = joined([one.chunk for one in self._chunks] if self.exact else [])
        return {
            **super().to_dict(),
            "limit": self.limit,
            "missing": self.missing,
            "values": values.tolist(),
            "weights": None if weights is None else weights.tolist(),
            "histogram": None if self.exact else self._binned().to_dict(),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The accumulator whose `to_dict` gave `state`.

        Raises:
            StoreError: When the state is broken, of another kind or from a newer release.

        Examples:
            >>> Quantiles.from_dict(Quantiles().update([1.0, 9.0]).to_dict()).maximum
            9.0
        """
        opened = Opened(state, cls.kind)
        new = opened.build(cls)
        new.limit, missing = opened.whole("limit", ge=1), opened.whole("missing")
        values = opened.numbers("values")
        if len(values) > new.limit:
            raise opened.broken(f"values: expected at most {new.limit} numbers, got {len(values)}")
        weights = None if opened.part("weights") is None else opened.weights("weights", len(values))
        new.update(values, weights)
        new.missing = missing
        if opened.part("histogram") is not None:
            histogram = LogHistogram.from_dict(opened.part("histogram"))
            if histogram.bits != new.bits:
                raise opened.broken(f"histogram: expected {new.bits} bits, got {histogram.bits}")
            new._histogram = new._bins = histogram
            new.count = histogram.count
        return new


def _histogram(bits: int, parts: Sequence[Quantiles]) -> LogHistogram:
    """All values of some accumulators; few values of many are binned together, many of one for everybody."""
    found = [part._histogram for part in parts if part._histogram is not None]
    waiting = [one for part in parts for one in part._chunks]
    found += [one.binned(bits) for one in waiting if len(one.values) >= _LARGE]
    small = [one.chunk for one in waiting if len(one.values) < _LARGE]
    if small or not found:
        found.append(LogHistogram(bits).update(*joined(small)))
    return LogHistogram.merge_all(found) if len(found) > 1 else found[0]
