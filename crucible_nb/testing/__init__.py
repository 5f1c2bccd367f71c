"""The laws of each family as checks, for your own plug-ins: run them in your tests.

Examples:
    >>> from crucible_nb.accumulators import Moments
    >>> from crucible_nb.testing import check_accumulator
    >>> check_accumulator(Moments)
"""

from crucible_nb.testing.accumulators import ACCUMULATOR_LAWS, check_accumulator
from crucible_nb.testing.detectors import DETECTOR_LAWS, check_detector
from crucible_nb.testing.samplers import SAMPLER_LAWS, check_sampler

__all__ = [
    "ACCUMULATOR_LAWS",
    "DETECTOR_LAWS",
    "SAMPLER_LAWS",
    "check_accumulator",
    "check_detector",
    "check_sampler",
]
