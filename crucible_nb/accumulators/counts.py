"""How often each category came."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from crucible_nb.accumulators.serial import Opened, Stateful, alike
from crucible_nb.errors import StatError
from crucible_nb.utils import checks


@dataclass(frozen=True, slots=True)
class CountsResult:
    """What `Counts` knows.

    Attributes:
        counts: Sum of the weights of each kept category, in order of first appearance.
        other: Sum of the weights of the categories that were not kept.
        total: Sum of all weights.
        missing: Values that were None, NaN or NA.

    Examples:
        >>> Counts().update(["a", "b", "a"]).result().counts
        {'a': 2.0, 'b': 1.0}
    """

    counts: dict[str, float]
    other: float
    total: float
    missing: int


class Counts(Stateful):
    """Counts of text categories, at most `limit` of them.

    Up to `limit` distinct categories nothing is lost. Above, those with the smallest checksums are kept, a choice
    that depends on which categories came and on nothing else: whoever is among the smallest of the whole is among
    the smallest of every part that it came in. So the kept counts are exact, `other` is, and merging is associative
    to the bit however the stream was cut; keeping the first or the most frequent ones could promise none of it.

    Args:
        limit: Most categories that are kept.

    Examples:
        >>> Counts().update(["gpt-4o", "mini", None, "gpt-4o"]).result()
        CountsResult(counts={'gpt-4o': 2.0, 'mini': 1.0}, other=0.0, total=3.0, missing=1)

    References:
        Bar-Yossef et al. (2002), Counting distinct elements in a data stream (the k smallest hashes).
    """

    __slots__ = ("_counts", "limit", "missing", "other")
    kind = "counts"
    parameters = ("limit",)
    shown = ("counts", "other")

    def __init__(self, limit: int = 1000) -> None:
        self.limit: int = checks.whole("limit", limit, ge=1)
        self.missing = 0
        self.other = 0.0
        self._counts: dict[str, float] = {}

    @property
    def counts(self) -> dict[str, float]:
        """Sum of the weights of each kept category, in order of first appearance."""
        return dict(self._counts)

    def update(self, values: Any, weights: Any = None) -> Self:
        """Take values in, in place.

        Args:
            values: n texts, None, NaN or NA where missing.
            weights: n finite numbers >= 0; None is 1 each.

        Returns:
            The accumulator itself.

        Raises:
            StatError: When a value is neither text nor missing, or `weights` are negative, infinite or not n.

        Examples:
            >>> Counts().update(["a", "b"], weights=[2, 0.5]).counts
            {'a': 2.0, 'b': 0.5}
        """
        if isinstance(values, str):
            raise checks.wrong("values", values, "a list of texts", StatError)
        values = values.tolist() if hasattr(values, "tolist") else list(values)
        if weights is None:
            return self.add(self._texts(Counter(values)))
        pairs = [pair for pair in zip(values, checks.weights(weights, len(values)).tolist(), strict=True) if pair[1]]
        rows = Counter(value for value, _ in pairs)
        sums = dict.fromkeys(self._texts(rows), 0.0)
        for value, weight in pairs:
            if isinstance(value, str):
                sums[value] += weight
        return self.add(sums)

    def _texts(self, rows: Mapping[Any, int]) -> dict[str, int]:
        """The rows of each text; missing ones are counted."""
        strange = [value for value in rows if not isinstance(value, str)]
        for value in strange:
            if not _missing(value):
                raise checks.wrong("values", value, "texts, None for missing", StatError)
        self.missing += sum(rows[value] for value in strange)
        return {value: count for value, count in rows.items() if isinstance(value, str)}

    def add(self, counts: Mapping[str, float]) -> Self:
        """Take categories in that are counted already, in place.

        Args:
            counts: How much to add to each category, finite numbers >= 0.

        Returns:
            The accumulator itself.

        Raises:
            StatError: When a count is negative or infinite.

        Examples:
            >>> Counts().add({"a": 2}).add({"b": 1, "a": 1}).counts
            {'a': 3.0, 'b': 1.0}
        """
        sums = checks.weights(list(counts.values()), len(counts)).tolist()
        for value, weight in zip(counts, sums, strict=True):
            self._counts[value] = self._counts.get(value, 0.0) + weight
        for value in _beyond(self._counts, self.limit):
            self.other += self._counts.pop(value)
        return self

    def merge(self, later: Self) -> Self:
        """Both together, as a new accumulator; both are left alone.

        Raises:
            ConfigError: When `later` is something else or has another limit.

        Examples:
            >>> Counts().update(["b"]).merge(Counts().update(["a", "b"])).counts
            {'b': 2.0, 'a': 1.0}
        """
        alike(self, later)
        both = type(self)(self.limit)
        both.missing = self.missing + later.missing
        both.other = self.other + later.other
        return both.add(self._counts).add(later._counts)

    def result(self) -> CountsResult:
        """What is known so far.

        Examples:
            >>> Counts().result()
            CountsResult(counts={}, other=0.0, total=0.0, missing=0)
        """
        return CountsResult(self.counts, self.other, sum(self._counts.values()) + self.other, self.missing)

    def to_dict(self) -> dict[str, Any]:
        """The whole state as plain data that JSON can hold.

        Examples:
            >>> Counts().update(["a"]).to_dict()["categories"]
            ['a']
        """
        kept = {"categories": list(self._counts), "counts": list(self._counts.values())}
        return {**super().to_dict(), "other": self.other, "missing": self.missing, **kept}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The accumulator whose `to_dict` gave `state`.

        Raises:
            StoreError: When the state is broken, of another kind or from a newer release.

        Examples:
            >>> Counts.from_dict(Counts().update(["a"]).to_dict()).counts
            {'a': 1.0}
        """
        opened = Opened(state, cls.kind)
        new = opened.build(cls)
        new.missing, new.other = opened.whole("missing"), opened.weight("other")
        texts = opened.texts("categories")
        return new.add(dict(zip(texts, opened.weights("counts", len(texts)).tolist(), strict=True)))


def _missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA does not say
        return True


def _beyond(values: Iterable[str], limit: int) -> list[str]:
    """Those with the largest checksums, above the first `limit`."""
    values = list(values)
    if len(values) <= limit:
        return []
    return sorted(values, key=lambda value: (zlib.crc32(value.encode("utf-8", "surrogatepass")), value))[limit:]
