"""Small pictures of how the kept rows of an experiment went, for its repr."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crucible_nb import html
from crucible_nb.spark import spark
from crucible_nb.trend import trend

_SHOWN = {"latency_ms": "latency ms", "success": "success rate"}


def pictures(frame: pd.DataFrame) -> list[str]:
    """Latency and success rate over time, as far as they are known.

    Args:
        frame: Of an experiment.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("pictures", clock="events") as exp:
        ...     for i in range(4):
        ...         _ = exp.record("call", latency_ms=100.0 + i, time=i)
        >>> [picture.startswith("<figure><figcaption>latency ms, 100 to 103") for picture in pictures(exp.df)]
        [True]
    """
    drawn = (figure(frame, name) for name in _SHOWN)
    return [one for one in drawn if one]


def figure(frame: pd.DataFrame, name: str) -> str:
    """One column over time; "" where there is nothing to see."""
    if len(frame) < 2:
        return ""
    times = frame.index.asi8  # type: ignore[attr-defined]
    values, weights = (frame[one].to_numpy(np.float64, na_value=np.nan) for one in (name, "weight"))
    means = trend(times, values, weights)
    known = means[np.isfinite(means)]
    if len(known) < 2:
        return ""
    low, high = float(known.min()), float(known.max())
    spread = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    title = f"{_SHOWN[name]}, {spread}"
    return html.figure(spark(means, title), title)
