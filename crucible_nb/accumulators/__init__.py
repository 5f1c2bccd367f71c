"""Mergeable state: ordered monoids that are updated with values and read at any time.

`base` defines the accumulator protocol; each other file holds one algorithm:
moments (mean, variance; from exact_sum), chan (moments that are combined), extremes, proportion, counts (categories),
ewm (exponentially weighted moments), loghistogram (quantiles, guaranteed relative error), tdigest (quantiles, smallest
at the tails), quantiles (exact while small, then a log histogram), order (quantiles of sorted values).
"""

from crucible_nb.accumulators.base import Accumulator
from crucible_nb.accumulators.chan import combine, moments_by
from crucible_nb.accumulators.counts import Counts, CountsResult
from crucible_nb.accumulators.ewm import EWMoments, EWMomentsResult
from crucible_nb.accumulators.extremes import Extremes, ExtremesResult
from crucible_nb.accumulators.loghistogram import LogHistogram
from crucible_nb.accumulators.moments import Moments, MomentsResult
from crucible_nb.accumulators.order import QuantileResult, quantile_of_sorted
from crucible_nb.accumulators.proportion import Proportion, ProportionResult
from crucible_nb.accumulators.quantiles import Quantiles
from crucible_nb.accumulators.tdigest import TDigest

__all__ = [
    "Accumulator",
    "Counts",
    "CountsResult",
    "EWMoments",
    "EWMomentsResult",
    "Extremes",
    "ExtremesResult",
    "LogHistogram",
    "Moments",
    "MomentsResult",
    "Proportion",
    "ProportionResult",
    "QuantileResult",
    "Quantiles",
    "TDigest",
    "combine",
    "moments_by",
    "quantile_of_sorted",
]
