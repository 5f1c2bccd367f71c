"""Confidence sequences: intervals and comparisons of two arms that are valid at every look."""

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
