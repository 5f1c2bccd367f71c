"""From a difference to a word: better, worse, equivalent, not worse, different, leaning, inconclusive."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from crucible_nb.stats.results import Interval, number
from crucible_nb.utils import checks

Verdict = Literal["better", "worse", "equivalent", "not worse", "different", "leaning", "inconclusive"]
Direction = Literal["up", "down"]

_DOWN = ("latency", "cost", "error", "failure")


class Decision(NamedTuple):
    """A verdict and the sentence behind it."""

    verdict: Verdict
    why: str


def direction_of(metric: str, given: Mapping[str, Direction]) -> Direction | None:
    """Which way is better: as given, else down for latency, cost and errors, up for success; None when nobody knows.

    Examples:
        >>> direction_of("p95_latency_ms", {}), direction_of("success_rate", {}), direction_of("score", {})
        ('down', 'up', None)
    """
    if metric in given:
        return given[metric]
    if metric == "success_rate":
        return "up"
    return "down" if any(word in metric for word in _DOWN) else None


def directions(value: Any) -> dict[str, Direction]:
    """The argument `direction`, checked."""
    found = checks.mapping("direction", value)
    return {name: checks.one_of(f"direction[{name!r}]", way, ("up", "down")) for name, way in found.items()}


def margin_of(metric: str, margin: Any, control: float) -> float | None:
    """The argument `margin` for one metric: a number in its unit, "5%" of the control, or a mapping of these."""
    if isinstance(margin, Mapping):
        margin = margin.get(metric)
    if margin is None:
        return None
    if isinstance(margin, str) and margin.strip().endswith("%"):
        try:
            share = float(margin.strip()[:-1]) / 100
        except ValueError:
            raise checks.wrong("margin", margin, "a number, or text such as '5%'") from None
        margin = share * abs(control)
    return checks.number("margin", margin, gt=0)


def equivalence_pvalue(estimate: float, limits: Callable[[float], Interval], margin: float) -> float:
    """Two one-sided tests by their intervals: the smallest alpha at which the 1 - 2 alpha interval is inside.

    References:
        Schuirmann: A comparison of the two one-sided tests procedure and the power approach for assessing the
        equivalence of average bioavailability. J. Pharmacokinetics and Biopharmaceutics 15 (1987).
    """
    if abs(estimate) >= margin:
        return 1.0
    return _smallest(lambda level: _inside(limits(1 - 2 * level), -margin, margin))


def noninferiority_pvalue(
    estimate: float, limits: Callable[[float], Interval], margin: float, direction: Direction
) -> float:
    """Non-inferiority: the smallest alpha at which the 1 - 2 alpha interval is not beyond the margin to the worse."""
    low, high = (-margin, math.inf) if direction == "up" else (-math.inf, margin)
    if not low < estimate < high:
        return 1.0
    return _smallest(lambda level: _inside(limits(1 - 2 * level), low, high))


def _inside(interval: Interval, low: float, high: float) -> bool:
    return low < interval.low and interval.high < high


def _smallest(holds: Callable[[float], bool]) -> float:
    """The smallest level below one half at which it holds, which it does at all larger ones."""
    low, high = math.log(1e-12), math.log(0.5 - 1e-9)
    if holds(1e-12):
        return 1e-12
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(math.exp(middle)) else (middle, high)
    return math.exp(high)


def decide(
    estimate: float, pvalue: float, alpha: float, direction: Direction | None, margin: float | None,
    equivalent: float, harmless: float,
) -> Decision:  # fmt: skip
    """The verdict of a planned test.

    Args:
        estimate: treatment - control.
        pvalue: Of no difference, corrected.
        alpha: Level.
        direction: Which way is better.
        margin: What would matter.
        equivalent, harmless: p-values of equivalence and of non-inferiority, corrected.
    """
    known = pvalue <= alpha
    sign = "higher" if estimate > 0 else "lower"
    if margin is not None and equivalent <= alpha:
        also = f"; the sign is known all the same: the treatment is {sign}" if known else ""
        return Decision("equivalent", f"the difference lies within {number(margin)} either way{also}")
    if known:
        if direction is None:
            return Decision("different", f"the treatment is {sign}; no direction was given, so it is not called better")
        good = (estimate > 0) == (direction == "up")
        wanted = "higher" if direction == "up" else "lower"
        return Decision("better" if good else "worse", f"the treatment is {sign}, and {wanted} is better")
    if margin is not None and direction is not None and harmless <= alpha:
        return Decision("not worse", f"if it is worse, then by less than {number(margin)}")
    beyond = "" if margin is None else f", and the interval reaches beyond {number(margin)}"
    return Decision("inconclusive", f"zero lies in the interval{beyond}; that is not evidence of no difference")


def decide_sequence(
    interval: Interval, estimate: float, direction: Direction | None, margin: float | None, *, decided: bool, firm: bool
) -> Decision:
    """The verdict of a sequence, which may be looked at whenever one likes."""
    sign = "higher" if estimate > 0 else "lower"
    if margin is not None and _inside(interval, -margin, margin):
        word: Verdict = "equivalent" if firm else "leaning"
        return Decision(word, f"the difference lies within {number(margin)} either way, at any look")
    if decided and not firm:
        return Decision("leaning", f"the treatment looks {sign}; the sequence holds only in the long run")
    if decided and direction is None:
        return Decision("different", f"the treatment is {sign}, at any look; no direction was given")
    if decided:
        good = (estimate > 0) == (direction == "up")
        return Decision("better" if good else "worse", f"the treatment is {sign}, at any look")
    return Decision("inconclusive", "not decided yet; it may be looked at again at any time")
