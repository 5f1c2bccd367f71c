"""Counts of categories."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from crucible_nb.accumulators.serial import Stateful, StateReader, check_mergeable
from crucible_nb.errors import StatError
from crucible_nb.utils import checks


@dataclass(frozen=True, slots=True)
class CountsResult:
    """Result of `Counts`.

    Attributes:
        counts: Sum of the weights of each retained category, in order of first appearance.
        other: Sum of the weights of all other categories.
        total: Sum of all weights.
        missing: Number of values that were None, NaN or NA.

    Examples:
        >>> Counts().update(["a", "b", "a"]).result().counts
        {'a': 2.0, 'b': 1.0}
    """

    counts: dict[str, float]
    other: float
    total: float
    missing: int


class Counts(Stateful):
    """Counts of at most `limit` text categories. Values are texts; None, NaN or NA where missing.

    Up to `limit` distinct categories nothing is lost. Above, the categories with the smallest checksums are retained.
    That choice depends only on the set of categories: a category among the smallest of the whole stream is among the
    smallest of every part in which it occurs. So the retained counts and `other` are exact, and merging is associative
    to the bit wherever the stream is cut. Retaining the first or the most frequent categories would guarantee neither.

    Args:
        limit: Maximum number of retained categories.

    Examples:
        >>> Counts().update(["gpt-4o", "mini", None, "gpt-4o"]).result()
        CountsResult(counts={'gpt-4o': 2.0, 'mini': 1.0}, other=0.0, total=3.0, missing=1)
        >>> Counts().update(["a", "b"], weights=[2, 0.5]).merge(Counts().update(["c", "a"])).counts
        {'a': 3.0, 'b': 0.5, 'c': 1.0}

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
        """Sum of the weights of each retained category, in order of first appearance."""
        return dict(self._counts)

    def update(self, values: Any, weights: Any = None) -> Self:
        if isinstance(values, str):
            raise checks.wrong("values", values, "a list of texts", StatError)
        values = values.tolist() if hasattr(values, "tolist") else list(values)
        if weights is None:
            return self.add(self._drop_missing(Counter(values)))
        pairs = [pair for pair in zip(values, checks.weights(weights, len(values)).tolist(), strict=True) if pair[1]]
        rows = Counter(value for value, _ in pairs)
        sums = dict.fromkeys(self._drop_missing(rows), 0.0)
        for value, weight in pairs:
            if isinstance(value, str):
                sums[value] += weight
        return self.add(sums)

    def _drop_missing(self, rows: Mapping[Any, int]) -> dict[str, int]:
        """Return the number of rows of each text; count the missing ones."""
        not_texts = [value for value in rows if not isinstance(value, str)]
        for value in not_texts:
            if not _is_missing(value):
                raise checks.wrong("values", value, "texts, None for missing", StatError)
        self.missing += sum(rows[value] for value in not_texts)
        return {value: count for value, count in rows.items() if isinstance(value, str)}

    def add(self, counts: Mapping[str, float]) -> Self:
        """Add counts of categories, in place.

        Args:
            counts: Count to add to each category, a finite number >= 0.

        Returns:
            The accumulator itself.

        Raises:
            StatError: A count is negative or infinite.

        Examples:
            >>> Counts().add({"a": 2}).add({"b": 1, "a": 1}).counts
            {'a': 3.0, 'b': 1.0}
        """
        sums = checks.weights(list(counts.values()), len(counts)).tolist()
        for value, weight in zip(counts, sums, strict=True):
            self._counts[value] = self._counts.get(value, 0.0) + weight
        for value in _excess(self._counts, self.limit):
            self.other += self._counts.pop(value)
        return self

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        merged = type(self)(self.limit)
        merged.missing = self.missing + later.missing
        merged.other = self.other + later.other
        return merged.add(self._counts).add(later._counts)

    def result(self) -> CountsResult:
        return CountsResult(self.counts, self.other, sum(self._counts.values()) + self.other, self.missing)

    def _extra_state(self) -> dict[str, Any]:
        retained = {"categories": list(self._counts), "counts": list(self._counts.values())}
        return {"other": self.other, "missing": self.missing, **retained}

    def _load_extra_state(self, reader: StateReader) -> None:
        self.missing, self.other = reader.whole("missing"), reader.weight("other")
        texts = reader.texts("categories")
        self.add(dict(zip(texts, reader.weights("counts", len(texts)).tolist(), strict=True)))


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # a comparison with NA has no truth value
        return True


def _excess(values: Iterable[str], limit: int) -> list[str]:
    """Return the categories beyond `limit`: the ones with the largest checksums."""
    values = list(values)
    if len(values) <= limit:
        return []
    return sorted(values, key=lambda value: (zlib.crc32(value.encode("utf-8", "surrogatepass")), value))[limit:]
