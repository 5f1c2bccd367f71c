"""Quantiles from a t-digest: clusters of values that are small at the tails."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple, Self

import numpy as np

from crucible_nb.accumulators.inputs import Chunk, join_chunks, known_values
from crucible_nb.accumulators.order import QuantileSketch, quantile_of_sorted, sort_with_weights
from crucible_nb.accumulators.serial import StateReader, check_mergeable
from crucible_nb.utils import checks

_NOTHING = np.zeros(0)


class Clusters(NamedTuple):
    """Clustered values; never modified, so digests share them.

    Attributes:
        means: Mean of each cluster, ascending.
        weights: Weight of each cluster.
        low: Smallest finite value; NaN if there is none.
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

    def union(self, other: Clusters) -> Clusters:
        """Return the clusters of both, in ascending order, without merging any."""
        means, weights = self.means, self.weights
        if len(other.means):
            index = np.searchsorted(other.means, means)
            means, weights = np.insert(other.means, index, means), np.insert(other.weights, index, weights)
        return Clusters(
            means=means,
            weights=weights,
            low=float(np.fmin(self.low, other.low)),
            high=float(np.fmax(self.high, other.high)),
            below=self.below + other.below,
            above=self.above + other.above,
            infinite=self.infinite + other.infinite,
        )

    def add(self, values: np.ndarray, weights: np.ndarray | None, delta: int) -> Clusters:
        """Return at most `delta` clusters of these and of sorted values."""
        first, last = int(np.searchsorted(values, -math.inf, side="right")), int(np.searchsorted(values, math.inf))
        finite = values[first:last]
        ends = (float(finite[0]), float(finite[-1])) if len(finite) else (math.nan, math.nan)
        if weights is None:
            below, above, singles, weighted = float(first), float(len(values) - last), finite, (_NOTHING, _NOTHING)
        else:
            below, above = float(weights[:first].sum()), float(weights[last:].sum())
            singles, weighted = _NOTHING, (finite, weights[first:last])
        added = Clusters(*weighted, *ends, below, above, len(values) - len(finite))
        return self.union(added).compress(delta, singles)

    @np.errstate(over="ignore", invalid="ignore")
    def compress(self, delta: int, singles: np.ndarray = _NOTHING) -> Clusters:
        """Return at most `delta` clusters of these and of sorted values of weight 1 (within `low` and `high`).

        A new cluster merges all clusters and values whose middle rank lies between two steps of the scale. The ranks
        of the single values are computed, not stored, because there are many.
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
        """Return the value at position q (W - 1), linear between the middles of the clusters and the extremes."""
        ends = np.cumsum(self.weights)
        last = max(ends[-1] - 1, 0.0) if len(ends) else -1.0
        position = q * max(self.below + last + self.above, 0.0) - self.below
        ranks = np.concatenate(([0.0], np.clip(ends - (self.weights + 1) / 2, 0.0, max(last, 0.0)), [max(last, 0.0)]))
        values = np.concatenate(([self.low], self.means, [self.high]))
        index = np.clip(np.searchsorted(ranks, position, side="right") - 1, 0, len(ranks) - 2)
        a, b, gap = values[index], values[index + 1], ranks[index + 1] - ranks[index]
        fraction = np.clip((position - ranks[index]) / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
        # not numpy's formula: this one is monotone to the last bit
        linear = np.where(np.isfinite(b - a), a + (b - a) * fraction, a * (1 - fraction) + b * fraction)
        result = np.clip(linear, a, b)
        result = np.where((self.above > 0) & (position > last), math.inf, result)
        return np.where((self.below > 0) & (position < 0), -math.inf, result)


def _sums(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return the sum of each run between two cuts, 0 where it is empty."""
    full = cuts[1:] > cuts[:-1]
    if full.all():
        return np.add.reduceat(values, cuts[:-1])
    sums = np.zeros(len(full))
    if full.any():
        sums[full] = np.add.reduceat(values, cuts[:-1][full])
    return sums


@functools.cache
def _scale(delta: int) -> np.ndarray:
    """Return the inner steps of the scale function k1 (arcsine): cluster sizes follow the root of q (1 - q)."""
    return (1 - np.cos(np.pi * np.arange(1, delta) / delta)) / 2


