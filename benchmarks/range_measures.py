"""Range-based precision and recall: how much of the labelled ranges is covered, and of the predicted ones is right.

Reference: Tatbul, Lee, Zdonik, Alam, Gottschlich: Precision and recall for time series. NeurIPS (2018). A range is its
first and its last row. The share of a range that is covered counts all its rows alike (flat positional bias); a range
that several others overlap gets that share divided by their number (cardinality 1 / x).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Range = tuple[int, int]


class Covered(NamedTuple):
    """Sums over ranges, so that several series can be added.

    Attributes:
        recalled: Sum of the recalls of the labelled ranges.
        labelled: Number of labelled ranges.
        precise: Sum of the precisions of the predicted ranges.
        predicted: Number of predicted ranges.
    """

    recalled: float = 0.0
    labelled: int = 0
    precise: float = 0.0
    predicted: int = 0

    def __add__(self, other: tuple[Any, ...]) -> Covered:
        return Covered(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def precision(self) -> float:
        return self.precise / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.recalled / self.labelled if self.labelled else 0.0

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def covered(labelled: list[Range], predicted: list[Range], existence: float = 0.5) -> Covered:
    """Compare the labelled with the predicted ranges of one series; neither overlap among themselves.

    `existence` is the part of the recall of a range that it gets for being overlapped at all.
    """
    recalls = [
        existence * bool(_overlaps(one, predicted)) + (1 - existence) * _share(one, predicted) for one in labelled
    ]
    return Covered(sum(recalls), len(labelled), sum(_share(one, labelled) for one in predicted), len(predicted))


def _overlaps(one: Range, others: list[Range]) -> list[int]:
    rows = [min(one[1], other[1]) - max(one[0], other[0]) + 1 for other in others]
    return [count for count in rows if count > 0]


def _share(one: Range, others: list[Range]) -> float:
    rows = _overlaps(one, others)
    return sum(rows) / (one[1] - one[0] + 1) / len(rows) if rows else 0.0


def incidents(flags: np.ndarray, cooldown: int) -> list[Range]:
    """First and last flag of each incident: flags with at most `cooldown` rows from one to the next."""
    at = np.flatnonzero(flags)
    if not len(at):
        return []
    cuts = np.flatnonzero(np.diff(at) > cooldown)
    return list(zip(at[np.r_[0, cuts + 1]].tolist(), at[np.r_[cuts, len(at) - 1]].tolist(), strict=True))
