"""Samplers: they select events and set their weights, so that estimates from the sample are unbiased."""

from crucible_nb.events.event_columns import EventColumns as Events
from crucible_nb.sampling.adaptive import Adaptive
from crucible_nb.sampling.base import Choice, Sampler
from crucible_nb.sampling.importance import Importance
from crucible_nb.sampling.offline import merge, sample
from crucible_nb.sampling.registry import sampling_of
from crucible_nb.sampling.reservoir import Reservoir
from crucible_nb.sampling.stratified import Stratified
from crucible_nb.sampling.uniform import Uniform

__all__ = [
    "Adaptive",
    "Choice",
    "Events",
    "Importance",
    "Reservoir",
    "Sampler",
    "Stratified",
    "Uniform",
    "merge",
    "sample",
    "sampling_of",
]
