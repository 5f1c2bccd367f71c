"""Comparing experiments: the design read off the rows, a test that fits it, a verdict in a word."""

from crucible_nb.comparison.compare import compare
from crucible_nb.comparison.many_arms import Comparisons
from crucible_nb.comparison.result import Comparison, MetricComparison

__all__ = ["Comparison", "Comparisons", "MetricComparison", "compare"]
