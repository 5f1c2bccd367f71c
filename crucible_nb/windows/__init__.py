"""Windows of time over a table: `grid` lays them, `panes` sums them, `quantiles` ranks in them, `table` shows them."""

from crucible_nb.windows.frames import sliding_frames
from crucible_nb.windows.table import windowed_metrics

__all__ = ["sliding_frames", "windowed_metrics"]
