"""Totals of events whose rows are gone, with which a new rule begins."""

from __future__ import annotations

from crucible_nb.accumulators.exact_sum import ExactSum
from crucible_nb.metrics import NUMBERS, ColumnStates
from crucible_nb.metrics.sum_table import EVENTS, FAILURES, KNOWN, SUCCESSES, SumTable
from crucible_nb.pipeline.rule_terms import Terms
from crucible_nb.pipeline.rule_windows import Totals


def totals_of(terms: Terms, table: SumTable, columns: ColumnStates) -> Totals | None:
    """Return the totals of all events for a share, count, total or mean; None where they are not known.

    Args:
        terms: What the rule computes.
        table: Counts and sums with one group.
        columns: Sums of the columns that are not in the table.
    """
    column = terms.column
    if terms.statistic not in ("share", "count", "total", "mean") or terms.condition is not None:
        return None
    if column == "success" and terms.statistic in ("share", "count"):
        failed, succeeded = int(table.counts[FAILURES, 0]), int(table.counts[SUCCESSES, 0])
        return Totals(succeeded if terms.outcome else failed, succeeded + failed)
    if column is None:
        return Totals(int(table.counts[EVENTS, 0]), int(table.counts[EVENTS, 0]))
    sums = ExactSum(1, 1)
    if column in NUMBERS:
        row = NUMBERS.index(column)
        sums.add_integer(0, 0, *table.totals.integer(row, 0))
        return Totals(0, int(table.counts[KNOWN + row, 0]), sums, table.totals.special(row, 0))
    found = columns.numbers.get(column)
    if found is None:
        return None
    sums.add_integer(0, 0, *found.total.integer(0, 0))
    return Totals(0, found.count, sums, found.total.special(0, 0))
