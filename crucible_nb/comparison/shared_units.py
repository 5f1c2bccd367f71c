"""Differences of groups that have units (users, sessions, items) in common: their covariance, and a Wald test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.errors import StatError
from crucible_nb.events.ids import joint_codes
from crucible_nb.stats.estimates.sorted_arm import linearize_quantile
from crucible_nb.stats.hypotests.interaction import WelchF
from crucible_nb.stats.samples.arms import linearize
from crucible_nb.stats.samples.groups import Group
from crucible_nb.stats.samples.values import same_kind, values_of


class Units(NamedTuple):
    """The independent units of two arms.

    Attributes:
        name: Text that names them.
        codes: For each arm the unit of each row, int64[rows], -1 without one.
        shared: Share of the units that lie in several groups.
    """

    name: str
    codes: tuple[np.ndarray, np.ndarray]
    shared: float


def units_of_design(arms: tuple[Arm, Arm], groups: Sequence[Group], column: str | None) -> Units | None:
    """Read the units of the arms, and count those that lie in several groups; None for independent rows.

    Args:
        arms: Control and treatment.
        groups: The groups of their rows.
        column: Column of the units: clusters, items or runs.
    """
    if column is None or any(column not in arm.frame.columns for arm in arms):
        return None
    first, second = joint_codes([arm.frame[column] for arm in arms], column)
    size = max(int(first.max(initial=-1)), int(second.max(initial=-1))) + 1
    present = np.zeros(size, np.int64)
    for group in groups:
        inside = np.zeros(size, np.bool_)
        for code, rows in zip((first, second), group.rows, strict=True):
            inside[code[rows & (code >= 0)]] = True
        present += inside
    used = int(np.count_nonzero(present))
    share = float(np.count_nonzero(present > 1)) / used if used else 0.0
    return Units(f"the {used:,} values of {column}", (first, second), share)


def wald_of_groups(
    arms: tuple[Arm, Arm], metric: str, groups: Sequence[Group], estimates: Sequence[float], units: Units,
    design: Design,
) -> WelchF | None:  # fmt: skip
    """Test whether the differences of means, rates, ratios or quantiles are equal in groups that have units in common.

    Each unit contributes to the difference of each group; the products of its contributions add up to the covariance of
    the differences. Hotelling's F of the contrasts of groups has as many degrees of freedom as there are units.

    Args:
        arms: Control and treatment.
        metric: Metric that is compared.
        groups: Groups whose differences are tested.
        estimates: The difference of each group, treatment - control.
        units: Units of the rows.
        design: Design of the comparison.

    Returns:
        The test; None for other metrics, for quantiles of so few rows that their density is not known, and for pairs
        whose mean difference is not the difference of the means of their rows (items with unequal numbers of rows, or
        without a partner): these have no such covariance here.

    References:
        Liang, Zeger: Longitudinal data analysis using generalized linear models. Biometrika 73 (1986). Korn, Graubard:
        Simultaneous testing of regression coefficients with complex survey data. The American Statistician 44 (1990).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    if design.of_runs or design.resample is not None:
        return None
    try:
        parts = [_contributions(arms, metric, group, units) for group in groups]
    except StatError:
        return None
    differences = np.array([estimate for estimate, _ in parts])
    if not np.allclose(differences, estimates, rtol=1e-9, atol=0):
        return None
    each = np.array([contribution for _, contribution in parts])
    used = each.any(axis=0)
    clusters, k = int(np.count_nonzero(used)), len(groups)
    covariance = each @ each.T * (clusters / (clusters - 1))
    contrast = np.eye(k)[1:] - np.eye(k)[0]
    between, within = k - 1, clusters - k + 1
    spread = contrast @ covariance @ contrast.T
    if within < 1 or np.linalg.matrix_rank(spread) < between:
        return None
    away = contrast @ differences
    wald = float(away @ np.linalg.solve(spread, away))
    statistic = wald * within / ((clusters - 1) * between)
    inverse = np.linalg.pinv(covariance)
    mean = float(inverse.sum(axis=0) @ differences / inverse.sum())
    error = float(1 / np.sqrt(inverse.sum()))
    return WelchF(statistic, between, within, float(special.fdtrc(between, within, statistic)), mean, error)


def _contributions(arms: tuple[Arm, Arm], metric: str, group: Group, units: Units) -> tuple[float, np.ndarray]:
    """The difference of a group, and what each unit contributes to its deviation."""
    read = same_kind([values_of(arm.frame[rows], metric) for arm, rows in zip(arms, group.rows, strict=True)])
    size = max(int(code.max(initial=-1)) for code in units.codes) + 1
    estimates, totals = [], []
    for values, rows, code in zip(read, group.rows, units.codes, strict=True):
        is_quantile = values.metric.kind == "quantile"
        estimate, deviation = linearize_quantile(values) if is_quantile else linearize(values, "interaction")
        own = code[rows] if values.known is None else code[rows][values.known]
        if (own < 0).any():
            raise StatError("rows without a unit are in no group of units")
        totals.append(np.bincount(own, values.weight * deviation / values.weight.sum(), minlength=size))
        estimates.append(estimate)
    return estimates[1] - estimates[0], np.asarray(totals[1] - totals[0])
