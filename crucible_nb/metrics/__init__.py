"""Live metrics: what every event adds to, whether its row is kept or not."""

from crucible_nb.metrics.live import GROUPS, Live
from crucible_nb.metrics.measure import BLOCK, Grouping, Measure
from crucible_nb.metrics.panel import NUMBERS, Block
from crucible_nb.metrics.rows import block_of, tally_of
from crucible_nb.metrics.tally import Tally
from crucible_nb.metrics.view import Cost, Latency, Metrics, Reliability, Span, Summary, Tokens

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
