"""Statistics for decisions: weight-aware estimates and their intervals."""

from crucible_nb.stats.confidence import Estimate, confidence_interval
from crucible_nb.stats.results import Interval, Result

__all__ = ["Estimate", "Interval", "Result", "confidence_interval"]
