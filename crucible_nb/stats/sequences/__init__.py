"""Intervals and comparisons that stay valid however often they are looked at."""

from crucible_nb.stats.sequences.sequence import (
    ConfidenceSequence,
    SequenceResult,
    confidence_sequence,
    success_sequence,
)
from crucible_nb.stats.sequences.two_arms import Difference, DifferenceResult, difference

__all__ = [
    "ConfidenceSequence",
    "Difference",
    "DifferenceResult",
    "SequenceResult",
    "confidence_sequence",
    "difference",
    "success_sequence",
]
