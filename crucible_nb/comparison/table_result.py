"""`Table`: the estimates of many arms, groups or levels with their differences, as text, HTML, Markdown and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from crucible_nb.comparison.result import MetricComparison, with_error
from crucible_nb.stats.estimates.confidence import Estimate
from crucible_nb.stats.estimates.grouped import limits_text
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.printing import latex_table, markdown_table, text_table
from crucible_nb.stats.results import UNKNOWN, Interval, number
from crucible_nb.utils import html
from crucible_nb.utils.text import brief, plain

_WIDTH = 40


class PlainNumber(NamedTuple):
    """A number that has no standard error, such as the last accuracy or a number of events.

    Attributes:
        estimate: The number; NaN if it is not known.
        n: Number of known values.
    """

    estimate: float
    n: int
    standard_error: float = math.nan
    confidence_interval: Interval = UNKNOWN


class TableCell(NamedTuple):
    """One arm in one group, for one metric.

    Attributes:
        metric, group, arm: Names; the group is None without groups.
        estimate: The estimate with its interval, or a plain number; None if the arm is too small.
        differences: (name of the other arm, comparison with it) of each difference, this arm - the other one.
    """

    metric: str
    group: Any
    arm: str
    estimate: Estimate | PlainNumber | None
    differences: tuple[tuple[str, MetricComparison], ...] = ()


class Table:
    """A table of arms, groups or levels: estimates with standard errors and intervals, and differences; see `cr.table`.

    Attributes:
        notes: Sentences below the table: design, correction, interactions, warnings.

    Examples:
        >>> import crucible_nb as cr
        >>> table = cr.table({"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 4.0, 4.0, 6.0]}, metrics=["loss"], correction=None)
        >>> print(table)
        metric  arm  estimate (SE)  95% interval    n  difference from a (SE)  95% interval   p         verdict
        loss    a    2.5 (0.6455)   1.099 to 5.686  4
        loss    b    4 (0.8165)     2.089 to 7.659  4  1.5 (1.041)             -1.08 to 4.08  p = 0.20  inconclusive
    """

    def __init__(
        self, cells: Sequence[TableCell], *, by: str | None, confidence: float, correction: str | None,
        notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._cells, self._by, self._confidence = tuple(cells), by, confidence
        self._correction, self.notes = correction, tuple(map(plain, notes))
        others = {other for cell in cells for other, _ in cell.differences}
        self._control = next(iter(others)) if len(others) == 1 else None

    def to_frame(self) -> pd.DataFrame:
        """One row per metric, group, arm and other arm; an arm without a difference has one row, with NaN.

        Returns:
            DataFrame with metric, the column of groups (if any), arm, estimate, standard_error, low, high, n, against,
            difference, difference_error, difference_low, difference_high, pvalue (corrected), raw_pvalue, correlation
            (of the values of paired items) and verdict.

        Examples:
            >>> import crucible_nb as cr
            >>> frame = cr.table({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]}, metrics=["loss"]).to_frame()
            >>> frame[["arm", "estimate", "difference"]].values.tolist()
            [['a', 2.0, nan], ['b', 4.0, 2.0]]
        """
        return pd.DataFrame([
            self._row(cell, other, difference)
            for cell in self._cells
            for other, difference in cell.differences or ((None, None),)
        ])  # fmt: skip

    def _row(self, cell: TableCell, other: str | None, difference: MetricComparison | None) -> dict[str, Any]:
        estimate = cell.estimate
        low, high = UNKNOWN if estimate is None else estimate.confidence_interval
        names = {"metric": cell.metric} | ({} if self._by is None else {self._by: cell.group}) | {"arm": cell.arm}
        limits = UNKNOWN if difference is None else difference.confidence_interval
        return names | {
            "estimate": math.nan if estimate is None else estimate.estimate,
            "standard_error": math.nan if estimate is None else estimate.standard_error, "low": low, "high": high,
            "n": 0 if estimate is None else estimate.n, "against": other,
            "difference": math.nan if difference is None else difference.estimate,
            "difference_error": math.nan if difference is None else difference.standard_error,
            "difference_low": limits.low, "difference_high": limits.high,
            "pvalue": math.nan if difference is None else difference.pvalue,
            "raw_pvalue": math.nan if difference is None else difference.raw_pvalue,
            "correlation": math.nan if difference is None else difference.correlation,
            "verdict": None if difference is None else difference.verdict,
        }  # fmt: skip

    def __repr__(self) -> str:
        rows, header = self._texts()
        return "\n".join([*text_table(rows, header), *(f"- {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        rows, header = self._texts()
        return html.view(html.table(rows, header) + html.points(self.notes))

    def to_markdown(self) -> str:
        """A Markdown table, with the notes below it.

        Examples:
            >>> import crucible_nb as cr
            >>> print(cr.table({"a": [1.0, 2.0, 3.0]}, metrics=["loss"]).to_markdown())
            | metric | arm | estimate (SE) | 95% interval | n |
            |---|---|---|---|---|
            | loss | a | 2 (0.5774) | 0.5776 to 6.926 | 3 |
        """
        table, below = markdown_table(*self._texts()), "\n".join(f"- {note}" for note in self.notes)
        return f"{table}\n\n{below}" if below else table

    def to_latex(self) -> str:
        r"""A LaTeX tabular with the rules of booktabs; every text is escaped, the notes are rows below it.

        Examples:
            >>> import crucible_nb as cr
            >>> print(cr.table({"gpt_4": [1.0, 2.0, 3.0]}, metrics=["loss"]).to_latex().splitlines()[5])
            loss & gpt\_4 & 2 (0.5774) & 0.5776 to 6.926 & 3 \\
        """
        rows, header = self._texts()
        names = 2 if self._by is None else 3
        align = "l" * names + "r" * (len(header) - names)
        return latex_table(rows, header, self.notes, align)

    def _texts(self) -> tuple[list[list[str]], list[str]]:
        """Rows and header; a column that would be empty is left out."""
        several = any(cell.differences for cell in self._cells)
        correlated = any(not math.isnan(d.correlation) for cell in self._cells for _, d in cell.differences)
        level = f"{100 * self._confidence:.5g}% interval"
        header = [
            "metric",
            *([] if self._by is None else [brief(self._by, _WIDTH)]),
            "arm",
            "estimate (SE)",
            level,
            "n",
        ]
        if several:
            header += [] if self._control is not None else ["against"]
            from_what = "difference" if self._control is None else f"difference from {brief(self._control, _WIDTH)}"
            header += [f"{from_what} (SE)", level, "p" if self._correction is None else f"p ({self._correction})"]
            header += ["correlation"] if correlated else []
            header.append("verdict")
        rows = []
        for cell in self._cells:
            for at, (other, difference) in enumerate(cell.differences or (("", None),)):
                row = [*self._names(cell), *_estimate_texts(cell.estimate, repeated=at > 0)]
                if several:
                    row += [] if self._control is not None else [brief(other, _WIDTH)]
                    row += _difference_texts(difference, correlated=correlated)
                rows.append(row)
        return rows, header

    def _names(self, cell: TableCell) -> list[str]:
        group = [] if self._by is None else [brief(str(cell.group), _WIDTH)]
        return [brief(cell.metric, 60), *group, brief(cell.arm, _WIDTH)]


def _estimate_texts(estimate: Estimate | PlainNumber | None, *, repeated: bool) -> list[str]:
    if repeated:
        return ["", "", ""]
    if estimate is None:
        return ["unknown", "", ""]
    value = "unknown" if math.isnan(estimate.estimate) else number(estimate.estimate)
    value = with_error(value, estimate.standard_error)
    return [value, limits_text(estimate.confidence_interval), f"{estimate.n:,}"]


def _difference_texts(difference: MetricComparison | None, *, correlated: bool) -> list[str]:
    if difference is None:
        return [""] * (5 if correlated else 4)
    value = "unknown" if math.isnan(difference.estimate) else number(difference.estimate)
    row = [with_error(value, difference.standard_error), limits_text(difference.confidence_interval)]
    row.append(p_text(difference.pvalue) if difference.test else "not tested")
    if correlated:
        row.append("" if math.isnan(difference.correlation) else f"{difference.correlation:.2f}")
    return [*row, difference.verdict]
