"""Time windows over a table: `grid` defines them, `panes` and `quantiles` compute in them, `table` is the result."""

from crucible_nb.windows.frames import sliding_frames
from crucible_nb.windows.table import windowed_metrics

__all__ = ["sliding_frames", "windowed_metrics"]
