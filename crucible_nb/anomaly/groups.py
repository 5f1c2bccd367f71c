"""Groups with separate baselines: group numbers, and batches of groups that fill a matrix well."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from crucible_nb.anomaly.exact_json import encode_floats
from crucible_nb.events.event_columns import EventColumns

LIMIT = 1000
"""Maximum number of groups of one detector; later groups share the last baseline."""

_TABLE_SIZE = 65_536  # number of possible label combinations up to which a lookup table is used


class Groups:
    """Number the groups of some columns in order of first appearance.

    Args:
        by: The columns; an empty tuple means one group.
    """

    def __init__(self, by: tuple[str, ...]) -> None:
        self.by = by
        self._numbers: dict[tuple[Any, ...], int] = {} if by else {(): 0}

    def __len__(self) -> int:
        return len(self._numbers)

    def codes(self, events: EventColumns) -> np.ndarray:
        """Return the group number of each event."""
        if not self.by or not len(events):
            return np.zeros(len(events), np.int16)
        columns = [events.labels(name) for name in self.by]
        keys, size = np.zeros(len(events), np.int64), 1
        for codes, labels in columns:
            keys = keys * (len(labels) + 1) + codes + 1
            size *= len(labels) + 1
        if size > _TABLE_SIZE:
            size, keys = (unique := np.unique(keys, return_inverse=True))[0].size, unique[1]
        first = np.full(size, len(events))
        first[keys[::-1]] = np.arange(len(events))[::-1]  # the last write is the first event with a key
        numbers = np.zeros(size, np.int16)
        for key in np.argsort(first, kind="stable")[: np.count_nonzero(first < len(events))].tolist():
            at = first[key]  # in order of first appearance, for any block
            numbers[key] = self._number(
                tuple(labels[codes[at]] if codes[at] >= 0 else None for codes, labels in columns)
            )
        return numbers[keys]

    def _number(self, key: tuple[Any, ...]) -> int:
        key = tuple(label.item() if isinstance(label, np.generic) else label for label in key)
        if key not in self._numbers and len(self._numbers) >= LIMIT:
            return LIMIT - 1
        return self._numbers.setdefault(key, len(self._numbers))

    def describe(self, number: int) -> str:
        """Name the group for a reason; "" without `by`."""
        if not self.by:
            return ""
        if number == LIMIT - 1:
            return " of the other groups"
        return " of " + ", ".join(str(label) for label in list(self._numbers)[number])

    def batches(self, known: np.ndarray, codes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Iterate over batches of groups with similar numbers of known events, so that few cells of a matrix are empty.

        Yields:
            Group numbers (g), positions of their events in order (g, m; the last one repeated to fill the row),
            numbers of events (g).
        """
        positions = np.flatnonzero(known)
        if not len(positions):
            return
        if len(self) == 1:
            yield np.zeros(1, np.int64), positions[None, :], np.array([len(positions)])
            return
        known_codes = codes[positions]
        order = positions[np.argsort(known_codes, kind="stable")]
        sizes = np.bincount(known_codes, minlength=len(self))
        rows = np.flatnonzero(sizes)
        counts = sizes[rows]
        starts = np.cumsum(counts) - counts
        for batch in _similar_sizes(counts):
            longest = int(counts[batch].max())
            at = starts[batch, None] + np.minimum(np.arange(longest), counts[batch, None] - 1)
            yield rows[batch], order[at], counts[batch]

    def to_dict(self) -> list[list[Any]]:
        """Return the keys in order, as plain data."""
        return [[_encode_label(label) for label in key] for key in self._numbers]

    def load(self, keys: list[list[Any]]) -> None:
        """Restore keys of `to_dict`."""
        self._numbers = {tuple(_decode_label(label) for label in key): number for number, key in enumerate(keys)}


def positions_by_key(keys: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Iterate over the keys that occur, ascending, with the positions of each.

    Examples:
        >>> [(key, at.tolist()) for key, at in positions_by_key(np.array([3, 0, 3]))]
        [(0, [1]), (3, [0, 2])]
    """
    if not len(keys):
        return
    low, high = int(keys.min()), int(keys.max())
    if low == high:
        yield low, np.arange(len(keys))
        return
    present = np.flatnonzero(np.bincount(keys)) if high <= _TABLE_SIZE else np.unique(keys)
    for key in present.tolist():
        yield key, np.flatnonzero(keys == key)


def _encode_label(label: Any) -> Any:
    """Encode a label for JSON; an infinite float becomes a list, to distinguish it from a text label."""
    return [encode_floats(label)] if isinstance(label, float) and not math.isfinite(label) else label


def _decode_label(label: Any) -> Any:
    return float(label[0]) if isinstance(label, list) else label


def _similar_sizes(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Iterate over positions of counts of similar size: a matrix of one batch is at least half full."""
    order = np.argsort(counts, kind="stable")
    while len(order):
        largest = counts[order[-1]]
        start = int(np.searchsorted(counts[order], largest / 4))  # counts of at least a quarter of the largest
        while counts[order[start:]].sum() < largest * (len(order) - start) / 2:
            start += max((len(order) - start) // 2, 1)
        yield np.sort(order[start:])
        order = order[:start]
