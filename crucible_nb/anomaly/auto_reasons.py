"""Reasons of the anomalies of `auto`: one sentence for each voice, in the unit of the metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crucible_nb.anomaly.auto_state import EVIDENCE, VOICES
from crucible_nb.anomaly.texts import format_distance, format_number

Parts = Mapping[str, float]


def sentence(metric: str, value: float, parts: Parts, group: str) -> str:
    """Build the sentence of the voice that explains the anomaly: the largest, or a new extreme beyond its limit."""
    voice = max(VOICES, key=lambda name: parts[name])
    voice = "extreme" if parts["extreme"] >= 1 else voice
    voice = "rate" if parts["rate"] >= 1 else voice
    return _SENTENCES[voice](metric, value, parts, group)


def _extreme(metric: str, value: float, parts: Parts, group: str) -> str:
    distance = (value - parts["mean"]) / parts["sd"]
    extreme, side = ("highest", "above") if distance > 0 else ("lowest", "below")
    offset = f"{format_distance(distance, 'sd')} {side} the mean {format_number(parts['mean'])}"
    return f"{metric} {format_number(value)} is the {extreme} ever{group}, {offset}"


def _level(metric: str, _: float, parts: Parts, group: str) -> str:
    now, usual = parts["level_now"], parts["level_usual"]
    side = "above" if now > usual else "below"
    return f"{metric}: the mean of the last 50 is {format_number(now)}, {side} the usual {format_number(usual)}{group}"


def _spread(metric: str, _: float, parts: Parts, group: str) -> str:
    now, usual = parts["spread_now"], parts["spread_usual"]
    side = "above" if now > usual else "below"
    offset = f"{format_number(now)}, {side} the usual {format_number(usual)}"
    return f"{metric}: the mean deviation of the last 50 is {offset}{group}"


def _error(metric: str, value: float, parts: Parts, group: str) -> str:
    side = "above" if value > parts["predicted"] else "below"
    return (
        f"{metric} {format_number(value)}{group} is further {side} what the values before it let expect, "
        f"about {format_number(parts['predicted'])}, than it usually gets"
    )


def _drift(metric: str, _: float, parts: Parts, group: str) -> str:
    return (
        f"{metric}{group} has moved away: the last few are about {format_number(parts['fast'])}, "
        f"the last 100 about {format_number(parts['slow'])}"
    )


def _shift(metric: str, _: float, parts: Parts, group: str) -> str:
    side = "above" if parts["rank_now"] > 0 else "below"
    share = f"{0.5 + abs(parts['rank_now']):.0%}"
    return (
        f"{metric}: its distribution moved{group}: recent values are on average {side} {share} of the earlier ones, "
        f"of which half are below {format_number(parts['median'])}"
    )


def _rank_spread(metric: str, _: float, parts: Parts, group: str) -> str:
    if parts["rank_spread_now"] > 0:
        return f"{metric} changes more from value to value than it did{group}: recent ones are mostly at the ends"
    return f"{metric} changes less than it did{group}: recent values are mostly near {format_number(parts['median'])}"


def _repeat(metric: str, value: float, parts: Parts, group: str) -> str:
    times, longest = parts["run"] + 1, parts["longest"] + 1
    said = f"{metric} is {format_number(value)} for the {times:,.0f}th time in a row{group}"
    return f"{said}; until now the same value came at most {longest:,.0f} times in a row"


def _rate(metric: str, value: float, parts: Parts, group: str) -> str:
    if parts["rate"] * EVIDENCE <= 0:
        return f"{metric} {format_number(value)} is unusual{group}"
    usual = parts["rate_usual"]
    side = "more often" if (parts["level_now"] > usual) else "less often"
    return (
        f"{metric} is 1 {side} than usual{group}: in {parts['level_now']:.2%} of the last 50, "
        f"before in {usual:.2%} of all"
    )


_SENTENCES: dict[str, Callable[[str, float, Parts, str], str]] = {
    "level": _level,
    "spread": _spread,
    "extreme": _extreme,
    "error": _error,
    "drift": _drift,
    "shift": _shift,
    "rank_spread": _rank_spread,
    "repeat": _repeat,
    "rate": _rate,
}
