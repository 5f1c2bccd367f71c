"""Limits of noncentral distributions: what an interval of a standardised effect is made of."""

from __future__ import annotations

import math
from collections.abc import Callable

from crucible_nb.stats.results import Interval

_FAR = 1e12


def t_limits(t: float, df: float, confidence: float) -> Interval:
    """Noncentralities of Student's t that make the observed one just too large or just too small.

    Args:
        t: Observed.
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
        found = float(special.nctdtr(df, nc, t))
        # scipy gives up where t and nc have different signs and nothing is left on one side
        return found if not math.isnan(found) else float(nc < t)

    def at(chance: float) -> float:
        guess = center - float(special.ndtri(chance)) * spread
        return _root(lambda nc: below(nc) - chance, guess, spread)

    return Interval(at(1 - tail), at(tail))


def f_limits(f: float, between: float, within: float, confidence: float) -> Interval:
    """Noncentralities of F that make the observed one just too large or just too small; 0 where none does.

    Args:
        f: Observed.
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
            # nc = 0 is the central one, which the function of the noncentral one does not know
            found = special.ncfdtr(between, within, nc, f) if nc > 0 else special.fdtr(between, within, f)
            return float(found) - chance

        if off(0.0) <= 0:
            return 0.0
        spread = math.sqrt(2 * between + 4 * f * between + 2 * (f * between) ** 2 / within) + 1
        return _root(off, max(between * (f - 1), 0.0), spread, floor=0.0)

    return Interval(at(1 - tail), at(tail))


def _root(off: Callable[[float], float], guess: float, step: float, floor: float = -math.inf) -> float:
    """Where a function that falls crosses 0, looked for around a guess."""
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
    """Hedges' exact correction of the bias of d: gamma(df / 2) / (sqrt(df / 2) gamma((df - 1) / 2)); 1 for many.

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
