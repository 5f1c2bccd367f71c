"""Live metrics: what every event adds to, whether its row is kept or not."""

from crucible_nb.metrics.block_state import block_of, tally_of
from crucible_nb.metrics.group_state import Tally
from crucible_nb.metrics.live_state import GROUPS, Live
from crucible_nb.metrics.metrics import Cost, Latency, Metrics, Reliability, Span, Summary, Tokens
from crucible_nb.metrics.moment_table import NUMBERS, Block
from crucible_nb.metrics.stage import BLOCK, Grouping, Measure

__all__ = [
    "BLOCK",
    "GROUPS",
    "NUMBERS",
    "Block",
    "Cost",
    "Grouping",
    "Latency",
    "Live",
    "Measure",
    "Metrics",
    "Reliability",
    "Span",
    "Summary",
    "Tally",
    "Tokens",
    "block_of",
    "tally_of",
]
