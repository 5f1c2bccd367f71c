"""Tools for tests: the laws of each plug-in family as checks, a clock set by hand, disks that fail.

Examples:
    >>> from crucible_nb.accumulators import Moments
    >>> from crucible_nb.testing import check_accumulator
    >>> check_accumulator(Moments)
"""

from crucible_nb.testing.accumulators import ACCUMULATOR_LAWS, check_accumulator
from crucible_nb.testing.clock import ManualClock
from crucible_nb.testing.detectors import DETECTOR_LAWS, check_detector
from crucible_nb.testing.disk import FaultyDisk, PowerLossDisk
from crucible_nb.testing.experiments import EXPERIMENT_LAWS, check_experiment
from crucible_nb.testing.samplers import SAMPLER_LAWS, check_sampler

__all__ = [
    "ACCUMULATOR_LAWS",
    "DETECTOR_LAWS",
    "EXPERIMENT_LAWS",
    "SAMPLER_LAWS",
    "FaultyDisk",
    "ManualClock",
    "PowerLossDisk",
    "check_accumulator",
    "check_detector",
    "check_experiment",
    "check_sampler",
]
