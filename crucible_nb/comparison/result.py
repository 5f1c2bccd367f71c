"""What `cr.compare` answers: a verdict per metric, and all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.results import Interval, Result, number
from crucible_nb.utils import html
from crucible_nb.utils.pictures import interval_picture
from crucible_nb.utils.text import brief


@dataclass(frozen=True, repr=False)
class MetricComparison(Result):
    """One metric of two arms.

    Attributes:
        metric: What was compared.
        verdict: "better", "worse", "equivalent" (within the margin), "not worse" (if worse, then within the margin),
            "different" (no direction known), "leaning" (only asymptotic evidence) or "inconclusive"; of the treatment.
        control, treatment: Its value in each arm, in the unit of the column.
        estimate: treatment - control.
        confidence_interval: (low, high) of the difference, for this metric alone.
        confidence: Its coverage; of a sequence, at all looks together.
        pvalue: Corrected over the metrics.
        raw_pvalue: Before that.
        test: Its name.
        why: Why this verdict.
        design: Why this test.
        effect, effect_size: A difference without a unit.
        n: (n_control, n_treatment), values used.
        direction: Which way is better; None when nobody said.
        margin: What would matter, in the unit of the metric; None for none.
        correction: How p-values were corrected; None for a single metric.
        planned: Whether a plan named this metric; None without a plan.
        next_sample: What it would take to settle it, where it is not settled.
        assumptions: What was checked, left out, or is to be known.
        method: One sentence for a paper.

    Examples:
        >>> import crucible_nb as cr
        >>> one = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])["latency_ms"]
        >>> one.verdict, one.estimate, one.why
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


class Comparison(Mapping[str, MetricComparison]):
    """Two arms: metric name -> its comparison, in the order of the metrics.

    Attributes:
        control, treatment: Names of the arms.
        design: What was read off the rows, in sentences.
        plan: The plan that held, and whether this look was planned; None without a plan.
        looked: Sentences on looks that were not planned.

    Examples:
        >>> import crucible_nb as cr
        >>> found = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
        >>> list(found), found.control
        (['latency_ms'], 'control')
    """

    def __init__(
        self, control: str, treatment: str, metrics: Mapping[str, MetricComparison], design: tuple[str, ...],
        plan: str | None = None, looked: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.control, self.treatment, self.design, self.plan, self.looked = control, treatment, design, plan, looked
        self._metrics = dict(metrics)

    def __getitem__(self, metric: str) -> MetricComparison:
        return self._metrics[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    @property
    def summary(self) -> str:
        """All verdicts in a sentence.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> found.summary
            'treatment against control: worse on latency_ms'
        """
        words: dict[str, list[str]] = {}
        for metric, one in self.items():
            words.setdefault(one.verdict, []).append(brief(metric))
        said = "; ".join(f"{verdict} on {', '.join(metrics)}" for verdict, metrics in words.items())
        return f"{brief(self.treatment)} against {brief(self.control)}: {said}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> found.to_dict()["metrics"]["latency_ms"]["verdict"]
            'worse'
        """
        return {
            "control": self.control, "treatment": self.treatment, "design": list(self.design), "plan": self.plan,
            "looked": list(self.looked), "metrics": {metric: one.to_dict() for metric, one in self.items()},
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row a metric.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> found.to_frame().verdict.to_dict()
            {'latency_ms': 'worse'}
        """
        return pd.concat([one.to_frame() for one in self.values()], ignore_index=True).set_index("metric")

    def _table(self) -> list[list[str]]:
        return [
            [
                brief(metric, 40), one.verdict, number(one.control), number(one.treatment), number(one.estimate),
                f"{number(one.confidence_interval.low)} to {number(one.confidence_interval.high)}",
                p_text(one.pvalue), one.why + ("" if one.planned is not False else " (not planned)"),
            ]
            for metric, one in self.items()
        ]  # fmt: skip

    def _header(self) -> list[str]:
        first = next(iter(self.values()))
        arms = [brief(self.control, 40), brief(self.treatment, 40)]
        return ["metric", "verdict", *arms, "difference", f"{first.confidence:.0%} interval",
                "p" if first.correction is None else f"p ({first.correction})", "why"]  # fmt: skip

    def _notes(self) -> list[str]:
        said = [*self.design, *([self.plan] if self.plan else []), *self.looked]
        return [*said, *(f"{brief(metric)}: {one.next_sample}" for metric, one in self.items() if one.next_sample)]

    def __repr__(self) -> str:
        rows = [self._header(), *self._table()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
        lines = [
            "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
            for row in rows
        ]
        return "\n".join([f"Comparison: {self.summary}", *lines, *(f"- {note}" for note in self._notes())])

    def _inner_html(self) -> str:
        """The table with a picture of each interval after it; what it is about below."""
        drawn = [html.Raw(_drawn(one)) for one in self.values()]
        rows = [[*cells[:6], picture, *cells[6:]] for cells, picture in zip(self._table(), drawn, strict=True)]
        header = self._header()
        return html.table(rows, [*header[:6], "", *header[6:]], self.summary) + html.points(self._notes())

    def _repr_html_(self) -> str:
        return html.view(self._inner_html())

    def to_markdown(self) -> str:
        """A table for a README or an issue.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> found.to_markdown().splitlines()[0][:32]
            '| metric | verdict | control | t'
        """
        cells = [[cell.replace("|", "\\|") for cell in row] for row in [self._header(), *self._table()]]
        lines = [f"| {' | '.join(row)} |" for row in cells]
        return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])

    def to_latex(self) -> str:
        """A tabular for a paper.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], metrics=["latency_ms"])
            >>> "worse" in found.to_latex()
            True
        """
        return self.to_frame()[["verdict", "control", "treatment", "estimate", "pvalue"]].to_latex(float_format="%.4g")


def _drawn(one: MetricComparison) -> str:
    low, high = one.confidence_interval
    said = f"difference {number(one.estimate)}, interval {number(low)} to {number(high)}"
    return interval_picture(low, high, one.estimate, said, one.margin)
