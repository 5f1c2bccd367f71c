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
    more = "more" if now > usual else "less"
    off = f"{format_number(now)} off the mean, usually {format_number(usual)}"
    return f"{metric}{group} scatters {more} than usual: the last 50 are on average {off}"


def _error(metric: str, value: float, parts: Parts, group: str) -> str:
    side = "above" if value > parts["predicted"] else "below"
    expected = f"{format_number(parts['predicted'])} expected from the values before it"
    return f"{metric} {format_number(value)}{group} is unusually far {side} the {expected}"


def _drift(metric: str, _: float, parts: Parts, group: str) -> str:
    fast, slow = parts["fast"], parts["slow"]
    moved = "risen" if fast > slow else "fallen"
    means = f"the last few are about {format_number(fast)}, the last 100 about {format_number(slow)}"
    return f"{metric}{group} has {moved}: {means}"


def _shift(metric: str, _: float, parts: Parts, group: str) -> str:
    moved, side = ("higher", "above") if parts["rank_now"] > 0 else ("lower", "below")
    share = f"{0.5 + abs(parts['rank_now']):.0%}"
    return (
        f"{metric}{group} is {moved} than it was: recent values are on average {side} {share} of the earlier ones, "
        f"of which half are below {format_number(parts['median'])}"
    )


def _rank_spread(metric: str, _: float, parts: Parts, group: str) -> str:
    if parts["rank_spread_now"] > 0:
        return f"{metric}{group} swings more than it did: recent values are mostly among its lowest and its highest"
    return f"{metric}{group} varies less than it did: recent values are mostly near {format_number(parts['median'])}"


def _repeat(metric: str, value: float, parts: Parts, group: str) -> str:
    times, longest = parts["run"] + 1, parts["longest"] + 1
    said = f"{metric} is {format_number(value)} for the {times:,.0f}th time in a row{group}"
    return f"{said}; until now the same value came at most {longest:,.0f} times in a row"


def _rate(metric: str, value: float, parts: Parts, group: str) -> str:
    if parts["rate"] * EVIDENCE <= 0:
        return f"{metric} {format_number(value)} is unusual{group}"
    now, usual = parts["level_now"], parts["rate_usual"]
    moved = "rose" if now > usual else "fell"
    return f"{metric}{group} {moved} to {_percent(now)} of the last 50, usually {_percent(usual)}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if 0.1 <= share <= 0.9 else f"{share:.1%}"


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
