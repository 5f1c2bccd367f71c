"""Designs for power analysis: a test with its effect size, and its power by statsmodels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crucible_nb.stats.effects.risks import arcsine_difference
from crucible_nb.stats.outcome import check_alternative
from crucible_nb.stats.results import number
from crucible_nb.utils import checks

TESTS = ("t", "paired", "one_sample", "proportions", "anova", "chi_square")
_NAMES = {
    "t": ("two-sample t-test", "d"),
    "paired": ("paired t-test", "d_z"),
    "one_sample": ("one-sample t-test", "d"),
    "proportions": ("two-proportion test", "h"),
    "anova": ("one-way ANOVA", "f"),
    "chi_square": ("chi-square test", "w"),
}
_STATSMODELS_ALTERNATIVE = {"two-sided": "two-sided", "greater": "larger", "less": "smaller"}


@dataclass(frozen=True)
class Design:
    """A test and the effect size to detect.

    Attributes:
        test: One of `TESTS`.
        effect_size: Effect size, by the definition that belongs to the test (see `effect`).
        alternative: "two-sided", "less" or "greater".
        ratio: Number of values of the treatment per value of the control.
        groups: Number of groups of an ANOVA.
        df: Degrees of freedom of a chi-square.
        shares: Proportions of control and treatment; None if only an effect size is known.
        pooled: Whether the variance under the null hypothesis is that of the pooled proportion.
    """

    test: str
    effect_size: float
    alternative: str
    ratio: float = 1.0
    groups: int = 2
    df: int = 1
    shares: tuple[float, float] | None = None
    pooled: bool = False

    @property
    def test_text(self) -> str:
        """Name of the test."""
        groups = f" of {self.groups} groups" if self.test == "anova" else ""
        return _NAMES[self.test][0] + groups

    @property
    def effect(self) -> str:
        """Symbol of the effect size, e.g. "d"."""
        return _NAMES[self.test][1]

    @property
    def effect_text(self) -> str:
        """The effect size as text."""
        shares = "" if self.shares is None else f" ({number(self.shares[0])} against {number(self.shares[1])})"
        return f"{self.effect} = {number(self.effect_size)}{shares}"

    @property
    def min_n(self) -> float:
        """Smallest number of values per group for which the test is defined."""
        if self.test == "chi_square":
            return float(self.df + 1)
        return 1.0 if self.test == "proportions" else 2.0 if self.ratio >= 1 else 2 / self.ratio

    def total(self, n: float, exact: float) -> int:
        """Number of values in all groups, each rounded up; pairs count once."""
        if self.test == "anova":
            return math.ceil(n) * self.groups
        if self.test in {"t", "proportions"}:
            return math.ceil(n) + math.ceil(exact * self.ratio - 1e-9)
        return math.ceil(n)

    def sizes_text(self, n: float, exact: float) -> str:
        """The number of values as text."""
        shown = f"{n:,.10g}"
        if self.test in {"t", "proportions"} and self.ratio != 1:
            return f"{shown} and {math.ceil(exact * self.ratio - 1e-9):,} values"
        units = {"paired": "pairs", "one_sample": "values", "chi_square": "values in all"}
        return f"{shown} {units.get(self.test, 'values per group')}"

    def power(self, n: float, alpha: float) -> float:
        """Probability to detect the effect with n values per group."""
        return min(1.0, float(_POWER[self.test](self, n, alpha)))


def _two_sample_power(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power  # noqa: PLC0415  heavy; imported where used

    side = _STATSMODELS_ALTERNATIVE[design.alternative]
    return power.TTestIndPower().power(design.effect_size, n, alpha, design.ratio, alternative=side)


def _one_sample_power(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power  # noqa: PLC0415

    side = _STATSMODELS_ALTERNATIVE[design.alternative]
    return power.TTestPower().power(design.effect_size, n, alpha, alternative=side)


def _proportions_power(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power, proportion  # noqa: PLC0415

    side = _STATSMODELS_ALTERNATIVE[design.alternative]
    if not design.pooled or design.shares is None:
        return power.NormalIndPower().power(design.effect_size, n, alpha, design.ratio, alternative=side)
    control, treatment = design.shares
    # statsmodels tests first - second and takes the size of the first: pass the control first, reverse the alternative
    reversed_side = {"larger": "smaller", "smaller": "larger"}.get(side, side)
    return proportion.power_proportions_2indep(
        control - treatment, treatment, n, design.ratio, alpha, alternative=reversed_side, return_results=False
    )


def _anova_power(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power  # noqa: PLC0415

    return power.FTestAnovaPower().power(design.effect_size, n * design.groups, alpha, design.groups)


def _chi_square_power(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power  # noqa: PLC0415

    return power.GofChisquarePower().power(design.effect_size, n, alpha, n_bins=design.df + 1)


_POWER: dict[str, Callable[[Design, float, float], Any]] = {
    "t": _two_sample_power,
    "paired": _one_sample_power,
    "one_sample": _one_sample_power,
    "proportions": _proportions_power,
    "anova": _anova_power,
    "chi_square": _chi_square_power,
}


def make_design(
    test: str,
    effect_size: float | None = None,
    alternative: str = "two-sided",
    *,
    ratio: float = 1.0,
    groups: int | None = None,
    df: int | None = None,
    p1: float | None = None,
    p2: float | None = None,
    method: str | None = None,
) -> Design:
    """Make a design from the checked arguments of `required_sample_size`.

    Raises:
        ConfigError: An argument is not accepted, or does not belong to the test.
    """
    checks.one_of("test", test, TESTS)
    alternative = check_alternative(alternative)
    _require_test(test, ("anova",), groups=groups)
    _require_test(test, ("chi_square",), df=df)
    _require_test(test, ("proportions",), p1=p1, p2=p2, method=method)
    if ratio != 1:
        _require_test(test, ("t", "proportions"), ratio=ratio)
    if alternative != "two-sided":
        _require_test(test, ("t", "paired", "one_sample", "proportions"), alternative=alternative)
    shares = _check_shares(effect_size, p1, p2)
    checks.one_of("method", method, (None, "arcsine", "pooled") if shares else (None, "arcsine"))
    size = arcsine_difference(*shares) if shares else checks.number("effect_size", effect_size)
    wrong_side = alternative == ("less" if size > 0 else "greater")
    if size == 0 or wrong_side or (size < 0 and test in {"anova", "chi_square"}):
        accepted = {"greater": "a number > 0", "less": "a number < 0"}.get(alternative, "a number other than 0")
        raise checks.wrong("effect_size", size, f"{accepted} for alternative={alternative!r}")
    return Design(
        test=test, effect_size=size, alternative=alternative, ratio=checks.number("ratio", ratio, gt=0),
        groups=checks.whole("groups", 2 if groups is None else groups, ge=2),
        df=checks.whole("df", 1 if df is None else df, ge=1), shares=shares, pooled=method == "pooled",
    )  # fmt: skip


def _require_test(test: str, tests: tuple[str, ...], **arguments: Any) -> None:
    """Raise ConfigError for an argument that is given and does not belong to the test."""
    for name, value in arguments.items():
        if value is not None and test not in tests:
            raise checks.wrong(name, value, f"it left out for test={test!r}; it belongs to {' and '.join(tests)}")


def _check_shares(effect_size: float | None, p1: float | None, p2: float | None) -> tuple[float, float] | None:
    if p1 is None and p2 is None:
        return None
    if effect_size is not None:
        raise checks.wrong("effect_size", effect_size, "None with p1 and p2")
    return checks.number("p1", p1, ge=0, le=1), checks.number("p2", p2, ge=0, le=1)
