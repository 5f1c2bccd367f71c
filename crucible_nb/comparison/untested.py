"""A metric that cannot be tested: what is known of it, and why there is no test."""

from __future__ import annotations

import math

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.comparison.difference import Difference, is_constant, is_identical, point_estimate
from crucible_nb.errors import SchemaError, StatError
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import Notes
from crucible_nb.stats.samples.pairs import pairs_of
from crucible_nb.stats.samples.values import Values, values_of

IDENTICAL = "identical in both arms"
_UNKNOWN = Interval(math.nan, math.nan)


def untested_difference(control: Arm, treatment: Arm, metric: str, design: Design, reason: str) -> Difference:
    """Estimate a metric that has no test, so that it costs the comparison only its own row.

    Args:
        control, treatment: The arms.
        metric: Metric to compare.
        design: Design of the comparison.
        reason: Message of the error of the test.
    """
    sides = [_read(arm, metric) for arm in (control, treatment)]
    first, second = (math.nan if side is None else point_estimate(side) for side in sides)
    known = not math.isnan(first) and not math.isnan(second)
    same = known and _is_identical(control, treatment, metric, design.pair_by)
    missing = [(arm.name, side.missing) for arm, side in zip((control, treatment), sides, strict=True) if side]
    return Difference(
        metric=metric, values=(first, second), estimate=0.0 if same else second - first, limits=lambda _: _UNKNOWN,
        pvalue=math.nan, test="", why="", n=(_size(sides[0]), _size(sides[1])),
        notes=Notes(exclusions=tuple(f"{n:,} rows of {name} without a value" for name, n in missing if n)),
        untested=IDENTICAL if same else reason, identical=same,
    )  # fmt: skip


def _read(arm: Arm, metric: str) -> Values | None:
    """Read the values of an arm; None if that is impossible."""
    try:
        return values_of(arm.frame, metric, arm.name)
    except (SchemaError, StatError):
        return None


def _size(side: Values | None) -> int:
    return 0 if side is None else len(side.x)


def _is_identical(control: Arm, treatment: Arm, metric: str, by: str | None) -> bool:
    """Return whether all pairs are equal, or all values of independent arms."""
    try:
        if by is not None:
            return is_identical(*pairs_of(control.frame, treatment.frame, metric, by)[:2])
        return is_constant(*(values_of(arm.frame, metric) for arm in (control, treatment)))
    except (SchemaError, StatError):
        return False