class TDigest(QuantileSketch):
    """Quantiles from at most `delta` clusters and a buffer of values that are not clustered yet.

    Exact, with the bits of `np.quantile`, up to `buffer` values. Above, each time the buffer is full, its sorted values
    are merged into the clusters, so updating gives the same bits wherever the stream is cut; quantiles are then
    interpolated between clusters, monotone in `q`. Rank errors are small, and smallest at the tails, but no error bound
    on the value holds for all data (use `LogHistogram` for one). Merging is associative within these errors only.
    Smallest and largest value are exact.

    Args:
        delta: Maximum number of clusters.
        buffer: Maximum number of values not clustered yet, 8 bytes each.

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
        self._count = self._missing = 0  # of the clustered values; NaN in the buffer are not counted yet
        self._chunks: list[Chunk] = []
        self._waiting = 0

    @property
    def count(self) -> int:
        """Number of known values."""
        return self._count + self._waiting - self._unknown()

    @property
    def missing(self) -> int:
        """Number of NaN values."""
        return self._missing + self._unknown()

    @property
    def infinite(self) -> int:
        """Number of infinite values."""
        return self._clusters.infinite + sum(int(np.isinf(values).sum()) for values, _ in self._chunks)

    @property
    def exact(self) -> bool:
        """Whether quantiles are exact, true up to `buffer` values."""
        return not self._count

    @property
    def error_bound(self) -> float:
        """Largest relative error of a quantile, 0 while exact, then NaN, because none is guaranteed."""
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
        if weights is None:
            x, w = checks.floats("values", values), None
        else:
            x, w, missing = known_values(values, weights)
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
        self._clusters = self._clusters.add(values, weights, self.delta)
        self._count += len(values)
        self._missing += self._waiting - len(values)
        self._chunks, self._waiting = [], 0

    def _sorted(self) -> Chunk:
        """Return the known values of the buffer, sorted, with their weights."""
        values, weights = sort_with_weights(*join_chunks(self._chunks))
        stop = np.searchsorted(values, math.nan)  # NaN sorts last
        return values[:stop], None if weights is None else weights[:stop]

    def _all_clusters(self) -> Clusters:
        """Return the clusters with the buffer merged into them."""
        return self._clusters.add(*self._sorted(), self.delta) if self._chunks else self._clusters

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        merged = type(self)(self.delta, self.buffer)
        merged._count, merged._missing = self._count + later._count, self._missing + later._missing
        merged._chunks, merged._waiting = self._chunks + later._chunks, self._waiting + later._waiting
        if later.exact or self.exact:
            merged._clusters = self._clusters if later.exact else later._clusters
        else:
            merged._clusters = self._clusters.union(later._clusters).compress(self.delta)
        if merged._waiting > self.buffer:
            merged._flush()
        return merged

    def quantile(self, q: Any) -> Any:
        if self.exact:
            values, weights = self._sorted()
            return quantile_of_sorted(values, q, weights)
        probabilities = checks.fractions("q", q)
        result = self._all_clusters().quantile(probabilities)
        return result if probabilities.ndim else float(result)

    def _extra_state(self) -> dict[str, Any]:
        values, weights = join_chunks(self._chunks)
        return {
            "count": self._count,
            "missing": self._missing,
            "values": values.tolist(),
            "value_weights": None if weights is None else weights.tolist(),
            **self._clusters._asdict(),
            "means": self._clusters.means.tolist(),
            "weights": self._clusters.weights.tolist(),
        }

    def _load_extra_state(self, reader: StateReader) -> None:
        values, means = reader.numbers("values"), reader.ascending("means")
        weights = None if reader.part("value_weights") is None else reader.weights("value_weights", len(values))
        self._chunks, self._waiting = [(values, weights)] if len(values) else [], len(values)
        self._count, self._missing = reader.whole("count"), reader.whole("missing")
        self._clusters = Clusters(
            means=means,
            weights=reader.weights("weights", len(means)),
            low=reader.number("low"),
            high=reader.number("high"),
            below=reader.weight("below"),
            above=reader.weight("above"),
            infinite=reader.whole("infinite"),
        )
