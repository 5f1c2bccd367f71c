"""A limit for a statistic from how large it gets in ordinary blocks of its own series."""

from __future__ import annotations

import math

from crucible_nb.anomaly.auto_state import BLOCK_KEEP, CLIP, PRIOR_BLOCKS, PRIOR_SD, YOUNG_BLOCKS

_SMALLEST = 1e-12


def update_limit(largest: float, mean: float, square: float, blocks: float, sure: float) -> tuple[float, ...]:
    """Learn the largest value of one more block; return mean, square and number of blocks, and the new limit.

    The logarithm of the largest value has a mean and a standard deviation over the blocks, with a prior for the latter.
    A block counts as at most 2.5 standard deviations from the mean, so that one anomaly changes little. The limit is
    `sure` standard deviations above the mean, more after few blocks.

    Args:
        largest: Largest value of the statistic in the block.
        mean, square, blocks: Result of the earlier block: mean of the logarithms, sum of their squared distances,
            discounted number.
        sure: Distance of the limit from the mean in standard deviations.

    Examples:
        >>> mean, square, blocks, limit = update_limit(1.0, 0.0, 0.0, 0.0, sure=3.0)
        >>> for _ in range(200):
        ...     mean, square, blocks, limit = update_limit(1.0, mean, square, blocks, sure=3.0)
        >>> 1 < limit < 1.6  # a series whose blocks are all alike gets a limit just above
        True

    References:
        Gumbel: Statistics of Extremes. Columbia University Press (1958).
    """
    log = math.log(max(largest, _SMALLEST))
    if blocks == 0.0:
        mean = log
    sd = math.sqrt((PRIOR_BLOCKS * PRIOR_SD * PRIOR_SD + square) / (PRIOR_BLOCKS + blocks))
    off = min(max(log - mean, -CLIP * sd), CLIP * sd)
    blocks = 1.0 + BLOCK_KEEP * blocks
    mean += off / blocks
    square = BLOCK_KEEP * square + off * off * (1 - 1 / blocks)
    sd = math.sqrt((PRIOR_BLOCKS * PRIOR_SD * PRIOR_SD + square) / (PRIOR_BLOCKS + blocks))
    return mean, square, blocks, math.exp(mean + sure * sd * (1 + YOUNG_BLOCKS / blocks))
