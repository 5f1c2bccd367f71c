"""Confidence limits of noncentrality parameters, from which intervals of standardised effects follow."""

from __future__ import annotations

import math
from collections.abc import Callable

from crucible_nb.stats.results import UNKNOWN, Interval

_FAR = 1e12
_LARGE = 1000.0


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
    if t < 0:
        low, high = t_limits(-t, df, confidence)
        return Interval(-high, -low)
    if t > _LARGE:
        return _large_t_limits(t, df, confidence)
    limits = Interval(*(_t_limit(t, df, chance) for chance in ((1 + confidence) / 2, (1 - confidence) / 2)))
    return _large_t_limits(t, df, confidence) if any(map(math.isnan, limits)) else limits


def _t_limit(t: float, df: float, chance: float) -> float:
    """The noncentrality at which a value up to `t` has this probability; NaN if none is found."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    spread = math.sqrt(1 + t * t / (2 * df))
    guess = t * (1 - 1 / (4 * df)) - float(special.ndtri(chance)) * spread

    def off(nc: float) -> float:
        below = float(special.nctdtr(df, nc, t))
        # scipy returns NaN if t and nc differ in sign and the probability on one side is 0
        return (below if not math.isnan(below) else float(nc < t)) - chance

    return _root(off, guess, spread)


def _large_t_limits(t: float, df: float, confidence: float) -> Interval:
    """Limits for a large t, of which scipy's distribution is inaccurate: those of t S - Z, joined by squares (MOVER).

    S is the estimated standard deviation / the true one, whose limits are those of chi, and Z is normal. For t > 1,000
    they are right to five digits.
    """
    from scipy import special  # noqa: PLC0415

    tail = (1 - confidence) / 2
    z = float(special.ndtri(1 - tail))
    shares = (math.sqrt(2 * special.gammaincinv(df / 2, chance) / df) for chance in (tail, 1 - tail))
    low, high = (math.hypot(t * (1 - share), z) for share in shares)
    return Interval(t - low, t + high)


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

    limits = Interval(at(1 - tail), at(tail)) if f < _LARGE**2 else UNKNOWN
    return _large_f_limits(f, between, within, confidence) if any(map(math.isnan, limits)) else limits


def _large_f_limits(f: float, between: float, within: float, confidence: float) -> Interval:
    """Limits for a large F, as for a large t: those of f V - Y, V a chi-square / df, Y normal with its variance."""
    from scipy import special  # noqa: PLC0415

    tail = (1 - confidence) / 2
    z, nc = float(special.ndtri(1 - tail)), between * f
    shares = (2 * special.gammaincinv(within / 2, chance) / within for chance in (tail, 1 - tail))
    low, high = (math.hypot(nc * (1 - float(share)), z * math.sqrt(2 * between + 4 * nc)) for share in shares)
    return Interval(max(nc - low, 0.0), nc + high)


def _root(off: Callable[[float], float], guess: float, step: float, floor: float = -math.inf) -> float:
    """Find the root of a decreasing function, starting from a guess; NaN if there is none within reach."""
    from scipy import optimize  # noqa: PLC0415

    low, high = max(guess - step, floor), guess + step
    while off(low) < 0 and low > floor and step < _FAR:
        step *= 2
        low = max(low - step, floor)
    while off(high) > 0 and step < _FAR:
        step *= 2
        high += step
    if not (off(low) >= 0 >= off(high)):
        return math.nan
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
