"""`LinearArm`: the linearised mean or ratio of one arm; its units, error and moments are each computed once."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from crucible_nb.stats.cluster_robust import Error, Units, extreme_scale, mean_error
from crucible_nb.stats.samples.arms import (
    Moments,
    arm_error,
    center_of,
    linearize,
    moments_of,
    moments_of_deviation,
    units_of_arm,
)
from crucible_nb.stats.samples.values import Values


class LinearArm:
    """A mean, rate or ratio of one arm with the deviations of its rows.

    Attributes:
        values: Values of the arm.
        pivot: Number that was subtracted from the values of a mean, so that a large common offset costs no digits.
        center: The estimate minus the pivot.
        estimate: The estimate.
        deviation: float64[n], linearised deviation of each row; the weighted sum is 0.
    """

    def __init__(self, values: Values, test: str, pivot: float = 0.0) -> None:
        """Linearise an arm.

        Args:
            values: Values of the arm.
            test: Name of the test, for messages.
            pivot: A value of any arm that is compared with this one; a ratio has none.

        Raises:
            StatError: A total or a quantile.
        """
        self.values = values
        if values.per is None and values.metric.kind in {"mean", "rate"}:
            self.pivot = pivot
            self.center, self.deviation = center_of(values, pivot)
        else:
            self.pivot = 0.0
            self.center, self.deviation = linearize(values, test)
        self.estimate = self.pivot + self.center

    @cached_property
    def scale(self) -> float:
        """Unit in which the squares of the deviations neither over- nor underflow."""
        return extreme_scale(self.deviation)

    @cached_property
    def units(self) -> Units:
        """Independent units, rows or clusters, with deviations divided by `scale`."""
        return units_of_arm(self.values, self.deviation if self.scale == 1 else self.deviation / self.scale)

    @cached_property
    def error(self) -> Error:
        """Standard error of the estimate; see `arm_error`."""
        if self.values.plain or np.count_nonzero(self.units.share) < 2:
            return arm_error(self.values, self.deviation)
        error, df = mean_error(self.units)
        return Error(self.scale * error, df)

    @cached_property
    def moments(self) -> Moments:
        """Mean, variance and skewness of the values."""
        if self.values.per is not None:
            return moments_of(self.values)
        return moments_of_deviation(self.values, self.estimate, self.deviation)
