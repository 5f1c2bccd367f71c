"""Quantiles from a t-digest: clusters of values, small at the tails."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from crucible_nb.accumulators.inputs import Chunk, joined, known
from crucible_nb.accumulators.order import QuantileResult, quantile_of_sorted, quantile_result, sort_pair
from crucible_nb.accumulators.serial import Opened, Stateful, alike
from crucible_nb.utils import checks

_NOTHING = np.zeros(0)


class Clusters(NamedTuple):
    """Values that were clustered; never written to, so digests share them.

    Attributes:
        means: Mean of each cluster, ascending.
        weights: Weight of each cluster.
        low: Smallest finite value; NaN when there is none.
        high: Largest finite value.
        below: Weight of -inf.
        above: Weight of +inf.
        infinite: Number of infinite values.
    """

    means: np.ndarray = _NOTHING
    weights: np.ndarray = _NOTHING
    low: float = math.nan
    high: float = math.nan
    below: float = 0.0
    above: float = 0.0
    infinite: int = 0

    def plus(self, other: Clusters) -> Clusters:
        """The clusters of both, in order."""
        means, weights = self.means, self.weights
        if len(other.means):
            at = np.searchsorted(other.means, means)
            means, weights = np.insert(other.means, at, means), np.insert(other.weights, at, weights)
        return Clusters(
            means,
            weights,
            float(np.fmin(self.low, other.low)),
            float(np.fmax(self.high, other.high)),
            self.below + other.below,
            self.above + other.above,
            self.infinite + other.infinite,
        )

    def absorbed(self, values: np.ndarray, weights: np.ndarray | None, delta: int) -> Clusters:
        """At most `delta` clusters of what is here and of sorted values."""
        first, last = int(np.searchsorted(values, -math.inf, side="right")), int(np.searchsorted(values, math.inf))
        finite = values[first:last]
        ends = (float(finite[0]), float(finite[-1])) if len(finite) else (math.nan, math.nan)
        if weights is None:
            below, above, singles, others = float(first), float(len(values) - last), finite, (_NOTHING, _NOTHING)
        else:
            below, above = float(weights[:first].sum()), float(weights[last:].sum())
            singles, others = _NOTHING, (finite, weights[first:last])
        return self.plus(Clusters(*others, *ends, below, above, len(values) - len(finite))).shrunk(delta, singles)

    @np.errstate(over="ignore", invalid="ignore")
    def shrunk(self, delta: int, singles: np.ndarray = _NOTHING) -> Clusters:
        """At most `delta` clusters of what is here and of sorted values of weight 1 (within `low` and `high`).

        A new cluster takes what has its middle rank between two steps of the scale. The ranks of single values are
        counted, not written out: they are many.
        """
        ahead = np.searchsorted(singles, self.means)
        mass = np.concatenate(([0.0], np.cumsum(self.weights)))
        steps = _scale(delta) * (len(singles) + mass[-1])
        cuts = np.searchsorted(ahead + mass[:-1] + self.weights / 2, steps)
        bounds = np.concatenate(([0], ahead, [len(singles)]))
        single_cuts = np.clip(np.ceil(steps - mass[cuts] - 0.5), bounds[cuts], bounds[cuts + 1]).astype(np.intp)
        cuts = np.concatenate(([0], cuts, [len(self.means)]))
        single_cuts = np.concatenate(([0], single_cuts, [len(singles)]))
        weights = mass[cuts[1:]] - mass[cuts[:-1]] + (single_cuts[1:] - single_cuts[:-1])
        full = weights > 0
        sums = _sums(self.means * self.weights, cuts) + _sums(singles, single_cuts)
        # neither rounding nor the overflow of the largest values may break the order
        means = np.fmax.accumulate(np.concatenate(([self.low], sums[full] / weights[full])))[1:]
        return self._replace(means=np.clip(means, self.low, self.high), weights=weights[full])

    @np.errstate(over="ignore", invalid="ignore")
    def quantile(self, q: np.ndarray) -> np.ndarray:
        """The value at position q (W - 1), linear between the middles of the clusters and the extremes."""
        ends = np.cumsum(self.weights)
        last = max(ends[-1] - 1, 0.0) if len(ends) else -1.0
        position = q * max(self.below + last + self.above, 0.0) - self.below
        places = np.concatenate(([0.0], np.clip(ends - (self.weights + 1) / 2, 0.0, max(last, 0.0)), [max(last, 0.0)]))
        values = np.concatenate(([self.low], self.means, [self.high]))
        at = np.clip(np.searchsorted(places, position, side="right") - 1, 0, len(places) - 2)
        a, b, gap = values[at], values[at + 1], places[at + 1] - places[at]
        share = np.clip((position - places[at]) / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
        # not numpy's formula: this one is monotone to the last bit
        found = np.clip(np.where(np.isfinite(b - a), a + (b - a) * share, a * (1 - share) + b * share), a, b)
        found = np.where((self.above > 0) & (position > last), math.inf, found)
        return np.where((self.below > 0) & (position < 0), -math.inf, found)


def _sums(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The sum of each run between two cuts, 0 where it is empty."""
    full = cuts[1:] > cuts[:-1]
    if full.all():
        return np.add.reduceat(values, cuts[:-1])
    sums = np.zeros(len(full))
    if full.any():
        sums[full] = np.add.reduceat(values, cuts[:-1][full])
    return sums


