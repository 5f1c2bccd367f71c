"""The exact distribution of the Kruskal-Wallis statistic of small groups, ties included."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

_MANY = 50_000


def is_small(sizes: Sequence[int]) -> bool:
    """Return whether groups of these sizes have at most 50,000 arrangements, which can all be counted.

    Examples:
        >>> is_small([4, 4, 4]), is_small([5, 5, 5])
        (True, False)
    """
    n = sum(sizes)
    return n <= 170 and math.factorial(n) <= _MANY * math.prod(map(math.factorial, sizes))


def exact_pvalue(ranks: np.ndarray, sizes: Sequence[int]) -> float:
    """Proportion of all arrangements of the ranks whose groups differ at least as much as the observed ones.

    Args:
        ranks: float64[n], ranks of the values (ties have their mean rank), group after group.
        sizes: Number of values of each group.

    Examples:
        >>> exact_pvalue(np.arange(1.0, 9.0), [4, 4]) * 35  # 2 of 70 arrangements separate the groups fully
        1.0

    References:
        Kruskal, Wallis: Use of ranks in one-criterion variance analysis. JASA 47 (1952).
    """
    doubled = np.rint(2 * ranks).astype(np.int64)  # mean ranks are halves
    ends = np.cumsum(sizes)
    observed = _between([int(part.sum()) for part in np.split(doubled, ends[:-1])], sizes)
    states: Counter[tuple[tuple[int, int], ...]] = Counter({tuple((0, 0) for _ in sizes): 1})
    for rank in doubled.tolist():
        following: Counter[tuple[tuple[int, int], ...]] = Counter()
        for state, ways in states.items():
            for group, (count, total) in enumerate(state):
                if count < sizes[group]:
                    following[(*state[:group], (count + 1, total + rank), *state[group + 1 :])] += ways
        states = following
    extreme = sum(
        ways for state, ways in states.items() if _between([total for _, total in state], sizes) >= observed - 1e-9
    )
    return extreme / sum(states.values())


def _between(totals: Sequence[int], sizes: Sequence[int]) -> float:
    """Sum of squared rank sums / sizes, of which the statistic is a linear function."""
    return sum(total * total / size for total, size in zip(totals, sizes, strict=True))
