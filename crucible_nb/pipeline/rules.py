"""Rules on live metrics, such as "error_rate > 0.1 over 5min"; docs/guides/rules.md lists their forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from crucible_nb.errors import ConfigError, CrucibleError
from crucible_nb.events.conditions import parse_condition
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.rule_terms import SIGNS, Terms
from crucible_nb.utils import checks


class LiveMetric(NamedTuple):
    """A metric that a rule can use.

    Attributes:
        value: Reads it from metrics; NaN while it is unknown.
        known: Number of values that it is computed from.
    """

    value: Callable[[Metrics], float]
    known: Callable[[Metrics], float]


def _error_rate(metrics: Metrics) -> float:
    outcomes = metrics.reliability
    return outcomes.failed / outcomes.total_requests if outcomes.total_requests else float("nan")


def _outcomes(metrics: Metrics) -> float:
    return metrics.reliability.total_requests


def _values_of(column: str) -> Callable[[Metrics], float]:
    return lambda metrics: metrics.moments(column)[0]


def _events(metrics: Metrics) -> float:
    return metrics.events


_latencies, _costs = _values_of("latency_ms"), _values_of("cost_usd")

METRICS: dict[str, LiveMetric] = {
    "error_rate": LiveMetric(_error_rate, _outcomes),
    "success_rate": LiveMetric(lambda metrics: metrics.reliability.success_rate, _outcomes),
    "mean_latency_ms": LiveMetric(lambda metrics: metrics.latency.mean, _latencies),
    "max_latency_ms": LiveMetric(lambda metrics: metrics.latency.max, _latencies),
    "p50_latency_ms": LiveMetric(lambda metrics: metrics.latency.p50, _latencies),
    "p90_latency_ms": LiveMetric(lambda metrics: metrics.latency.p90, _latencies),
    "p95_latency_ms": LiveMetric(lambda metrics: metrics.latency.p95, _latencies),
    "p99_latency_ms": LiveMetric(lambda metrics: metrics.latency.p99, _latencies),
    "total_cost_usd": LiveMetric(lambda metrics: metrics.cost.total, _costs),
    "mean_cost_usd": LiveMetric(lambda metrics: metrics.cost.mean, _costs),
    "cost_per_hour": LiveMetric(lambda metrics: metrics.summary.cost_per_hour, _costs),
    "total_tokens": LiveMetric(lambda metrics: metrics.tokens.total, _values_of("total_tokens")),
    "event_count": LiveMetric(_events, _events),
    "failure_count": LiveMetric(lambda metrics: metrics.reliability.failed, _outcomes),
    "events_per_second": LiveMetric(lambda metrics: metrics.summary.events_per_second, _events),
}
"""Metrics that a rule can use."""

_TOTALS = frozenset({"total", "count", "min", "max", "first", "last"})  # of one value or more
_NUMBER = r"[-+]?[\d_.]+(?:[eE][-+]?\d+)?"
_NAME = r"[^\W\d][^\s<>=()]*"
_METRIC = rf"(?P<metric>share\(.+\)|{_NAME})"
_BY = r"(?:\s+by\s+(?P<by>\S+))?"
_LIMIT = re.compile(
    rf"\s*{_METRIC}\s*(?P<sign>>=|<=|>|<)\s*(?P<number>{_NUMBER})\s*(?P<percent>%?)\s*"
    r"(?:over\s+(?P<over>.+?)\s*)?(?:\bby\s+(?P<by>\S+)\s*)?",
    re.DOTALL,
)
_PATIENCE = re.compile(
    rf"\s*(?P<metric>{_NAME})\s+not\s+better(?:\s+by\s+(?P<margin>{_NUMBER}))?\s+for\s+(?P<number>\d+)\s+events?"
    rf"{_BY}\s*"
)
_FINITE = re.compile(rf"\s*(?P<metric>{_NAME})\s+is\s+not\s+finite{_BY}\s*")
_EVENTS = re.compile(r"(?P<number>\d+)\s+events?")
_MIN_EVENTS = 10
_MOST_EVENTS = 100_000
_SENTENCE = (
    "a sentence such as 'error_rate > 0.1 over 5min': a metric, one of > >= < <=, a number, then 'over' a window "
    "(5min, '1h and 5min' or '20 events') and 'by' a column; or 'min_val_loss not better for 3 events', "
    "'loss is not finite'"
)
_FORMS = (
    "a metric such as error_rate, p95_latency_ms, mean_, total_, min_, max_, first_ or last_ and a column, a column "
    "for its mean, share(<condition>), <a>_per_<b>, events_per_second or burn_rate"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on the metrics of a window that ends now.

    Attributes:
        text: The rule as written.
        metric: Name of the metric; of "is not finite" the column.
        sign: A comparison, "not better" or "is not finite".
        limit: The limit; of "not better" the number of values.
        window: Length of the window in nanoseconds; None for all events so far.
        min_events: Minimum number of values of the metric (known outcomes, latencies, ...): 10 for rates, means and
            quantiles, 1 for counts, totals and single values, all of a window of events, 0 for a rule that detects too
            few events in a window.
        second: Length of a second window in nanoseconds, in which the rule has to hold as well; None without one.
        events: Length of the window in known values; None for a window of time or all events.
        by: Column whose groups are checked one by one; None for all events.
        margin: Of "not better": difference above which a value is better.
        condition, target: Of a burn rate: the condition of good events, and the share of them that is aimed at.

    Examples:
        >>> from crucible_nb.pipeline.rules import Rule
        >>> rule = Rule.parse("error_rate > 0.1 over 5min")
        >>> rule.metric, rule.limit, rule.window // 10**9
        ('error_rate', 0.1, 300)
        >>> rule.min_events, Rule.parse("event_count < 1 over 5min").min_events, Rule.parse("error_rate > 5%").limit
        (10, 0, 0.05)
        >>> rule = Rule.parse("p95_ttft_ms > 500 over 1h and 5min by service")
        >>> [window // 10**9 for window in rule.windows], rule.by
        ([3600, 300], 'service')
    """

    text: str
    metric: str
    sign: str
    limit: float
    window: int | None
    min_events: int
    second: int | None = None
    events: int | None = None
    by: str | None = None
    margin: float = 0.0
    condition: str | None = None
    target: float = float("nan")

    @classmethod
    def parse(cls, text: str, min_events: int | None = None, goals: Sequence[tuple[str, float]] = ()) -> Rule:
        """Parse the sentence of a rule.

        Args:
            text: The sentence.
            min_events: As the attribute; None for the default.
            goals: Condition and target of each objective, of which the newest defines burn_rate.

        Raises:
            ConfigError: The text is no rule; the limit of a share is not in [0, 1]; "%" is used for another metric.
        """
        checks.text("rule", text)
        if found := _FINITE.fullmatch(text):
            return cls(text.strip(), found["metric"], "is not finite", 0.0, None, 1, by=found["by"])
        if found := _PATIENCE.fullmatch(text):
            return _patience(text, found)
        found = _LIMIT.fullmatch(text)
        if found is None:
            raise checks.wrong("rule", text, _SENTENCE)
        return _limited(text, found, min_events, goals)

    @classmethod
    def of(cls, cells: Sequence[Any]) -> Rule:
        """Rebuild a rule from `cells`; ConfigError, TypeError or ValueError if they are invalid."""
        text, metric, sign, limit, window, min_events, *more = cells
        rest = checks.mapping("rest", more[0]) if more else {}
        rule = cls(
            text=checks.text("text", text),
            metric=checks.text("metric", metric),
            sign=checks.one_of("sign", sign, (*SIGNS, "not better", "is not finite")),
            limit=float(limit),
            window=checks.whole("window", window, ge=1, optional=True),
            min_events=checks.whole("min_events", min_events),
            second=checks.whole("second", rest.get("second"), ge=1, optional=True),
            events=checks.whole("events", rest.get("events"), ge=1, optional=True),
            by=checks.text("by", rest.get("by"), optional=True),
            margin=float(rest.get("margin", 0.0)),
            condition=checks.text("condition", rest.get("condition"), optional=True),
            target=float(rest.get("target", "nan")),
        )
        rule.terms  # noqa: B018  raises if it is no metric
        return rule

    def cells(self) -> list[Any]:
        """Return the rule as plain data; release 0.1 reads those without the last cell."""
        first = [self.text, self.metric, self.sign, self.limit, self.window, self.min_events]
        rest = {name: getattr(self, name) for name in ("second", "events", "by", "margin", "condition")}
        rest = {name: value for name, value in rest.items() if value}
        if self.condition is not None:
            rest["target"] = self.target
        return [*first, rest] if rest or self.metric not in METRICS else first

    @property
    def windows(self) -> tuple[int, ...]:
        """Lengths of the windows of time, in nanoseconds."""
        return tuple(window for window in (self.window, self.second) if window is not None)

    @property
    def is_windowed(self) -> bool:
        """Whether old events are forgotten."""
        return self.window is not None or self.events is not None

    @property
    def is_plain(self) -> bool:
        """Whether the live metrics have its value: a metric of all events, over one window of time or all events."""
        return self.metric in METRICS and not (self.by or self.second or self.events) and self.sign in SIGNS

    @property
    def terms(self) -> Terms:
        """Terms of the metric of the rule."""
        if self.condition is not None:
            return Terms.burn_rate(self.condition, self.target)
        return _terms(self.metric)

    @property
    def columns(self) -> list[str]:
        """Columns that the rule is computed from; the event without any."""
        terms = self.terms
        start = "latency_ms" if terms.per is not None else None
        names = [terms.column, terms.per_column, self.by, start, *_columns_of(terms.condition)]
        return list(dict.fromkeys(name for name in names if name and name != "time")) or ["event"]

    def value(self, metrics: Metrics) -> float:
        """Return the metric now; NaN while it is unknown or there are too few values of it.

        A rule that detects too few events is unknown until the window has passed once, and if it was partly paused.
        """
        summary, live = metrics.summary, METRICS[self.metric]
        if live.known(metrics) < self.min_events or (not self.min_events and summary.active_seconds < summary.seconds):
            return float("nan")
        return live.value(metrics)

    def reason(self, value: float, group: str | None = None) -> str:
        """Return the sentence of an alert: the rule, and the value that meets it."""
        shown = f"{100 * value:,.4g}%" if "%" in self.text and self.terms.is_share else f"{value:,.4g}"
        return f"{self.text}: it is {shown}" + (f" for {group}" if group is not None else "")

    def holds(self, value: float) -> bool:
        """Return whether the condition is met; False for an unknown value."""
        return bool(SIGNS[self.sign](value, self.limit))


