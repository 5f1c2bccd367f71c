"""Quantiles: exact for few values, from a log histogram for many; `exact` shows which."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.inputs import Chunk, join_chunks, known_values
from crucible_nb.accumulators.loghistogram import LogHistogram
from crucible_nb.accumulators.order import QuantileSketch, quantile_of_sorted, sort_with_weights
from crucible_nb.accumulators.serial import StateReader, check_mergeable
from crucible_nb.accumulators.shared_values import SharedValues
from crucible_nb.utils import checks

_BITS = tuple(range(1, 17))
_LARGE = 2048  # values from which a chunk gets a histogram of its own, to be shared
_WAITING = 8192  # values that are collected and then binned together


class Quantiles(QuantileSketch):
    """Quantiles, exact up to `limit` known values and within a guaranteed relative error above.

    Exactness depends only on the number of values, and merging retained values or histograms involves no choice:
    merging is associative to the bit, wherever the stream is cut (as long as the weights are whole numbers).
    Updates are cheap: values are copied, and binned many at a time.

    Args:
        limit: Maximum number of known values that are retained. A merge of two has the smaller limit.
        bits: Binary logarithm of the number of histogram buckets per octave, from 1 to 16.

    Examples:
        >>> small = Quantiles(limit=100).update([1.0, 2.0, 4.0])
        >>> small.quantile(0.75), small.exact, small.error_bound
        (3.0, True, 0.0)
        >>> large = small.merge(Quantiles(limit=100).update(range(1, 1001)))
        >>> large.quantile(0.5), large.exact, large.error_bound
        (499.4994994994995, False, 0.001953125)
    """

    # Stored histograms and chunks are never modified, so copies and merges share them.
    __slots__ = ("_bins", "_chunks", "_histogram", "_sorted", "_waiting", "bits", "count", "limit", "missing")
    kind = "quantiles"
    parameters = ("bits",)
    shown = ("limit", "bits", "count", "exact")

    def __init__(self, limit: int = 2048, bits: int = 8) -> None:
        self.limit: int = checks.whole("limit", limit, ge=1)
        self.bits: int = bits if type(bits) is int and bits in _BITS else checks.one_of("bits", bits, _BITS)
        self.count = self.missing = self._waiting = 0
        self._chunks: list[SharedValues] = []
        self._histogram: LogHistogram | None = None
        self._sorted: Chunk | None = None
        self._bins: LogHistogram | None = None

    @property
    def exact(self) -> bool:
        """Whether quantiles are exact, true up to `limit` known values."""
        return self.count <= self.limit

    @property
    def error_bound(self) -> float:
        """Largest relative error of a quantile, 0 while exact, else the bound of the histogram."""
        return 0.0 if self.exact else self.histogram().relative_error_bound

    @property
    def minimum(self) -> float:
        """Smallest value, exact; NaN until known."""
        return self.histogram().minimum if not self.exact else float(self.quantile(0.0))

    @property
    def maximum(self) -> float:
        """Largest value, exact; NaN until known."""
        return self.histogram().maximum if not self.exact else float(self.quantile(1.0))

    @property
    def infinite(self) -> int:
        """Number of infinite values."""
        if self.exact:
            return int(np.count_nonzero(np.isinf(self.sorted_values()[0])))
        return self.histogram().infinite

    def update(self, values: Any, weights: Any = None) -> Self:
        x, w, missing = known_values(values, weights)
        return self.keep(SharedValues(x.copy(), None if w is None else w.copy(), missing))

    def keep(self, values: SharedValues) -> Self:
        """Add known values without a copy; all sketches that hold the same values bin them once.

        Args:
            values: Values in memory that is never modified again.

        Returns:
            The accumulator itself.

        Examples:
            >>> import numpy as np
            >>> from crucible_nb.accumulators.shared_values import SharedValues
            >>> Quantiles().keep(SharedValues(np.array([1.0, 3.0]))).quantile(0.5)
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
        self._histogram = self.histogram()
        self._chunks, self._waiting = [], 0

    def histogram(self) -> LogHistogram:
        """Return all values as a histogram; it may be shared, so copy it before an update.

        Examples:
            >>> Quantiles().update([1.0, 9.0]).histogram().count
            2
        """
        if self._bins is None:
            self._bins = _histogram(self.bits, [self])
        return self._bins

    def sorted_values(self) -> Chunk:
        """Return all values in ascending order with their weights, None for weights of 1; only while `exact`.

        Examples:
            >>> Quantiles().update([9.0, 1.0]).sorted_values()[0].tolist()
            [1.0, 9.0]
        """
        if self._sorted is None:
            self._sorted = sort_with_weights(*join_chunks([values.chunk for values in self._chunks]))
        return self._sorted

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Merge all parts in order into a new accumulator; faster than repeated `merge`.

        Args:
            parts: Accumulators with the same bits; an empty sequence gives an empty accumulator.

        Returns:
            A new accumulator; the parts stay unchanged.

        Raises:
            ConfigError: The bits differ.

        Examples:
            >>> Quantiles.merge_all([Quantiles().update([x]) for x in (1.0, 2.0, 9.0)]).quantile(0.5)
            2.0
        """
        if not parts:
            return cls()
        merged = cls(min(part.limit for part in parts), parts[0].bits)
        for part in parts:
            check_mergeable(merged, part)
            merged.count += part.count
            merged.missing += part.missing
        if merged.count > merged.limit:
            merged._histogram = merged._bins = _histogram(merged.bits, parts)
        else:
            merged._chunks = [chunk for part in parts for chunk in part._chunks]
            merged._waiting = merged.count
        return merged

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        return self.merge_all([self, later])

    def copy(self) -> Self:
        """Copy the accumulator; the copy can be updated independently.

        Examples:
            >>> Quantiles().update([1.0]).copy().count
            1
        """
        new = copy(self)
        new._chunks = self._chunks.copy()
        return new

    def quantile(self, q: Any) -> Any:
        if not self.exact:
            return self.histogram().quantile(q)
        values, weights = self.sorted_values()
        return quantile_of_sorted(values, q, weights)

    def _extra_state(self) -> dict[str, Any]:
        values, weights = join_chunks([values.chunk for values in self._chunks] if self.exact else [])
        return {
            "limit": self.limit,
            "missing": self.missing,
            "values": values.tolist(),
            "weights": None if weights is None else weights.tolist(),
            "histogram": None if self.exact else self.histogram().to_dict(),
        }

    def _load_extra_state(self, reader: StateReader) -> None:
        self.limit, missing = reader.whole("limit", ge=1), reader.whole("missing")
        values = reader.numbers("values")
        if len(values) > self.limit:
            raise reader.broken(f"values: expected at most {self.limit} numbers, got {len(values)}")
        weights = None if reader.part("weights") is None else reader.weights("weights", len(values))
        self.update(values, weights)
        self.missing = missing
        if reader.part("histogram") is not None:
            histogram = LogHistogram.from_dict(reader.part("histogram"))
            if histogram.bits != self.bits:
                raise reader.broken(f"histogram: expected {self.bits} bits, got {histogram.bits}")
            self._histogram = self._bins = histogram
            self.count = histogram.count


def _histogram(bits: int, parts: Sequence[Quantiles]) -> LogHistogram:
    """Bin all values of the parts: small chunks together, large chunks once for all sketches that share them."""
    histograms = [part._histogram for part in parts if part._histogram is not None]
    chunks = [values for part in parts for values in part._chunks]
    histograms += [values.binned(bits) for values in chunks if len(values.values) >= _LARGE]
    small = [values.chunk for values in chunks if len(values.values) < _LARGE]
    if small or not histograms:
        histograms.append(LogHistogram(bits).update(*join_chunks(small)))
    return LogHistogram.merge_all(histograms) if len(histograms) > 1 else histograms[0]
