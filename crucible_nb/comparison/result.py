"""Results of `cr.compare`: one per metric, and the table of all metrics of two arms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.printing import latex_table, markdown_table, text_table
from crucible_nb.stats.results import UNKNOWN, Interval, Result, number, percent_text
from crucible_nb.utils import html
from crucible_nb.utils.pictures import interval_picture
from crucible_nb.utils.text import brief


@dataclass(frozen=True, repr=False)
class MetricComparison(Result):
    """The comparison of one metric of two arms.

    Attributes:
        metric: Metric that was compared.
        verdict: Verdict on the treatment: "better", "worse", "equivalent" (within the margin), "not worse" (if worse,
            then by less than the margin), "different" (direction unknown), "leaning" (only asymptotic evidence) or
            "inconclusive".
        control, treatment: The metric of each arm, in the unit of the column.
        estimate: Difference treatment - control.
        confidence_interval: (low, high) of the difference, not corrected for several metrics.
        confidence: Coverage of the interval; for a confidence sequence, at all looks together.
        pvalue: P-value, corrected over the metrics.
        raw_pvalue: P-value before the correction.
        test: Name of the test.
        why: Reason for the verdict.
        design: Reason for the test.
        effect, effect_size: Name and value of the effect size, without a unit.
        n: Number of values used, (n_control, n_treatment).
        direction: Direction that is better, "up" or "down"; None if unknown.
        margin: Smallest difference that matters, in the unit of the metric; None without a margin.
        correction: Method of the correction and number of tests; None for a single metric.
        planned: Whether the metric is in the plan; None without a plan.
        next_sample: Further items needed, if the verdict is "inconclusive".
        assumptions: Assumptions, and the results of the checks made.
        method: One sentence for a paper.
        relative_change: (treatment - control) / |control|; 0.1 is 10% more. NaN for a confidence sequence.
        relative_interval: (low, high) of the relative change at `confidence`, from the log ratio; from Fieller's
            theorem if values are negative or an estimate is 0. An open side is infinite: the control may be 0.
        estimand: Name of what is compared: the metric of the events, or its mean over items, runs or time blocks.
        control_over_events, treatment_over_events: The metric of the events of each arm, if `estimand` is another mean;
            otherwise NaN.
        exclusions: Values that were left out, with the reason.
        warnings: Reasons to doubt the result.
        standard_error: Standard error of the difference, in the unit of the metric. NaN for quantiles, whose interval
            comes from order statistics, for confidence sequences, and without a test.
        correlation: Correlation of the values of paired items (of repeated ones, of their means); NaN without pairs,
            for quantiles and for ratios.
        role: Role in the plan: "primary", "secondary" or "guardrail"; None if the metric is not in a plan.

    Examples:
        >>> import crucible_nb as cr
        >>> latency = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])["latency_ms"]
        >>> latency.verdict, latency.estimate, latency.why
        ('worse', 10.0, 'the treatment is higher, and lower is better')
    """

    metric: str
    verdict: str
    control: float
    treatment: float
    estimate: float
    confidence_interval: Interval
    confidence: float
    pvalue: float
    raw_pvalue: float
    test: str
    why: str
    design: str
    effect: str
    effect_size: float
    n: tuple[int, int]
    direction: str | None
    margin: float | None
    correction: str | None
    planned: bool | None
    next_sample: str | None
    assumptions: tuple[str, ...]
    method: str
    relative_change: float = math.nan
    relative_interval: Interval = UNKNOWN
    estimand: str = ""
    control_over_events: float = math.nan
    treatment_over_events: float = math.nan
    exclusions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    standard_error: float = math.nan
    correlation: float = math.nan
    role: str | None = None


class Comparison(Mapping[str, MetricComparison]):
    """The comparison of two arms: a mapping from metric to its `MetricComparison`, in the order of the metrics.

    Attributes:
        control, treatment: Names of the arms.
        design: Sentences on the design that was read from the rows.
        plan: The plan as text; None without a plan.
        looked: Sentences on deviations from the plan.
        warnings: Reasons to doubt the design or a metric.
        design_warnings: Those of the design.
        exclusions: Values that were left out, with the reason.
        decision: Decision of the plan, a sentence that begins with "ship:", "do not ship:" or "go on:"; None without a
            plan.

    Examples:
        >>> import crucible_nb as cr
        >>> result = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
        >>> list(result), result.control
        (['latency_ms'], 'control')
    """

    warnings: tuple[str, ...] = ()  # pickles of release 0.1 have none
    design_warnings: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    decision: str | None = None

    def __init__(
        self, control: str, treatment: str, metrics: Mapping[str, MetricComparison], design: tuple[str, ...],
        plan: str | None = None, looked: tuple[str, ...] = (), warnings: tuple[str, ...] = (),
        decision: str | None = None,
    ) -> None:  # fmt: skip
        self.control, self.treatment, self.design, self.plan, self.looked = control, treatment, design, plan, looked
        self._metrics, self.decision, self.design_warnings = dict(metrics), decision, warnings
        self.warnings = (*warnings, *_collect({name: metric.warnings for name, metric in metrics.items()}))
        self.exclusions = _collect({name: metric.exclusions for name, metric in metrics.items()})

    def __getitem__(self, metric: str) -> MetricComparison:
        return self._metrics[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    @property
    def summary(self) -> str:
        """All verdicts in one sentence.

        Examples:
            >>> import crucible_nb as cr
            >>> result = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> result.summary
            'treatment against control: worse on latency_ms'
        """
        by_verdict: dict[str, list[str]] = {}
        for metric, comparison in self.items():
            by_verdict.setdefault(comparison.verdict, []).append(brief(metric))
        verdicts = "; ".join(f"{verdict} on {', '.join(metrics)}" for verdict, metrics in by_verdict.items())
        return f"{brief(self.treatment)} against {brief(self.control)}: {verdicts}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data.

        Examples:
            >>> import crucible_nb as cr
            >>> result = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> result.to_dict()["metrics"]["latency_ms"]["verdict"]
            'worse'
        """
        return {
            "control": self.control, "treatment": self.treatment, "design": list(self.design), "plan": self.plan,
            "looked": list(self.looked), "decision": self.decision,
            "warnings": list(self.warnings), "exclusions": list(self.exclusions),
            "metrics": {name: metric.to_dict() for name, metric in self.items()},
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row per metric.

        Examples:
            >>> import crucible_nb as cr
            >>> result = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> result.to_frame().verdict.to_dict()
            {'latency_ms': 'worse'}
        """
        return pd.concat([metric.to_frame() for metric in self.values()], ignore_index=True).set_index("metric")

    def __repr__(self) -> str:
        lines = text_table(cells(self), header(self))
        return "\n".join([f"Comparison: {self.summary}", *lines, *(f"- {note}" for note in notes(self))])

    def _repr_html_(self) -> str:
        return html.view(table_html(self))

    def to_markdown(self) -> str:
        """A Markdown table.

        Examples:
            >>> import crucible_nb as cr
            >>> result = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> result.to_markdown().splitlines()[0][:32]
            '| metric | verdict | control | t'
        """
        table, below = markdown_table(cells(self), header(self)), "\n".join(f"- {note}" for note in notes(self))
        return f"{table}\n\n{below}" if below else table

    def to_latex(self) -> str:
        """A LaTeX tabular with the rules of booktabs: differences with their standard errors; notes are rows below it.

        Examples:
            >>> import crucible_nb as cr
            >>> result = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> "worse" in result.to_latex()
            True
        """
        head, rows = header(self), cells(self)
        head = [head[0], "n", *head[2:4], "difference (SE)", *head[5:8], "verdict"]
        lines = [
            [row[0], _sizes(metric.n), *row[2:4], with_error(row[4], metric.standard_error), *row[5:8], row[1]]
            for row, metric in zip(rows, self.values(), strict=True)
        ]
        return latex_table(lines, head, notes(self))


def _collect(texts: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Sentences of all metrics: once if all have it, otherwise with the names of the metrics."""
    metrics: dict[str, list[str]] = {}
    for metric, sentences in texts.items():
        for sentence in dict.fromkeys(sentences):
            metrics.setdefault(sentence, []).append(metric)
    return tuple(
        sentence if len(names) == len(texts) > 1 else f"{', '.join(names)}: {sentence}"
        for sentence, names in metrics.items()
    )


def header(comparison: Comparison) -> list[str]:
    """Heads of the columns of `cells`."""
    metrics = list(comparison.values())
    arms = [brief(comparison.control, 40), brief(comparison.treatment, 40)]
    return ["metric", "verdict", *arms, "difference", f"{100 * metrics[0].confidence:.5g}% interval", "change",
            _p_header(metrics), "why"]  # fmt: skip


def _p_header(metrics: list[MetricComparison]) -> str:
    corrections = {metric.correction for metric in metrics}
    if len(corrections) > 1:
        return "p (corrected)"
    return "p" if metrics[0].correction is None else f"p ({metrics[0].correction})"


def cells(comparison: Comparison) -> list[list[str]]:
    """Texts of one row per metric."""
    return [
        [
            brief(metric.estimand, 60), metric.verdict, _value(metric.control, metric.control_over_events),
            _value(metric.treatment, metric.treatment_over_events), _known(metric.estimate),
            _interval(metric.confidence_interval), percent_text(metric.relative_change, metric.relative_interval),
            p_text(metric.pvalue) if metric.test else "not tested",
            metric.why + _role_text(metric),
        ]
        for metric in comparison.values()
    ]  # fmt: skip


def with_error(text: str, error: float) -> str:
    """Text of an estimate, followed by its standard error in parentheses.

    Examples:
        >>> with_error("0.056", 0.01786), with_error("12", math.nan)
        ('0.056 (0.01786)', '12')
    """
    return text if math.isnan(error) else f"{text} ({number(error)})"


def _sizes(n: tuple[int, int]) -> str:
    return f"{n[0]:,}" if n[0] == n[1] else f"{n[0]:,}, {n[1]:,}"


def _role_text(metric: MetricComparison) -> str:
    if metric.planned is False:
        return " (not planned)"
    return f" ({metric.role})" if metric.role in {"secondary", "guardrail"} else ""


def _value(value: float, over_events: float) -> str:
    return _known(value) + ("" if math.isnan(over_events) else f" (over events {number(over_events)})")


def _known(value: float) -> str:
    return "unknown" if math.isnan(value) else number(value)


def _interval(interval: Interval) -> str:
    low, high = interval
    return "none" if math.isnan(low) and math.isnan(high) else f"{number(low)} to {number(high)}"


def notes(comparison: Comparison, *, more: bool = True) -> list[str]:
    """Sentences below the table; with `more`, on further items needed."""
    plan = [text for text in (comparison.decision, comparison.plan) if text]
    warnings = [f"warning: {text}" for text in comparison.warnings]
    needed = [
        f"{brief(name)}: {metric.next_sample}" for name, metric in comparison.items() if metric.next_sample and more
    ]
    return [*comparison.design, *plan, *comparison.looked, *warnings, *comparison.exclusions, *needed]


def table_html(comparison: Comparison) -> str:
    """HTML table with a picture of each interval, followed by the notes on design, plan and further items."""
    pictures = [html.Raw(_picture(metric)) for metric in comparison.values()]
    rows = [[*row[:6], picture, *row[6:]] for row, picture in zip(cells(comparison), pictures, strict=True)]
    head = header(comparison)
    return html.table(rows, [*head[:6], "", *head[6:]], comparison.summary) + html.points(notes(comparison))


def _picture(metric: MetricComparison) -> str:
    low, high = metric.confidence_interval
    if math.isnan(low) or math.isnan(high):
        return ""
    title = f"difference {number(metric.estimate)}, interval {number(low)} to {number(high)}"
    return interval_picture(low, high, metric.estimate, title, metric.margin)
