"""Metrics over all events, sampled or not: mergeable live state, and the numbers computed from it."""

from crucible_nb.metrics.block_state import block_of, state_of_block
from crucible_nb.metrics.column_stage import ColumnStage
from crucible_nb.metrics.column_state import ColumnStates
from crucible_nb.metrics.columns import NumericColumn, NumericColumns
from crucible_nb.metrics.group_state import GroupState
from crucible_nb.metrics.live_state import GROUPS, LiveState
from crucible_nb.metrics.metrics import Metrics
from crucible_nb.metrics.records import Cost, Latency, Reliability, Span, Summary, Tokens
from crucible_nb.metrics.stage import BLOCK, Grouping, MetricsStage
from crucible_nb.metrics.sum_table import NUMBERS, Block

__all__ = [
    "BLOCK",
    "GROUPS",
    "NUMBERS",
    "Block",
    "ColumnStage",
    "ColumnStates",
    "Cost",
    "GroupState",
    "Grouping",
    "Latency",
    "LiveState",
    "Metrics",
    "MetricsStage",
    "NumericColumn",
    "NumericColumns",
    "Reliability",
    "Span",
    "Summary",
    "Tokens",
    "block_of",
    "state_of_block",
]
