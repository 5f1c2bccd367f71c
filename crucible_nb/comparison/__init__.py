"""Comparison of experiments: design read from the rows, test that fits it, verdict per metric."""

from crucible_nb.comparison.compare import compare
from crucible_nb.comparison.grouped import GroupedComparison
from crucible_nb.comparison.many_arms import Comparisons
from crucible_nb.comparison.result import Comparison, MetricComparison
from crucible_nb.comparison.table_of_arms import table
from crucible_nb.comparison.table_result import Table
from crucible_nb.stats.hypotests.interaction import InteractionTest

__all__ = [
    "Comparison", "Comparisons", "GroupedComparison", "InteractionTest", "MetricComparison", "Table", "compare",
    "table",
]  # fmt: skip
