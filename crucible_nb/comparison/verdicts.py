"""Verdicts: better, worse, equivalent, not worse, different, leaning or inconclusive, with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from crucible_nb.comparison.arguments import Direction
from crucible_nb.stats.estimates.contrast import Contrast
from crucible_nb.stats.estimates.mover import side_pvalue
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.results import Interval, number
from crucible_nb.utils import checks

Verdict = Literal["better", "worse", "equivalent", "not worse", "different", "leaning", "inconclusive"]

_DOWN = ("latency", "cost", "error", "failure")


class Decision(NamedTuple):
    """A verdict with its reason."""

    verdict: Verdict
    why: str


def better_direction(metric: str, given: Mapping[str, Direction]) -> Direction | None:
    """Direction that is better: as given, otherwise down for latency, cost and errors, up for success; else None.

    That of a share of a condition is unknown.

    Examples:
        >>> better_direction("p95_latency_ms", {}), better_direction("success_rate", {}), better_direction("score", {})
        ('down', 'up', None)
    """
    if metric in given:
        return given[metric]
    if metric == "success_rate":
        return "up"
    if metric.startswith("share("):  # the share of a condition may be better up or down
        return None
    spends = metric.startswith("usd_per_")  # other amounts in USD may be revenue
    return "down" if spends or any(word in metric for word in _DOWN) else None


def check_directions(value: Any) -> dict[str, Direction]:
    """Check the argument `direction`, and return it as a dict."""
    given = checks.mapping("direction", value)
    return {name: checks.one_of(f"direction[{name!r}]", way, ("up", "down")) for name, way in given.items()}


class Margin(NamedTuple):
    """Smallest difference that matters.

    Attributes:
        width: In the unit of the metric; of a margin in percent, by the estimate of the control.
        share: Of the control, e.g. 0.05; None for a margin in the unit of the metric.
    """

    width: float
    share: float | None = None

    def ratios(self, control: float) -> tuple[float, float]:
        """The ratios (low, high) of treatment and control that bound a margin in percent."""
        signed = math.copysign(self.share or 0.0, control)
        return 1 - signed, 1 + signed


def read_margin(metric: str, margin: Any, control: float) -> Margin | None:
    """Read the argument `margin`: a number, "5%" of the control, or a mapping of these; None without one."""
    if isinstance(margin, Mapping):
        margin = margin.get(metric)
    if margin is None:
        return None
    if isinstance(margin, str) and margin.strip().endswith("%"):
        try:
            share = float(margin.strip()[:-1]) / 100
        except ValueError:
            raise checks.wrong("margin", margin, "a number, or text such as '5%'") from None
        width = share * abs(control)
        if not width > 0 and share > 0:  # a control of 0, or unknown
            return None
        return Margin(checks.number("margin", width, gt=0), share)
    return Margin(checks.number("margin", margin, gt=0))


def equivalence_pvalue(contrast: Contrast, margin: Margin) -> float:
    """P-value of two one-sided tests: the smallest alpha at which the 1 - 2 alpha interval is inside the margin.

    A margin in percent is tested as treatment - (1 +- share) * control against 0, with the error of both arms.

    References:
        Schuirmann: A comparison of the two one-sided tests procedure and the power approach for assessing the
        equivalence of average bioavailability. J. Pharmacokinetics and Biopharmaceutics 15 (1987).
        Hauschke, Kieser, Diletti, Burke: Sample size determination for proving equivalence based on the ratio of two
        means for normally distributed data. Statistics in Medicine 18 (1999).
    """
    return max(_above_margin(contrast, margin), _below_margin(contrast, margin))


def noninferiority_pvalue(contrast: Contrast, margin: Margin, direction: Direction) -> float:
    """P-value of non-inferiority: the smallest alpha at which the 1 - 2 alpha interval excludes a loss > margin."""
    return _above_margin(contrast, margin) if direction == "up" else _below_margin(contrast, margin)


def _above_margin(contrast: Contrast, margin: Margin) -> float:
    """P-value of the treatment being less than the margin below the control."""
    if contrast.treatment - contrast.control <= -margin.width:
        return 1.0
    if margin.share is None:
        return side_pvalue(contrast.difference, -margin.width, "greater")
    low, _ = margin.ratios(contrast.control)
    return side_pvalue(lambda level: contrast.limits(level, low), 0.0, "greater")


def _below_margin(contrast: Contrast, margin: Margin) -> float:
    """P-value of the treatment being less than the margin above the control."""
    if contrast.treatment - contrast.control >= margin.width:
        return 1.0
    if margin.share is None:
        return side_pvalue(contrast.difference, margin.width, "less")
    _, high = margin.ratios(contrast.control)
    return side_pvalue(lambda level: contrast.limits(level, high), 0.0, "less")


def _is_inside(interval: Interval, low: float, high: float) -> bool:
    return low < interval.low and interval.high < high


def _excludes_loss(interval: Interval, margin: float | None, direction: Direction | None) -> bool:
    """Return whether the interval excludes a loss of the margin or more."""
    if margin is None or direction is None:
        return False
    return interval.low > -margin if direction == "up" else interval.high < margin


def limit_decision(decision: Decision, reason: str | None) -> Decision:
    """Weaken a verdict to "leaning" if there is a reason to doubt the test."""
    if reason is None or decision.verdict == "inconclusive":
        return decision
    return Decision("leaning", f"{decision.why}, but {reason}")


class PValues(NamedTuple):
    """P-values of one metric.

    Attributes:
        raw: Of no difference, before the correction.
        difference, equivalence, noninferiority: Corrected.
        correction: Method of the correction and number of tests; None without one.
    """

    raw: float
    difference: float
    equivalence: float
    noninferiority: float
    correction: str | None


def decide_untested(reason: str, margin: float | None, *, identical: bool) -> Decision:
    """Decide on a metric that has no test: identical values are equivalent within any margin."""
    return Decision("equivalent" if identical and margin is not None else "inconclusive", reason)


def decide_fixed_n(
    estimate: float, interval: Interval, p: PValues, alpha: float, direction: Direction | None, margin: float | None
) -> Decision:
    """Decide on a difference tested at a fixed n.

    Args:
        estimate: Difference treatment - control.
        interval: Interval of the difference, not corrected.
        p: P-values.
        alpha: Significance level.
        direction: Direction that is better; None if unknown.
        margin: Smallest difference that matters; None without a margin.
    """
    significant = p.difference <= alpha
    sign = "higher" if estimate > 0 else "lower"
    if margin is not None and p.equivalence <= alpha:
        also = f"; the sign is known nevertheless: the treatment is {sign}" if significant else ""
        return Decision("equivalent", f"the difference lies within {number(margin)} either way{also}")
    if significant:
        covers = "; by the test, although its interval, by another method, covers zero" if _covers(interval) else ""
        if direction is None:
            why = f"the treatment is {sign}; no direction was given, so it is not called better{covers}"
            return Decision("different", why)
        good = (estimate > 0) == (direction == "up")
        better = "higher" if direction == "up" else "lower"
        return Decision("better" if good else "worse", f"the treatment is {sign}, and {better} is better{covers}")
    if margin is not None and direction is not None and p.noninferiority <= alpha:
        return Decision("not worse", f"if it is worse, then by less than {number(margin)}")
    return Decision("inconclusive", f"{_why_open(interval, p, alpha)}{_why_not_within(interval, margin)}")


def _covers(interval: Interval) -> bool:
    return interval.low <= 0 <= interval.high


def _why_open(interval: Interval, p: PValues, alpha: float) -> str:
    """Reason why no difference is shown, in agreement with the interval."""
    if _covers(interval):
        return "zero lies in the interval; that is not evidence of no difference"
    if p.raw <= alpha:
        corrected = f"{p.correction}: {p_text(p.difference)}"
        return f"significant alone ({p_text(p.raw)}), but not after the correction ({corrected})"
    return f"zero lies just outside the interval, but the test, by another method, is not significant ({p_text(p.raw)})"


def _why_not_within(interval: Interval, margin: float | None) -> str:
    """Reason why the difference is not shown to be within the margin."""
    if margin is None:
        return ""
    if _is_inside(interval, -margin, margin):
        return f"; the interval lies within {number(margin)} either way, but not after the correction"
    return f"; the interval reaches beyond {number(margin)}"


def decide_sequence(
    interval: Interval, estimate: float, direction: Direction | None, margin: float | None, *, decided: bool,
    valid_at_every_n: bool,
) -> Decision:  # fmt: skip
    """Decide on a difference by a confidence sequence, which is valid at any look.

    Args:
        interval: Interval of the difference.
        estimate: Difference treatment - control.
        direction: Direction that is better; None if unknown.
        margin: Smallest difference that matters; None without a margin.
        decided: Whether the corrected p-value is at most alpha.
        valid_at_every_n: False for an asymptotic sequence, which is at most "leaning".
    """
    sign = "higher" if estimate > 0 else "lower"
    if margin is not None and _is_inside(interval, -margin, margin):
        verdict: Verdict = "equivalent" if valid_at_every_n else "leaning"
        return Decision(verdict, f"the difference lies within {number(margin)} either way, at any look")
    if _excludes_loss(interval, margin, direction) and valid_at_every_n and not decided:
        return Decision("not worse", f"if it is worse, then by less than {number(margin or 0.0)}, at any look")
    if decided and not valid_at_every_n:
        return Decision("leaning", f"the treatment seems {sign}; the sequence is valid only asymptotically")
    if decided and direction is None:
        return Decision("different", f"the treatment is {sign}, at any look; no direction was given")
    if decided:
        good = (estimate > 0) == (direction == "up")
        return Decision("better" if good else "worse", f"the treatment is {sign}, at any look")
    corrected = "" if _covers(interval) else "zero lies outside the interval, but not after the correction; "
    return Decision("inconclusive", f"{corrected}not decided yet; look again at any time")
