"""Groups with baselines of their own: numbering them, and batches of them that fill a matrix well."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from crucible_nb.anomaly.exact_json import plain
from crucible_nb.events.event_columns import EventColumns

LIMIT = 1000
"""Groups of one detector; later ones share the last baseline."""

_FEW = 65_536  # possible combinations of labels that are worth a table


class Groups:
    """Numbers the groups of some columns in order of first appearance.

    Args:
        by: The columns; without any there is one group.
    """

    def __init__(self, by: tuple[str, ...]) -> None:
        self.by = by
        self._numbers: dict[tuple[Any, ...], int] = {} if by else {(): 0}

    def __len__(self) -> int:
        return len(self._numbers)

    def codes(self, events: EventColumns) -> np.ndarray:
        """The group number of each event."""
        if not self.by or not len(events):
            return np.zeros(len(events), np.int16)
        columns = [events.labels(name) for name in self.by]
        mixed, kinds = np.zeros(len(events), np.int64), 1
        for codes, labels in columns:
            mixed = mixed * (len(labels) + 1) + codes + 1
            kinds *= len(labels) + 1
        if kinds > _FEW:
            kinds, mixed = (unique := np.unique(mixed, return_inverse=True))[0].size, unique[1]
        first = np.full(kinds, len(events))
        first[mixed[::-1]] = np.arange(len(events))[::-1]  # the last write is the first event of a kind
        numbers = np.zeros(kinds, np.int16)
        for kind in np.argsort(first, kind="stable")[: np.count_nonzero(first < len(events))].tolist():
            at = first[kind]  # in order of appearance, whatever the block
            numbers[kind] = self._number(
                tuple(labels[codes[at]] if codes[at] >= 0 else None for codes, labels in columns)
            )
        return numbers[mixed]

    def _number(self, key: tuple[Any, ...]) -> int:
        key = tuple(label.item() if isinstance(label, np.generic) else label for label in key)
        if key not in self._numbers and len(self._numbers) >= LIMIT:
            return LIMIT - 1
        return self._numbers.setdefault(key, len(self._numbers))

    def said(self, number: int) -> str:
        """The group in a sentence; "" where there is only one."""
        if not self.by:
            return ""
        if number == LIMIT - 1:
            return " of the other groups"
        return " of " + ", ".join(str(label) for label in list(self._numbers)[number])

    def batches(self, known: np.ndarray, codes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Groups of about the same number of known events at a time, so that few cells of a matrix are empty.

        Yields:
            Group numbers (g), positions of their events in order (g, m; repeated at the end), numbers of events (g).
        """
        places = np.flatnonzero(known)
        if not len(places):
            return
        if len(self) == 1:
            yield np.zeros(1, np.int64), places[None, :], np.array([len(places)])
            return
        there = codes[places]
        order = places[np.argsort(there, kind="stable")]
        sizes = np.bincount(there, minlength=len(self))
        rows = np.flatnonzero(sizes)
        counts = sizes[rows]
        starts = np.cumsum(counts) - counts
        for some in _alike(counts):
            longest = int(counts[some].max())
            at = starts[some, None] + np.minimum(np.arange(longest), counts[some, None] - 1)
            yield rows[some], order[at], counts[some]

    def to_dict(self) -> list[list[Any]]:
        """The keys in order, as plain data."""
        return [[_written(label) for label in key] for key in self._numbers]

    def load(self, keys: list[list[Any]]) -> None:
        """Take keys over."""
        self._numbers = {tuple(_read(label) for label in key): number for number, key in enumerate(keys)}


def _written(label: Any) -> Any:
    """A label as JSON can hold it; one that is infinite in a list, which no label is, so that it is no text."""
    return [plain(label)] if isinstance(label, float) and not math.isfinite(label) else label


def _read(label: Any) -> Any:
    return float(label[0]) if isinstance(label, list) else label


def _alike(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Places of counts of about the same size: a matrix of all of them would be at least half full."""
    order = np.argsort(counts, kind="stable")
    while len(order):
        most = counts[order[-1]]
        start = int(np.searchsorted(counts[order], most / 4))  # the last quarter
        while counts[order[start:]].sum() < most * (len(order) - start) / 2:
            start += max((len(order) - start) // 2, 1)
        yield np.sort(order[start:])
        order = order[:start]
