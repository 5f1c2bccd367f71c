"""Comparison of repeated runs: one value per run, and the variance between and within runs."""

from __future__ import annotations

import math

import numpy as np

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.difference import Difference, point_estimate
from crucible_nb.errors import StatError
from crucible_nb.events.columns import factorize
from crucible_nb.stats.hypotests.skewed_means import skew_safe_t_test
from crucible_nb.stats.results import number
from crucible_nb.stats.samples.values import Values, same_kind, values_of
from crucible_nb.utils import checks

_FEW = 5


def compare_runs(control: Arm, treatment: Arm, metric: str, by: str) -> Difference:
    """Compare one value per run by Welch's t-test, because a new run would have a new seed.

    Args:
        control, treatment: The arms.
        metric: Metric that is computed for each run.
        by: Column that identifies runs, e.g. "seed".

    Raises:
        StatError: Fewer than two runs in an arm, or all values equal.
    """
    first, second = (_split_runs(arm, metric, by) for arm in (control, treatment))
    for arm, side in ((control, first), (treatment, second)):
        if len(side) < 2:
            raise StatError(f"group_by={by!r}: expected at least 2 runs in each arm, {arm.name} has {len(side)}")
    one, two = (np.array([point_estimate(run) for run in side]) for side in (first, second))
    runs = values_of(one, f"mean_{metric}"), values_of(two, f"mean_{metric}")
    test, contrast = skew_safe_t_test(*runs, 0.95)
    notes = [_variance_text(arm.name, side) for arm, side in ((control, first), (treatment, second))]
    fewest = min(len(one), len(two))
    if fewest < _FEW:
        notes.append(f"only {fewest} runs in an arm: only a large difference can be detected")
    return Difference(
        metric=metric, values=(float(one.mean()), float(two.mean())), estimate=test.estimate,
        limits=contrast.difference, pvalue=test.pvalue, test=f"{test.test} over runs",
        why=f"one value per run ({by}), because a new run has a new {by}", n=(len(one), len(two)),
        effect=(test.effect, test.effect_size), notes=tuple(note for note in notes if note), contrast=contrast,
        limited=test.limited, kind=same_kind([*first, *second])[0].metric.kind,
    )  # fmt: skip


def _split_runs(arm: Arm, metric: str, by: str) -> list[Values]:
    checks.columns("group_by", by, arm.frame.columns)
    codes, _ = factorize(arm.frame[by], by)
    known = codes >= 0
    groups = arm.frame[known].groupby(codes[known], sort=False)
    runs = [values_of(rows, metric, arm.name) for _, rows in groups]
    return [run for run in runs if len(run.x)]


def _variance_text(name: str, runs: list[Values]) -> str:
    between, within = variance_components([run.x for run in runs])
    if math.isnan(within):
        return ""
    return f"{name}: sd between runs {number(between)}, within a run {number(within)}"


def variance_components(runs: list[np.ndarray]) -> tuple[float, float]:
    """Standard deviations between and within runs by a one-way random-effects model; NaN for one value per run.

    Examples:
        >>> import numpy as np
        >>> between, within = variance_components([np.array([1.0, 3.0]), np.array([11.0, 13.0])])
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
    within = sum(float(((run - mean) ** 2).sum()) for run, mean in zip(runs, means, strict=True)) / (n - groups)
    between = float((sizes * (means - (sizes @ means) / n) ** 2).sum()) / (groups - 1)
    mean_size = (n - float((sizes**2).sum()) / n) / (groups - 1)
    return math.sqrt(max((between - within) / mean_size, 0.0)), math.sqrt(within)
