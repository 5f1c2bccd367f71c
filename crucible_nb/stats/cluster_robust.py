"""CR2: standard errors from independent units of unequal size, with Satterthwaite's degrees of freedom.

The sum of squared unit totals underestimates a variance if few units have most of the weight, because the mean follows
them, and it has far fewer degrees of freedom than units. Both are corrected under a working model in which rows of one
cluster correlate equally; the estimate of the error does not depend on the model in the long run.
"""

from __future__ import annotations

import math
import weakref
from typing import NamedTuple

import numpy as np

from crucible_nb.stats.products import dot

_REST = 1e-6


class Error(NamedTuple):
    """The standard error of an estimate, with its degrees of freedom."""

    error: float
    df: float


def extreme_scale(*deviations: np.ndarray) -> float:
    """A power of two near the largest deviation if its square or cube would over- or underflow; otherwise 1."""
    largest = max(max(float(part.max(initial=0.0)), -float(part.min(initial=0.0))) for part in deviations)
    if largest == 0 or 1e-60 < largest < 1e60:
        return 1.0
    return math.ldexp(1.0, math.frexp(largest)[1])


class Units(NamedTuple):
    """Independent units of an arm, clusters or rows, as parts of a weighted mean.

    Attributes:
        total: float64[units], contribution to the deviation from the estimate, sum(w d) / sum of all w.
        share: float64[units], share of the weight, sum(w) / sum of all w; 0 for a unit that is not in the arm.
        variance: float64[units], variance of the contribution under the working model.
        between: Variance between clusters under the working model.
        within: Variance of rows within a cluster under the working model.
    """

    total: np.ndarray
    share: np.ndarray
    variance: np.ndarray
    between: float = 0.0
    within: float = 1.0

    @property
    def size(self) -> float:
        """Number of independent rows of weight 1 whose mean has the same variance under the working model."""
        return (self.between + self.within) / float(self.variance.sum())

    def times(self, factor: float) -> Units:
        """The units of deviations that are multiplied by a factor."""
        if factor == 1 or not self.total.any():  # units without deviations have no variance that could change
            return self
        square = factor * factor
        return Units(
            factor * self.total, self.share, square * self.variance, square * self.between, square * self.within
        )


def effective_units(share: np.ndarray) -> float:
    """Kish's number of units of equal size with the same precision, (sum w)^2 / sum w^2.

    Examples:
        >>> effective_units(np.array([2.0, 2.0, 0.0])), round(effective_units(np.array([10.0, 1.0, 1.0])), 2)
        (2.0, 1.41)
    """
    squares = dot(share, share)
    return float(share.sum()) ** 2 / squares if squares > 0 else 0.0


def units_of(deviation: np.ndarray, weight: np.ndarray, cluster: np.ndarray | None, codes: int = 0) -> Units:
    """Sum the rows of each unit, and estimate the correlation within clusters from products of rows.

    Args:
        deviation: float64[n], linearised deviation of each row; the weighted sum is 0.
        weight: float64[n], weights > 0.
        cluster: int64[n], cluster codes; None if each row is a unit.
        codes: Number of cluster codes over all arms, so that units of several arms align.
    """
    if cluster is None:
        share = weight / weight.sum()
        return Units(share * deviation, share, share * share)
    total, size, squares, own = _cluster_sums(deviation, weight, cluster, codes)
    between, within = _working_variances(total, size, squares, own)
    if not between + within > 0:
        between = 1.0  # rows of equal values: nothing shows that rows of a cluster differ
    return Units(total, size, within * own + between * size * size, between, within)


