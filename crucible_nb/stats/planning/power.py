"""Power: how many values a test needs, what it finds with those it has, and the least it can find."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from crucible_nb.errors import StatError
from crucible_nb.stats.planning.designs import Design, design_of
from crucible_nb.stats.results import Result, number
from crucible_nb.utils import checks

_MOST = 1e12


@dataclass(frozen=True, repr=False)
class SampleSize(Result):
    """How many values a test needs.

    Attributes:
        n: Values a group, pairs, or in all for a chi-square; rounded up. int() of the result gives it too.
        exact: Before rounding.
        n_total: Values in all groups, or pairs.
        test: Which.
        effect_size: That is to be found, in the unit of the test (see `effect`).
        effect: What the effect size is.
        power: Chance to find it.
        alpha: Chance of a false alarm.
        alternative: "two-sided", "less" or "greater".
        text: All of it in a sentence.
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
    """The chance that a test finds an effect; fields as of `SampleSize`. float() of the result gives the power."""

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
    """The least effect that a test finds with a given power; fields as of `SampleSize`.

    Attributes:
        difference: The effect in the unit of the data: effect_size * sd, or p2 - p1 for proportions with p1; NaN where
            neither was given. float() of the result gives the effect size.
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
    """How many values a test needs to find an effect.

    Args:
        effect_size: Cohen's d ("t", "one_sample"), d_z of the differences ("paired"), h ("proportions"), f ("anova")
            or w ("chi_square").
        power: Chance to find the effect.
        alpha: Chance of a false alarm.
        test: "t" (two independent groups), "paired", "one_sample", "proportions", "anova" or "chi_square".
        alternative: "two-sided"; one-sided "greater" or "less" for t tests and proportions.
        ratio: Values of the treatment for each of the control.
        groups: Of "anova".
        df: Degrees of freedom of "chi_square"; 1 when left out.
        p1, p2: Shares of control and treatment, in place of an effect size, for "proportions".
        method: With p1 and p2: "arcsine" (as R's pwr, the default) or "pooled" (normal with the pooled variance under
            the null hypothesis, as R's power.prop.test).

    Returns:
        SampleSize: `n` for each group (of the control, when `ratio` is not 1), pairs, or in all for "chi_square".

    Raises:
        ConfigError: An argument is not what is accepted, or does not belong to the test.
        StatError: No number of values is enough.

    Examples:
        >>> from crucible_nb.stats.planning.power import required_sample_size
        >>> found = required_sample_size(effect_size=0.5)
        >>> int(found), round(found.exact, 2), found.n_total
        (64, 63.77, 128)
        >>> int(required_sample_size(test="proportions", p1=0.10, p2=0.05))
        424

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. 2nd edition, Erlbaum (1988).
    """
    design = design_of(test, effect_size, alternative, ratio, groups, df, p1, p2, method)
    power, alpha = chances(power, alpha)
    exact = needed(design, power, alpha)
    n = math.ceil(exact - 1e-9)
    total = design.total(n, exact)
    text = (
        f"A {design.said} needs {design.sizes(n, exact)} to find {design.effect_text} with {100 * power:g}% power at "
        f"alpha {alpha:g} ({design.alternative})."
    )
    return SampleSize(n, exact, total, test, design.effect_size, design.effect, power, alpha, design.alternative, text)


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
    """The chance that a test finds an effect with so many values.

    Args:
        effect_size, alpha, test, alternative, ratio, groups, df, p1, p2, method: As for `required_sample_size`.
        n: Values a group (of the control, when `ratio` is not 1), pairs, or in all for "chi_square".

    Returns:
        Power; float() gives the number.

    Raises:
        ConfigError: An argument is not what is accepted, or does not belong to the test.

    Examples:
        >>> from crucible_nb.stats.planning.power import power
        >>> round(float(power(effect_size=0.5, n=30)), 7)
        0.4778965
    """
    design = design_of(test, effect_size, alternative, ratio, groups, df, p1, p2, method)
    alpha = checks.number("alpha", alpha, gt=0, lt=1)
    n = checks.number("n", n, ge=design.least)
    found = design.power(n, alpha)
    text = (
        f"A {design.said} with {design.sizes(n, n)} finds {design.effect_text} with {100 * found:.1f}% power at alpha "
        f"{alpha:g} ({design.alternative})."
    )
    return Power(found, n, test, design.effect_size, design.effect, alpha, design.alternative, text)


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
    """The least effect that a test finds with a given power.

    Args:
        n: As for `power`.
        power, alpha, test, alternative, ratio, groups, df: As for `required_sample_size`; the effect is above 0, or
            below it for alternative="less".
        p1: Share of the control, for "proportions": the answer then has the least difference of shares as well.
        method: As for `required_sample_size`, with p1.
        sd: Standard deviation of the values ("paired": of the differences), for t tests: the answer then has the
            least difference in their unit as well.

    Returns:
        DetectableEffect; float() gives the effect size.

    Raises:
        ConfigError: An argument is not what is accepted, or does not belong to the test.
        StatError: No effect is large enough.

    Examples:
        >>> from crucible_nb.stats.planning.power import minimum_detectable_effect
        >>> found = minimum_detectable_effect(64, sd=120.0)
        >>> round(found.effect_size, 3), round(found.difference, 1)
        (0.499, 59.9)
    """
    power, alpha = chances(power, alpha)
    sign = -1.0 if alternative == "less" else 1.0
    shares = p1 is not None
    if sd is not None:
        sd = checks.number("sd", sd, gt=0)
        if test not in {"t", "paired", "one_sample"}:
            raise checks.wrong("sd", sd, f"None for test={test!r}")

    def design(size: float) -> Design:
        wanted = (None, checks.number("p1", p1, gt=0, lt=1) + size) if shares else (size, None)
        return design_of(test, wanted[0], alternative, ratio, groups, df, p1, wanted[1], method)

    most = (1 - p1 if sign > 0 else p1) * (1 - 1e-9) if p1 is not None else math.pi if test == "proportions" else 1e6
    tiny = most * 1e-9
    n = checks.number("n", n, ge=design(sign * tiny).least)
    size = sign * _root(lambda one: design(sign * one).power(n, alpha) - power, tiny, most, "effect")
    found = design(size)
    difference = size if shares else size * sd if sd is not None else math.nan
    unit = "" if math.isnan(difference) else f", a difference of {number(difference)}"
    text = (
        f"A {found.said} with {found.sizes(n, n)} finds {found.effect} = {number(found.effect_size)}{unit} with "
        f"{100 * power:g}% power at alpha {alpha:g} ({alternative}), and smaller ones less often."
    )
    return DetectableEffect(
        found.effect_size, difference, n, test, found.effect, power, alpha, found.alternative, text
    )  # fmt: skip


def chances(power: float, alpha: float) -> tuple[float, float]:
    """Both, when they are: 0 < alpha < power < 1."""
    alpha = checks.number("alpha", alpha, gt=0, lt=1)
    return checks.number("power", power, gt=alpha, lt=1), alpha


def needed(design: Design, power: float, alpha: float) -> float:
    """The least n, not rounded, with which a design has the power.

    Raises:
        StatError: No number of values is enough.
    """
    if design.power(design.least, alpha) >= power:
        return design.least
    return _root(lambda n: design.power(n, alpha) - power, design.least, _MOST, "number of values")


def _root(off: Any, low: float, most: float, what: str) -> float:
    """Where a rising function crosses 0, by doubling and then by Brent."""
    from scipy import optimize  # noqa: PLC0415  heavy; imported where used

    high = min(2 * low, most)
    while not off(high) >= 0:
        if high >= most:
            raise StatError(f"power: no {what} is large enough; ask for less power, or a larger effect")
        low, high = high, min(2 * high, most)
    return float(optimize.brentq(off, low, high, xtol=1e-12, rtol=1e-13))
