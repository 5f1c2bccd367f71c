"""Designs of tests whose power is known: what each takes, and its power from statsmodels."""

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
_SAID = {
    "t": ("two-sample t-test", "d"),
    "paired": ("paired t-test", "d_z"),
    "one_sample": ("one-sample t-test", "d"),
    "proportions": ("two-proportion test", "h"),
    "anova": ("one-way ANOVA", "f"),
    "chi_square": ("chi-square test", "w"),
}
_THEIRS = {"two-sided": "two-sided", "greater": "larger", "less": "smaller"}


@dataclass(frozen=True)
class Design:
    """A test and the effect that it is to find.

    Attributes:
        test: One of `TESTS`.
        effect_size: In the unit of the test.
        alternative: "two-sided", "less" or "greater".
        ratio: Values of the treatment for each of the control.
        groups: Of an ANOVA.
        df: Of a chi-square.
        shares: Shares of control and treatment; None where only an effect size is known.
        pooled: Whether the variance under the null hypothesis is that of the pooled share.
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
    def said(self) -> str:
        """The test in words."""
        groups = f" of {self.groups} groups" if self.test == "anova" else ""
        return _SAID[self.test][0] + groups

    @property
    def effect(self) -> str:
        """What its effect size is called."""
        return _SAID[self.test][1]

    @property
    def effect_text(self) -> str:
        """The effect in words."""
        shares = "" if self.shares is None else f" ({number(self.shares[0])} against {number(self.shares[1])})"
        return f"{self.effect} = {number(self.effect_size)}{shares}"

    @property
    def least(self) -> float:
        """Values a group without which the test cannot be done."""
        if self.test == "chi_square":
            return float(self.df + 1)
        return 1.0 if self.test == "proportions" else 2.0 if self.ratio >= 1 else 2 / self.ratio

    def total(self, n: float, exact: float) -> int:
        """Values in all groups, each rounded up; pairs count once."""
        if self.test == "anova":
            return math.ceil(n) * self.groups
        if self.test in {"t", "proportions"}:
            return math.ceil(n) + math.ceil(exact * self.ratio - 1e-9)
        return math.ceil(n)

    def sizes(self, n: float, exact: float) -> str:
        """How many values, in words."""
        shown = f"{n:,.10g}"
        if self.test in {"t", "proportions"} and self.ratio != 1:
            return f"{shown} and {math.ceil(exact * self.ratio - 1e-9):,} values"
        units = {"paired": "pairs", "one_sample": "values", "chi_square": "values in all"}
        return f"{shown} {units.get(self.test, 'values a group')}"

    def power(self, n: float, alpha: float) -> float:
        """The chance to find the effect with n values a group."""
        return min(1.0, float(_POWER[self.test](self, n, alpha)))


def _of_t(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power  # noqa: PLC0415  heavy; imported where used

    side = _THEIRS[design.alternative]
    return power.TTestIndPower().power(design.effect_size, n, alpha, design.ratio, alternative=side)


def _of_one(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power  # noqa: PLC0415

    return power.TTestPower().power(design.effect_size, n, alpha, alternative=_THEIRS[design.alternative])


def _of_proportions(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power, proportion  # noqa: PLC0415

    side = _THEIRS[design.alternative]
    if not design.pooled or design.shares is None:
        return power.NormalIndPower().power(design.effect_size, n, alpha, design.ratio, alternative=side)
    control, treatment = design.shares
    # theirs is about the first less the second, with the size of the first: turn it round
    turned = {"larger": "smaller", "smaller": "larger"}.get(side, side)
    return proportion.power_proportions_2indep(
        control - treatment, treatment, n, design.ratio, alpha, alternative=turned, return_results=False
    )


def _of_anova(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power  # noqa: PLC0415

    return power.FTestAnovaPower().power(design.effect_size, n * design.groups, alpha, design.groups)


def _of_chi_square(design: Design, n: float, alpha: float) -> Any:
    from statsmodels.stats import power  # noqa: PLC0415

    return power.GofChisquarePower().power(design.effect_size, n, alpha, n_bins=design.df + 1)


_POWER: dict[str, Callable[[Design, float, float], Any]] = {
    "t": _of_t,
    "paired": _of_one,
    "one_sample": _of_one,
    "proportions": _of_proportions,
    "anova": _of_anova,
    "chi_square": _of_chi_square,
}


def design_of(
    test: str,
    effect_size: float | None,
    alternative: str,
    ratio: float,
    groups: int | None,
    df: int | None,
    p1: float | None,
    p2: float | None,
    method: str | None,
) -> Design:
    """A design, from what a user said of it; see `required_sample_size`.

    Raises:
        ConfigError: An argument is not what is accepted, or does not belong to the test.
    """
    checks.one_of("test", test, TESTS)
    alternative = check_alternative(alternative)
    _only(test, ("anova",), groups=groups)
    _only(test, ("chi_square",), df=df)
    _only(test, ("proportions",), p1=p1, p2=p2, method=method)
    if ratio != 1:
        _only(test, ("t", "proportions"), ratio=ratio)
    if alternative != "two-sided":
        _only(test, ("t", "paired", "one_sample", "proportions"), alternative=alternative)
    shares = _shares(effect_size, p1, p2)
    checks.one_of("method", method, (None, "arcsine", "pooled") if shares else (None, "arcsine"))
    size = arcsine_difference(*shares) if shares else checks.number("effect_size", effect_size)
    against = alternative == ("less" if size > 0 else "greater")
    if size == 0 or against or (size < 0 and test in {"anova", "chi_square"}):
        accepted = {"greater": "a number > 0", "less": "a number < 0"}.get(alternative, "a number other than 0")
        raise checks.wrong("effect_size", size, f"{accepted} for alternative={alternative!r}")
    return Design(
        test, size, alternative, checks.number("ratio", ratio, gt=0),
        checks.whole("groups", 2 if groups is None else groups, ge=2),
        checks.whole("df", 1 if df is None else df, ge=1), shares, method == "pooled",
    )  # fmt: skip


def _only(test: str, tests: tuple[str, ...], **given: Any) -> None:
    for name, value in given.items():
        if value is not None and test not in tests:
            raise checks.wrong(name, value, f"it left out for test={test!r}; it belongs to {' and '.join(tests)}")


def _shares(effect_size: float | None, p1: float | None, p2: float | None) -> tuple[float, float] | None:
    if p1 is None and p2 is None:
        return None
    if effect_size is not None:
        raise checks.wrong("effect_size", effect_size, "None with p1 and p2")
    return checks.number("p1", p1, ge=0, le=1), checks.number("p2", p2, ge=0, le=1)