def _cluster_sums(
    deviation: np.ndarray, weight: np.ndarray, cluster: np.ndarray, codes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sums over the rows of each cluster of w d, w, (w d)^2 and w^2, with weights that add up to 1."""
    sums: list[np.ndarray]
    if (weight == weight[0]).all():  # in half the time
        n, count = len(deviation), rows_per_cluster(cluster)
        count = np.pad(count, (0, max(codes - len(count), 0)))
        total, squares = (np.bincount(cluster, part, minlength=codes) for part in (deviation, deviation * deviation))
        sums = [total / n, count / n, squares / n**2, count / n**2]
    else:
        share = weight / weight.sum()
        each = share * deviation
        sums = [np.bincount(cluster, part, minlength=codes) for part in (each, share, each * each, share * share)]
    there = slice(None) if codes or sums[1].all() else sums[1] > 0
    return sums[0][there], sums[1][there], sums[2][there], sums[3][there]


_counted: tuple[tuple[weakref.ref[np.ndarray], np.ndarray], ...] = ()


def rows_per_cluster(cluster: np.ndarray) -> np.ndarray:
    """Number of rows of each cluster, int64[codes]; those of the last arrays are remembered.

    Examples:
        >>> rows_per_cluster(np.array([0, 2, 2])).tolist()
        [1, 0, 2]
    """
    global _counted  # noqa: PLW0603  replaced as a whole, so that threads never see a part
    for array, count in _counted:
        if array() is cluster:
            return count
    count = np.bincount(cluster)
    count.flags.writeable = False
    _counted = (*_counted[-3:], (weakref.ref(cluster), count))
    return count


def _working_variances(
    total: np.ndarray, share: np.ndarray, squares: np.ndarray, own: np.ndarray
) -> tuple[float, float]:
    """Variances between and within clusters: products of different rows of a cluster have the expectation `between`.

    Each cluster counts by its number of pairs over its number of rows squared: almost equally, so that a few large
    clusters do not decide.
    """
    whole = float(squares.sum() / own.sum())
    several = share * share > own * (1 + 1e-9)
    size = share[several] ** 2
    pairs = float(np.sum(1 - own[several] / size))
    if not pairs > 0:
        return 0.0, whole
    between = float(np.sum((total[several] ** 2 - squares[several]) / size)) / pairs
    between = min(max(between, 0.0), whole)
    return between, whole - between


def mean_error(units: Units) -> Error:
    """Standard error of a weighted mean.

    Examples:
        >>> x = np.array([1.0, 2.0, 6.0])
        >>> error, df = mean_error(units_of(x - 3.0, np.ones(3), None))  # sd / sqrt(n), n - 1
        >>> round(error**2 * 3, 12), df
        (7.0, 2.0)
    """
    each, df = adjust(units)
    return Error(math.sqrt(dot(each, each)), df)


def paired_error(control: Units, treatment: Units) -> Error:
    """Standard error of a difference of two arms that have units in common; see `paired_adjust`."""
    each, df = paired_adjust(control, treatment)
    return Error(math.sqrt(dot(each, each)), df)


def adjust(units: Units) -> tuple[np.ndarray, float]:
    """Contributions whose squares add up to the variance of a mean, and the degrees of freedom of that sum.

    References:
        Bell, McCaffrey: Bias reduction in standard errors for linear regression with multi-stage samples. Survey
        Methodology 28 (2002). Pustejovsky, Tipton: Small-sample methods for cluster-robust variance estimation and
        hypothesis testing in fixed effects models. JBES 36 (2018).
    """
    total, share, variance = units.total, units.share, units.variance
    if _is_equal(share) and _is_equal(variance):
        n = int(np.count_nonzero(share))
        return math.sqrt(n / (n - 1)) * total, n - 1.0
    heaviest = int(np.argmax(share))
    rest = float(share[:heaviest].sum() + share[heaviest + 1 :].sum())
    if rest < _REST:  # the limit: the heaviest unit differs from the mean of all others by the error
        each = np.zeros(len(share))
        each[heaviest] = (total[:heaviest].sum() + total[heaviest + 1 :].sum()) / rest
        return each, 1.0
    form = np.array([[variance.sum(), -1.0], [-1.0, 0.0]])
    return _adjust(total, variance, np.stack([share, variance]), form)


def _is_equal(x: np.ndarray) -> bool:
    """Whether all values that are not 0 are equal."""
    largest = x.max(initial=0.0)
    return bool(((x == largest) | (x == 0)).all())


def paired_adjust(control: Units, treatment: Units) -> tuple[np.ndarray, float]:
    """Contributions to a difference of two arms that have units in common, treatment - control, and their df.

    Under the working model, the effects of a cluster in both arms have the covariance of its observed means.
    """
    one, two = control.share, treatment.share
    common = covariance_between(control, treatment) * one * two
    first, second = control.variance - common, treatment.variance - common
    form = np.zeros((4, 4))
    form[0, 0], form[1, 1] = control.variance.sum(), treatment.variance.sum()
    form[0, 1] = form[1, 0] = -common.sum()
    form[0, 2] = form[2, 0] = form[1, 3] = form[3, 1] = -1.0
    variance = np.maximum(first + second, 0.0)
    if (one == two).all() and _is_equal(one) and _is_equal(variance):
        n = int(np.count_nonzero(one))
        return math.sqrt(n / (n - 1)) * (treatment.total - control.total), n - 1.0
    return _adjust(treatment.total - control.total, variance, np.stack([one, two, first, second]), form)


def covariance_between(control: Units, treatment: Units) -> float:
    """Covariance of the effects of clusters that occur in both arms."""
    both = (control.share > 0) & (treatment.share > 0)
    largest = math.sqrt(control.between * treatment.between)
    means = [arm.total[both] / arm.share[both] for arm in (control, treatment)]
    return min(max(float(np.mean(means[0] * means[1])), -largest), largest)


def _adjust(total: np.ndarray, variance: np.ndarray, factors: np.ndarray, form: np.ndarray) -> tuple[np.ndarray, float]:
    """Scale totals so that their squares are unbiased under the working model; give Satterthwaite's df of the sum.

    Args:
        total: float64[units], contributions to the deviation.
        variance: float64[units], v, their variances before the estimate is subtracted.
        factors: float64[r, units], f.
        form: float64[r, r], K: residual contributions have the covariances f_g' K f_h, plus v_g for g = h.
    """
    transformed = np.einsum("ij,jg->ig", form, factors)  # in one thread; see `products`
    shift = np.einsum("ig,ig->g", factors, transformed)
    expected = variance + shift
    ratio = np.divide(variance, expected, out=np.ones_like(variance), where=expected > 0)
    # sum over g and h of ratio_g ratio_h cov_gh^2; the largest term is taken out, because it would cancel digits
    largest = int(np.argmax(ratio * np.abs(shift)))
    across = np.einsum("i,ig->g", factors[:, largest], transformed)
    pairs = ratio[largest] * (dot(ratio, across**2) - ratio[largest] * float(across[largest]) ** 2)
    rest = ratio.copy()
    rest[largest] = 0.0
    inner = form @ np.einsum("ig,jg->ij", factors * rest, factors)
    squares = dot(variance, variance) + 2 * pairs + float(np.sum(inner * inner.T)) - dot(rest**2, shift**2)
    df = float(variance.sum()) ** 2 / squares if squares > 0 else 1.0
    return np.sqrt(ratio) * total, max(float(df), 1.0)


def difference_of_errors(control: Error, treatment: Error) -> Error:
    """Standard error of the difference of two independent estimates; Welch's degrees of freedom.

    Examples:
        >>> error, df = difference_of_errors(Error(3.0, 4.0), Error(4.0, 9.0))
        >>> error, round(df, 2)  # 25^2 / (9^2 / 4 + 16^2 / 9)
        (5.0, 12.84)

    References:
        Satterthwaite: An approximate distribution of estimates of variance components. Biometrics Bulletin 2 (1946).
    """
    error = math.hypot(control.error, treatment.error)
    if not error > 0:
        return Error(error, math.nan)
    below = sum((part.error / error) ** 4 / part.df for part in (control, treatment) if part.error > 0)
    return Error(error, 1 / below)
