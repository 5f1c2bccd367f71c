"""Power analysis: required sample size, power, and minimum detectable effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from crucible_nb.errors import StatError
from crucible_nb.stats.planning.designs import Design, make_design
from crucible_nb.stats.results import Result, number
from crucible_nb.utils import checks

_LARGEST_N = 1e18
_STEP = 1e3


@dataclass(frozen=True, repr=False)
class SampleSize(Result):
    """The number of values that a test needs.

    Attributes:
        n: Number of values per group, of pairs, or in total for a chi-square; rounded up. int() of the result gives it
            too.
        exact: The number before rounding.
        n_total: Number of values in all groups, or of pairs.
        test: Name of the test, as given.
        effect_size: Effect size to detect (see `effect`).
        effect: Symbol of the effect size, e.g. "d".
        power: Probability to detect the effect.
        alpha: Significance level.
        alternative: "two-sided", "less" or "greater".
        text: One sentence with these numbers.
    """

    n: int
    exact: float
    n_total: int
    test: str
    effect_size: float
    effect: str
    power: float
    alpha: float
    alternative: str
    text: str

    def __int__(self) -> int:
        return self.n

    def __index__(self) -> int:
        return self.n

    def __float__(self) -> float:
        return self.exact


@dataclass(frozen=True, repr=False)
class Power(Result):
    """The power of a test; the fields are those of `SampleSize`. float() of the result gives the power."""

    power: float
    n: float
    test: str
    effect_size: float
    effect: str
    alpha: float
    alternative: str
    text: str

    def __float__(self) -> float:
        return self.power


@dataclass(frozen=True, repr=False)
class DetectableEffect(Result):
    """The smallest effect that a test detects with a given power; the other fields are those of `SampleSize`.

    float() of the result gives the effect size.

    Attributes:
        difference: The effect in the unit of the data: effect_size * sd, or p2 - p1 for proportions with p1; NaN if
            neither sd nor p1 was given.
    """

    effect_size: float
    difference: float
    n: float
    test: str
    effect: str
    power: float
    alpha: float
    alternative: str
    text: str

    def __float__(self) -> float:
        return self.effect_size


def required_sample_size(
    effect_size: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    test: str = "t",
    alternative: str = "two-sided",
    *,
    ratio: float = 1.0,
    groups: int | None = None,
    df: int | None = None,
    p1: float | None = None,
    p2: float | None = None,
    method: str | None = None,
) -> SampleSize:
    """Compute the number of values that a test needs to detect an effect.

    Args:
        effect_size: Cohen's d ("t", "one_sample"), d_z of the differences ("paired"), h ("proportions"), f ("anova")
            or w ("chi_square").
        power: Probability to detect the effect.
        alpha: Significance level.
        test: "t" (two independent groups), "paired", "one_sample", "proportions", "anova" or "chi_square".
        alternative: "two-sided"; one-sided "greater" or "less" for t tests and proportions.
        ratio: Number of values of the treatment per value of the control.
        groups: Number of groups of "anova"; None is 2.
        df: Degrees of freedom of "chi_square"; None is 1.
        p1, p2: Proportions of control and treatment, in place of an effect size, for "proportions".
        method: With p1 and p2: "arcsine" (as R's pwr, the default) or "pooled" (normal with the pooled variance under
            the null hypothesis, as R's power.prop.test).

    Returns:
        SampleSize: `n` per group (of the control, if `ratio` is not 1), of pairs, or in total for "chi_square".

    Raises:
        ConfigError: An argument is not accepted, or does not belong to the test.
        StatError: No number of values is enough.

    Examples:
        >>> from crucible_nb.stats.planning.power import required_sample_size
        >>> size = required_sample_size(effect_size=0.5)
        >>> int(size), round(size.exact, 2), size.n_total
        (64, 63.77, 128)
        >>> int(required_sample_size(test="proportions", p1=0.10, p2=0.05))
        424

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. 2nd edition, Erlbaum (1988).
    """
    design = make_design(test, effect_size, alternative, ratio=ratio, groups=groups, df=df, p1=p1, p2=p2, method=method)
    power, alpha = check_power_and_alpha(power, alpha)
    exact = required_n(design, power, alpha)
    n = math.ceil(exact - 1e-9)
    return SampleSize(
        n=n, exact=exact, n_total=design.total(n, exact), test=test, effect_size=design.effect_size,
        effect=design.effect, power=power, alpha=alpha, alternative=design.alternative,
        text=f"A {design.test_text} needs {design.sizes_text(n, exact)} to find {design.effect_text} with "
        f"{100 * power:g}% power at alpha {alpha:g} ({design.alternative}).",
    )  # fmt: skip


def power(
    effect_size: float | None = None,
    n: float | None = None,
    alpha: float = 0.05,
    test: str = "t",
    alternative: str = "two-sided",
    *,
    ratio: float = 1.0,
    groups: int | None = None,
    df: int | None = None,
    p1: float | None = None,
    p2: float | None = None,
    method: str | None = None,
) -> Power:
    """Compute the power of a test, the probability to detect an effect with n values.

    Args:
        effect_size, alpha, test, alternative, ratio, groups, df, p1, p2, method: As for `required_sample_size`.
        n: Number of values per group (of the control, if `ratio` is not 1), of pairs, or in total for "chi_square".

    Returns:
        Power; float() gives the number.

    Raises:
        ConfigError: An argument is not accepted, or does not belong to the test.

    Examples:
        >>> from crucible_nb.stats.planning.power import power
        >>> round(float(power(effect_size=0.5, n=30)), 7)
        0.4778965
    """
    design = make_design(test, effect_size, alternative, ratio=ratio, groups=groups, df=df, p1=p1, p2=p2, method=method)
    alpha = checks.number("alpha", alpha, gt=0, lt=1)
    n = checks.number("n", n, ge=design.min_n)
    chance = design.power(n, alpha)
    return Power(
        power=chance, n=n, test=test, effect_size=design.effect_size, effect=design.effect, alpha=alpha,
        alternative=design.alternative,
        text=f"A {design.test_text} with {design.sizes_text(n, n)} finds {design.effect_text} with "
        f"{100 * chance:.1f}% power at alpha {alpha:g} ({design.alternative}).",
    )  # fmt: skip


def minimum_detectable_effect(
    n: float,
    power: float = 0.8,
    alpha: float = 0.05,
    test: str = "t",
    alternative: str = "two-sided",
    *,
    ratio: float = 1.0,
    groups: int | None = None,
    df: int | None = None,
    p1: float | None = None,
    method: str | None = None,
    sd: float | None = None,
) -> DetectableEffect:
    """Compute the smallest effect that a test detects with a given power.

    Args:
        n: As for `power`.
        power, alpha, test, alternative, ratio, groups, df: As for `required_sample_size`; the effect is above 0, or
            below 0 for alternative="less".
        p1: Proportion of the control, for "proportions"; the result then includes the smallest difference of
            proportions.
        method: As for `required_sample_size`, with p1.
        sd: Standard deviation of the values ("paired": of the differences), for t tests; the result then includes the
            smallest difference in their unit.

    Returns:
        DetectableEffect; float() gives the effect size.

    Raises:
        ConfigError: An argument is not accepted, or does not belong to the test.
        StatError: No effect is large enough.

    Examples:
        >>> from crucible_nb.stats.planning.power import minimum_detectable_effect
        >>> effect = minimum_detectable_effect(64, sd=120.0)
        >>> round(effect.effect_size, 3), round(effect.difference, 1)
        (0.499, 59.9)
    """
    power, alpha = check_power_and_alpha(power, alpha)
    sign = -1.0 if alternative == "less" else 1.0
    shares = p1 is not None
    if sd is not None:
        sd = checks.number("sd", sd, gt=0)
        if test not in {"t", "paired", "one_sample"}:
            raise checks.wrong("sd", sd, f"None for test={test!r}")

    def design_for(size: float) -> Design:
        effect_size, p2 = (None, checks.number("p1", p1, gt=0, lt=1) + size) if shares else (size, None)
        return make_design(
            test, effect_size, alternative, ratio=ratio, groups=groups, df=df, p1=p1, p2=p2, method=method
        )

    highest = (1 - p1 if sign > 0 else p1) * (1 - 1e-9) if p1 is not None else math.pi if test == "proportions" else 1e6
    lowest = highest * 1e-9
    n = checks.number("n", n, ge=design_for(sign * lowest).min_n)
    while design_for(sign * lowest).power(n, alpha) >= power:
        lowest /= _STEP
    size = sign * _find_root(lambda s: design_for(sign * s).power(n, alpha) - power, lowest, highest, "effect")
    design = design_for(size)
    difference = size if shares else size * sd if sd is not None else math.nan
    in_unit = "" if math.isnan(difference) else f", a difference of {number(difference)}"
    return DetectableEffect(
        effect_size=design.effect_size, difference=difference, n=n, test=test, effect=design.effect, power=power,
        alpha=alpha, alternative=design.alternative,
        text=f"A {design.test_text} with {design.sizes_text(n, n)} finds {design.effect} = "
        f"{number(design.effect_size)}{in_unit} with {100 * power:g}% power at alpha {alpha:g} ({alternative}), and "
        "smaller ones less often.",
    )  # fmt: skip


def check_power_and_alpha(power: float, alpha: float) -> tuple[float, float]:
    """Check 0 < alpha < power < 1, and return power and alpha."""
    alpha = checks.number("alpha", alpha, gt=0, lt=1)
    return checks.number("power", power, gt=alpha, lt=1), alpha


def required_n(design: Design, power: float, alpha: float) -> float:
    """The smallest n, not rounded, for which a design has the power.

    Raises:
        StatError: No number of values is enough.
    """
    if design.power(design.min_n, alpha) >= power:
        return design.min_n
    return _find_root(lambda n: design.power(n, alpha) - power, design.min_n, _LARGEST_N, "number of values")


def _find_root(function: Any, low: float, highest: float, what: str) -> float:
    """Find the root of an increasing function, by doubling `low` and then by Brent's method."""
    from scipy import optimize  # noqa: PLC0415  heavy; imported where used

    high = min(2 * low, highest)
    while not function(high) >= 0:
        if high >= highest:
            raise StatError(f"power: no {what} is large enough; ask for less power, or a larger effect")
        low, high = high, min(2 * high, highest)
    return float(optimize.brentq(function, low, high, xtol=1e-13 * low, rtol=1e-13))
