"""Confidence limits of noncentrality parameters, from which intervals of standardised effects follow."""

from __future__ import annotations

import math
from collections.abc import Callable

from crucible_nb.stats.results import Interval

_FAR = 1e12


def t_limits(t: float, df: float, confidence: float) -> Interval:
    """Confidence limits of the noncentrality of Student's t.

    Args:
        t: Observed statistic.
        df: Degrees of freedom.
        confidence: Coverage.

    Examples:
        >>> low, high = t_limits(2.0, 20.0, 0.95)
        >>> round(low, 3), round(high, 3)
        (-0.077, 4.032)

    References:
        Steiger, Fouladi: Noncentrality interval estimation and the evaluation of statistical models. In: Harlow et
        al. (eds.), What if there were no significance tests? (1997).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    tail = (1 - confidence) / 2
    spread = math.sqrt(1 + t * t / (2 * df))
    center = t * (1 - 1 / (4 * df))

    def below(nc: float) -> float:
        chance = float(special.nctdtr(df, nc, t))
        # scipy returns NaN if t and nc differ in sign and the probability on one side is 0
        return chance if not math.isnan(chance) else float(nc < t)

    def at(chance: float) -> float:
        guess = center - float(special.ndtri(chance)) * spread
        return _root(lambda nc: below(nc) - chance, guess, spread)

    return Interval(at(1 - tail), at(tail))


def f_limits(f: float, between: float, within: float, confidence: float) -> Interval:
    """Confidence limits of the noncentrality of F; 0 if no noncentrality > 0 fits.

    Args:
        f: Observed statistic.
        between, within: Degrees of freedom.
        confidence: Coverage.

    Examples:
        >>> low, high = f_limits(4.0, 2.0, 60.0, 0.95)
        >>> round(low, 2), round(high, 2)
        (0.04, 22.15)

    References:
        Steiger: Beyond the F test: effect size confidence intervals and tests of close fit in the analysis of
        variance and contrast analysis. Psychological Methods 9 (2004).
    """
    from scipy import special  # noqa: PLC0415

    tail = (1 - confidence) / 2

    def at(chance: float) -> float:
        def off(nc: float) -> float:
            # scipy's noncentral F does not accept nc = 0, the central F
            below = special.ncfdtr(between, within, nc, f) if nc > 0 else special.fdtr(between, within, f)
            return float(below) - chance

        if off(0.0) <= 0:
            return 0.0
        spread = math.sqrt(2 * between + 4 * f * between + 2 * (f * between) ** 2 / within) + 1
        return _root(off, max(between * (f - 1), 0.0), spread, floor=0.0)

    return Interval(at(1 - tail), at(tail))


def _root(off: Callable[[float], float], guess: float, step: float, floor: float = -math.inf) -> float:
    """Find the root of a decreasing function, starting from a guess."""
    from scipy import optimize  # noqa: PLC0415

    low, high = max(guess - step, floor), guess + step
    while off(low) < 0 and low > floor and step < _FAR:
        step *= 2
        low = max(low - step, floor)
    while off(high) > 0 and step < _FAR:
        step *= 2
        high += step
    return float(optimize.brentq(off, low, high, xtol=1e-10, rtol=1e-12))


def hedges_factor(df: float) -> float:
    """Hedges' exact bias correction of d, gamma(df / 2) / (sqrt(df / 2) gamma((df - 1) / 2)); it tends to 1.

    Examples:
        >>> round(hedges_factor(30), 6)
        0.974754

    References:
        Hedges: Distribution theory for Glass's estimator of effect size and related estimators. Journal of
        Educational Statistics 6 (1981).
    """
    if df <= 1:
        return math.nan
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
