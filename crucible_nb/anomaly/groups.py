"""Groups with baselines of their own: numbering them, and batches of them that fill a matrix well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from crucible_nb.seen import Events

LIMIT = 1000
"""Groups of one detector; later ones share the last baseline."""


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

    def codes(self, events: Events) -> np.ndarray:
        """The group number of each event."""
        if not self.by:
            return np.zeros(len(events), np.int64)
        columns = [events.labels(name) for name in self.by]
        mixed = np.zeros(len(events), np.int64)
        for codes, labels in columns:
            mixed = mixed * (len(labels) + 1) + codes + 1
        _, first, inverse = np.unique(mixed, return_index=True, return_inverse=True)
        numbers = np.empty(len(first), np.int64)
        for at in np.argsort(first).tolist():  # in order of appearance, whatever the block
            key = tuple(labels[codes[first[at]]] if codes[first[at]] >= 0 else None for codes, labels in columns)
            numbers[at] = self._number(key)
        return numbers[inverse]

    def _number(self, key: tuple[Any, ...]) -> int:
        key = tuple(label.item() if isinstance(label, np.generic) else label for label in key)
        if key not in self._numbers and len(self._numbers) >= LIMIT:
            return LIMIT - 1
        return self._numbers.setdefault(key, len(self._numbers))

    def said(self, number: int) -> str:
        """The group in a sentence; "" where there is only one."""
        if not self.by:
            return ""
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
        order = places[np.argsort(codes[places], kind="stable")]
        rows, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
        for size in np.unique(classes := np.ceil(np.log2(counts)).astype(int)):
            some = np.flatnonzero(classes == size)
            longest = int(counts[some].max())
            at = starts[some, None] + np.minimum(np.arange(longest), counts[some, None] - 1)
            yield rows[some], order[at], counts[some]

    def to_dict(self) -> list[list[Any]]:
        """The keys in order, as plain data."""
        return [list(key) for key in self._numbers]

    def load(self, keys: list[list[Any]]) -> None:
        """Take keys over."""
        self._numbers = {tuple(key): number for number, key in enumerate(keys)}
