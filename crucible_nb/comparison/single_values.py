"""Single values of runs, such as the last accuracy: a run has one, so several runs can be compared by it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crucible_nb.comparison.arms import Arm
from crucible_nb.events.columns import factorize
from crucible_nb.events.metric_names import Metric
from crucible_nb.events.metric_values import in_order, known_rows, metric_numbers
from crucible_nb.utils import checks


def single_values(arm: Arm, metric: Metric, by: str) -> Arm:
    """Reduce an arm to one row per run, which holds the smallest, largest, first or last known value.

    First and last are by time, rows of the same time by `seq`; rows without times are in their order.

    Args:
        arm: The arm.
        metric: A metric of kind min, max, first or last.
        by: Column that identifies runs.

    Raises:
        SchemaError: No such column, or values that are no numbers.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> from crucible_nb.comparison.arms import read_arm
        >>> arm = read_arm(pd.DataFrame({"seed": [1, 1, 2, 2], "loss": [3.0, 1.0, 2.0, None]}), "a", None)
        >>> single_values(arm, metric_of("last_loss"), "seed").frame.to_dict("list")
        {'seed': [1, 2], 'loss': [1.0, 2.0]}
    """
    checks.columns("metric", metric.column, arm.frame.columns)
    rows = in_order(arm.frame[known_rows(arm.frame, metric)])
    codes, _ = factorize(rows[by], by)
    values = pd.Series(metric_numbers(rows, metric)).groupby(codes)
    found = getattr(values, metric.kind)()
    found = found[found.index >= 0]
    first = pd.Series(np.arange(len(rows))).groupby(codes).first().reindex(found.index)
    names = rows[by].iloc[first.to_numpy()].reset_index(drop=True)
    return arm._replace(frame=pd.DataFrame({by: names, metric.column: found.to_numpy(np.float64)}))