@functools.cache
def _scale(delta: int) -> np.ndarray:
    """The inner steps of the scale k1, an arcsine: clusters shrink with the root of q (1 - q)."""
    return (1 - np.cos(np.pi * np.arange(1, delta) / delta)) / 2


class TDigest(Stateful):
    """Quantiles from at most `delta` clusters and a buffer of values that are not clustered yet.

    Exact, as `np.quantile`, up to `buffer` values. Above, the sorted buffer is clustered with what is there each
    time it is full, so updating gives the same bits however the stream is cut. Errors are small in rank and smallest
    at the tails, but none in value is guaranteed for all data (`LogHistogram` does that). Merging is associative
    within these errors only. Smallest and largest value are exact.

    Args:
        delta: Most clusters.
        buffer: Most values that wait to be clustered, 8 bytes each.

    Examples:
        >>> import numpy as np
        >>> digest = TDigest().update(np.arange(1.0, 200_001.0))
        >>> digest
        TDigest(delta=1000, buffer=131072, count=200000, exact=False)
        >>> round(digest.quantile(0.95))
        190000

    References:
        Dunning and Ertl (2019), Computing extremely accurate quantiles using t-digests.
    """

    __slots__ = ("_chunks", "_clusters", "_count", "_missing", "_waiting", "buffer", "delta")
    kind = "tdigest"
    parameters = ("delta", "buffer")
    shown = ("delta", "buffer", "count", "exact")

    def __init__(self, delta: int = 1000, buffer: int = 131_072) -> None:
        self.delta: int = checks.whole("delta", delta, ge=10)
        self.buffer: int = checks.whole("buffer", buffer, ge=1)
        self._clusters = Clusters()
        self._count = self._missing = 0  # without the waiting ones, whose NaN are not looked for yet
        self._chunks: list[Chunk] = []
        self._waiting = 0

    @property
    def count(self) -> int:
        """Known values."""
        return self._count + self._waiting - self._unknown()

    @property
    def missing(self) -> int:
        """Values that were NaN."""
        return self._missing + self._unknown()

    @property
    def infinite(self) -> int:
        """Values that were infinite."""
        return self._clusters.infinite + sum(int(np.isinf(values).sum()) for values, _ in self._chunks)

    @property
    def exact(self) -> bool:
        """Whether quantiles are exact: true up to `buffer` values."""
        return not self._count

    @property
    def error_bound(self) -> float:
        """0 while exact, then NaN: nothing is guaranteed."""
        return 0.0 if self.exact else math.nan

    @property
    def minimum(self) -> float:
        """Smallest value, exact; NaN until known."""
        return float(self.quantile(0.0))

    @property
    def maximum(self) -> float:
        """Largest value, exact; NaN until known."""
        return float(self.quantile(1.0))

    def _unknown(self) -> int:
        return sum(int(np.isnan(values).sum()) for values, _ in self._chunks)

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
            >>> TDigest().update([1.0, 5.0], weights=[3, 1]).quantile(0.5)
            1.0
        """
        if weights is None:
            x, w = checks.floats("values", values), None
        else:
            x, w, missing = known(values, weights)
            self._missing += missing
        while self._waiting + len(x) > self.buffer:
            room = self.buffer - self._waiting
            self._append(x[:room], None if w is None else w[:room])
            self._flush()
            x, w = x[room:], None if w is None else w[room:]
        self._append(x, w)
        return self

    def _append(self, x: np.ndarray, w: np.ndarray | None) -> None:
        if len(x):
            self._chunks.append((x.copy(), None if w is None else w.copy()))
            self._waiting += len(x)

    def _flush(self) -> None:
        values, weights = self._sorted()
        self._clusters = self._clusters.absorbed(values, weights, self.delta)
        self._count += len(values)
        self._missing += self._waiting - len(values)
        self._chunks, self._waiting = [], 0

    def _sorted(self) -> Chunk:
        """The known values that wait, sorted, with their weights."""
        values, weights = sort_pair(*joined(self._chunks))
        stop = np.searchsorted(values, math.nan)  # NaN sorts last
        return values[:stop], None if weights is None else weights[:stop]

    def _all(self) -> Clusters:
        """All values, clustered."""
        return self._clusters.absorbed(*self._sorted(), self.delta) if self._chunks else self._clusters

    def merge(self, later: Self) -> Self:
        """Both together, as a new accumulator; both are left alone.

        Raises:
            ConfigError: When `later` is something else or has other parameters.

        Examples:
            >>> TDigest().update([1.0]).merge(TDigest().update([4.0])).quantile(0.5)
            2.5
        """
        alike(self, later)
        both = type(self)(self.delta, self.buffer)
        both._count, both._missing = self._count + later._count, self._missing + later._missing
        both._chunks, both._waiting = self._chunks + later._chunks, self._waiting + later._waiting
        if later.exact or self.exact:
            both._clusters = self._clusters if later.exact else later._clusters
        else:
            both._clusters = self._clusters.plus(later._clusters).shrunk(self.delta)
        if both._waiting > self.buffer:
            both._flush()
        return both

    def quantile(self, q: Any) -> Any:
        """Quantiles as `np.quantile` has them while exact, else interpolated between clusters; monotone in `q`.

        Args:
            q: A number or an array of numbers in [0, 1].

        Returns:
            A float, or float64 of the shape of `q`, in the unit of the values; NaN when nothing is known.

        Raises:
            ConfigError: When a `q` is outside [0, 1].

        Examples:
            >>> TDigest().update([1.0, 2.0, 4.0]).quantile([0.5, 0.75]).tolist()
            [2.0, 3.0]
        """
        if self.exact:
            values, weights = self._sorted()
            return quantile_of_sorted(values, q, weights)
        at = checks.fractions("q", q)
        found = self._all().quantile(at)
        return found if at.ndim else float(found)

    def result(self) -> QuantileResult:
        """What is known so far.

        Examples:
            >>> TDigest().result().p50
            nan
        """
        return quantile_result(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole state as plain data that JSON can hold.

        Examples:
            >>> TDigest().update([2.0, 1.0]).to_dict()["values"]
            [2.0, 1.0]
        """
        values, weights = joined(self._chunks)
        return {
            **super().to_dict(),
            "count": self._count,
            "missing": self._missing,
            "values": values.tolist(),
            "value_weights": None if weights is None else weights.tolist(),
            **self._clusters._asdict(),
            "means": self._clusters.means.tolist(),
            "weights": self._clusters.weights.tolist(),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The accumulator whose `to_dict` gave `state`.

        Raises:
            StoreError: When the state is broken, of another kind or from a newer release.

        Examples:
            >>> TDigest.from_dict(TDigest().update([1.0, 9.0]).to_dict()).maximum
            9.0
        """
        opened = Opened(state, cls.kind)
        new = opened.build(cls)
        values, means = opened.numbers("values"), opened.ascending("means")
        weights = None if opened.part("value_weights") is None else opened.weights("value_weights", len(values))
        new._chunks, new._waiting = [(values, weights)] if len(values) else [], len(values)
        new._count, new._missing = opened.whole("count"), opened.whole("missing")
        low, high, infinite = opened.number("low"), opened.number("high"), opened.whole("infinite")
        below, above = opened.weight("below"), opened.weight("above")
        new._clusters = Clusters(means, opened.weights("weights", len(means)), low, high, below, above, infinite)
        return new