def counts_costs(metric: str) -> bool:
    """Return whether the metric of a rule lacks the events whose model has no price."""
    return metric != "burn_rate" and _terms(metric).counts_costs


def _columns_of(condition: str | None) -> tuple[str, ...]:
    return () if condition is None else parse_condition(condition, "rule").columns


@lru_cache(maxsize=256)
def _terms(metric: str) -> Terms:
    return Terms.of(metric)


def _patience(text: str, found: re.Match[str]) -> Rule:
    metric, number = found["metric"], int(found["number"])
    terms = _metric_of(text, metric)
    if terms.statistic not in ("min", "max"):
        said = f"min_ or max_ and a column before 'not better', such as 'min_{metric} not better for 3 events'"
        raise checks.wrong("rule", text, said)
    margin = 0.0 if found["margin"] is None else _number(text, found["margin"])
    if number < 1 or margin < 0:
        raise checks.wrong("rule", text, "1 event or more, and a difference of 0 or more")
    return Rule(text.strip(), metric, "not better", float(number), None, 1, by=found["by"], margin=margin)


def _limited(text: str, found: re.Match[str], min_events: int | None, goals: Sequence[tuple[str, float]]) -> Rule:
    metric, sign = found["metric"], found["sign"]
    condition, target = None, float("nan")
    if metric == "burn_rate":
        if not goals:
            raise checks.wrong(
                "rule", text, "an objective first: exp.slo('latency_ms < 2000 and success', target=0.95)"
            )
        condition, target = goals[-1]
    terms = Terms.burn_rate(condition, target) if condition is not None else _metric_of(text, metric)
    limit = _limit(text, metric, terms, found["number"], found["percent"])
    windows, events = _windows(text, found["over"])
    if terms.statistic in ("first", "last") and (windows or events):
        raise checks.wrong("rule", text, f"no window, as {metric} is a single value")
    if events and terms.per is not None:
        raise checks.wrong("rule", text, f"a window of time, as {metric} is a rate per time")
    counts_all = terms.statistic == "count" and terms.column is None and terms.condition is None
    detects_silence = counts_all and sign in ("<", "<=") and bool(windows)
    single = (terms.statistic in _TOTALS and terms.per is None) or metric in ("total_tokens", "failure_count")
    default = events or (0 if detects_silence else 1 if single else _MIN_EVENTS)
    window, second = (*windows, None, None)[:2]
    return Rule(
        text=text.strip(),
        metric=metric,
        sign=sign,
        limit=limit,
        window=window,
        min_events=default if min_events is None else min_events,
        second=second,
        events=events,
        by=found["by"],
        condition=condition,
        target=target,
    )


