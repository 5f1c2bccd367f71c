"""Comparison of repeated runs: one value per run, and the standard deviation between and within runs."""

from __future__ import annotations

import math

import numpy as np

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.difference import Difference, error_of, point_estimate
from crucible_nb.comparison.single_values import single_values
from crucible_nb.errors import StatError
from crucible_nb.events.columns import factorize
from crucible_nb.events.metric_names import SELECTIONS, metric_of
from crucible_nb.stats.hypotests.skewed_means import skew_safe_t_test
from crucible_nb.stats.results import number
from crucible_nb.stats.samples.arms import Notes
from crucible_nb.stats.samples.values import Values, same_kind, values_of

_FEW = 5


def compare_runs(control: Arm, treatment: Arm, metric: str, by: str) -> Difference:
    """Compare one value per run by Welch's t-test, because a new run would have a new seed.

    Args:
        control, treatment: The arms.
        metric: Metric that is computed for each run; also a single value of it, such as last_accuracy or min_val_loss.
        by: Column that identifies runs, e.g. "seed".

    Raises:
        StatError: Fewer than two runs with a value in an arm, or all values equal.
    """
    wanted = metric_of(metric, control.frame.columns)
    if wanted.kind in SELECTIONS:
        reduced = single_values(control, wanted, by), single_values(treatment, wanted, by)
        difference = compare_runs(*reduced, f"mean_{wanted.column}", by)
        return difference._replace(metric=metric, of_events=None, kind="mean")
    (first, one_without), (second, two_without) = (_split_runs(arm, metric, by) for arm in (control, treatment))
    for arm, side in ((control, first), (treatment, second)):
        if len(side) < 2:
            raise StatError(f"group_by={by!r}: expected at least 2 runs in each arm, {arm.name} has {len(side)}")
    one, two = (np.array([point_estimate(run) for run in side]) for side in (first, second))
    runs = values_of(one, f"mean_{metric}"), values_of(two, f"mean_{metric}")
    test, contrast = skew_safe_t_test(*runs, 0.95)
    notes = Notes(test.assumptions, (*one_without, *two_without), test.warnings)
    notes = notes.plus([_spread_text(control.name, one, first), _spread_text(treatment.name, two, second)])
    fewest = min(len(one), len(two))
    if fewest < _FEW:
        notes = notes.plus(warnings=[f"only {fewest} runs in an arm: only a large difference can be detected"])
    return Difference(
        metric=metric, values=(float(one.mean()), float(two.mean())), estimate=test.estimate,
        limits=contrast.difference, pvalue=test.pvalue, test=f"{test.test} over runs",
        why=f"one value per run ({by}), because a new run has a new {by}", n=(len(one), len(two)),
        effect=(test.effect, test.effect_size), notes=notes, unit="runs", contrast=contrast, limited=test.limited,
        of_events=(_over_rows(control, metric), _over_rows(treatment, metric)),
        kind=same_kind([*first, *second])[0].metric.kind, error=error_of(test),
    )  # fmt: skip


def _split_runs(arm: Arm, metric: str, by: str) -> tuple[list[Values], list[str]]:
    """Values of each run, and sentences on rows and runs left out."""
    codes, _ = factorize(arm.frame[by], by)
    known = codes >= 0
    groups = arm.frame[known].groupby(codes[known], sort=False)
    runs = [values_of(rows, metric, arm.name) for _, rows in groups]
    used = [run for run in runs if not math.isnan(point_estimate(run))]
    left_out = {
        f"{int((~known).sum()):,} rows of {arm.name} without {by} are left out": not known.all(),
        f"{len(runs) - len(used):,} runs of {arm.name} without a value of {metric}": len(used) < len(runs),
        f"{sum(run.missing for run in used):,} rows of {arm.name} without a value": any(run.missing for run in used),
    }
    return used, [text for text, holds in left_out.items() if holds]


def _over_rows(arm: Arm, metric: str) -> float:
    return point_estimate(values_of(arm.frame, metric, arm.name))


def _spread_text(name: str, values: np.ndarray, runs: list[Values]) -> str:
    """Standard deviation of the values that are compared, and pooled over the rows within runs."""
    between = float(values.std(ddof=1))
    n = sum(len(run.x) for run in runs) - len(runs)
    squares = sum(float(((run.x - run.x.mean()) ** 2).sum()) for run in runs)
    within = f", within a run {number(math.sqrt(squares / n))}" if n else ""
    return f"{name}: sd between runs {number(between)}{within}"
