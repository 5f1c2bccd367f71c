"""Repeated runs: one value a seed, and how much of the spread lies between seeds."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.difference import Difference, t_interval, value_of
from crucible_nb.errors import StatError
from crucible_nb.stats.hypotests.means import t_test
from crucible_nb.stats.results import number
from crucible_nb.stats.samples.values import Values, values_of
from crucible_nb.utils import checks

_FEW = 5


def compare_runs(control: Arm, treatment: Arm, metric: str, by: str) -> Difference:
    """Compare the values of whole runs: Welch's t over seeds, because a new run would have a new seed.

    Args:
        control, treatment: The arms.
        metric: Its value is taken of each run.
        by: Column that tells runs apart, e.g. "seed".

    Raises:
        StatError: Fewer than two runs in an arm, or all alike.
    """
    first, second = (_by_seed(arm, metric, by) for arm in (control, treatment))
    for arm, side in ((control, first), (treatment, second)):
        if len(side) < 2:
            raise StatError(f"group_by={by!r}: expected at least 2 runs in each arm, {arm.name} has {len(side)}")
    means = tuple(np.array([value_of(run) for run in side]) for side in (first, second))
    found = t_test(means[0], means[1], metric=f"mean_{metric}")
    said = [_spread(arm.name, side) for arm, side in ((control, first), (treatment, second))]
    if min(map(len, means)) < _FEW:
        said.append(f"only {min(map(len, means))} runs in an arm: a difference has to be large to be seen")
    return Difference(
        metric, (float(means[0].mean()), float(means[1].mean())), found.estimate, partial(t_interval, found),
        found.pvalue, f"{found.test} over runs", f"one value a run ({by}), because a new run has a new {by}",
        (len(means[0]), len(means[1])), (found.effect, found.effect_size), tuple(line for line in said if line),
    )  # fmt: skip


def _by_seed(arm: Arm, metric: str, by: str) -> list[Values]:
    checks.columns("group_by", by, arm.frame.columns)
    runs = [values_of(rows, metric, arm.name) for _, rows in arm.frame.groupby(by, observed=True, sort=False)]
    return [run for run in runs if len(run.x)]


def _spread(name: str, runs: list[Values]) -> str:
    between, within = components([run.x for run in runs])
    if math.isnan(within):
        return ""
    return f"{name}: sd between runs {number(between)}, within a run {number(within)}"


def components(runs: list[np.ndarray]) -> tuple[float, float]:
    """Standard deviation between runs and within a run, of a one-way random-effects model; NaN for one value a run.

    Examples:
        >>> import numpy as np
        >>> between, within = components([np.array([1.0, 3.0]), np.array([11.0, 13.0])])
        >>> round(between, 3), round(within, 3)
        (7.0, 1.414)

    References:
        Searle, Casella, McCulloch: Variance Components, section 3.6. Wiley (1992).
    """
    sizes = np.array([len(run) for run in runs], np.float64)
    n, groups = sizes.sum(), len(runs)
    if n <= groups:
        return float("nan"), float("nan")
    means = np.array([run.mean() for run in runs])
    inside = sum(float(((run - mean) ** 2).sum()) for run, mean in zip(runs, means, strict=True)) / (n - groups)
    across = float((sizes * (means - (sizes @ means) / n) ** 2).sum()) / (groups - 1)
    typical = (n - float((sizes**2).sum()) / n) / (groups - 1)
    return math.sqrt(max((across - inside) / typical, 0.0)), math.sqrt(inside)