def _windows(text: str, over: str | None) -> tuple[tuple[int, ...], int | None]:
    """Return the windows of time in nanoseconds, or the length of a window of events."""
    if over is None:
        return (), None
    if events := _EVENTS.fullmatch(over):
        number = int(events["number"])
        if not 1 <= number <= _MOST_EVENTS:
            raise checks.wrong("rule", text, f"a window of 1 to {_MOST_EVENTS:,} events")
        return (), number
    windows = tuple(checks.duration("rule window", part) for part in re.split(r"\s+and\s+", over))
    if len(windows) > 2:
        raise checks.wrong("rule", text, "one window or two")
    return windows, None


def _metric_of(text: str, metric: str) -> Terms:
    try:
        terms = _terms(metric)
    except CrucibleError as error:
        raise ConfigError(f"rule={text!r}: {error}") from None
    near = checks.suggestion(metric, METRICS, cutoff=_NEAR)
    if near and terms.statistic == "mean" and terms.column == metric:
        said = f"{_FORMS}; a column of this name is meant by mean_{metric}{near}"
        raise checks.wrong("rule metric", metric, said)
    return terms


_NEAR = 0.85  # likeness from which a column has the name of a metric with a slip


def _number(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise ConfigError(f"rule={text!r}: {number!r} is not a number") from None


def _limit(text: str, metric: str, terms: Terms, number: str, percent: str) -> float:
    limit = _number(text, number)
    if percent:
        limit = float(Decimal(number).scaleb(-2))  # 99.9% is 0.999; 99.9 / 100 is not
    if terms.is_share:
        if not 0 <= limit <= 1:
            raise checks.wrong("rule", text, f"a share from 0 to 1 or from 0% to 100%, as {metric} is one")
    elif percent:
        raise checks.wrong("rule", text, f"a number without %, as {metric} is no share")
    return limit
