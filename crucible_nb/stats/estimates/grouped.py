"""`Estimates`: the interval of a metric in each group of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.stats.estimates.notes import Said, joined_notes, listed
from crucible_nb.stats.printing import latex_table, markdown_table, text_table
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.groups import groups_of
from crucible_nb.utils import checks, html
from crucible_nb.utils.text import brief


class Estimates(Mapping[str, Any]):
    """The estimates of a metric by group: a mapping from group to its `Estimate`.

    Attributes:
        metric: Name of the metric.
        by: Column of the groups.
        group_values: Group -> value of the column, a number if it holds numbers; with the groups that are too small.
        too_small: Group that has no estimate -> reason.
        missing: Number of rows without a group.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> rows = pd.DataFrame({"device": ["a", "a", "a", "b"], "latency_ms": [1.0, 2.0, 3.0, 4.0]})
        >>> result = cr.confidence_interval(rows, metric="latency_ms", by="device")
        >>> result["a"].estimate, result.too_small
        (2.0, {'b': 'latency_ms: expected at least 2 rows with a value, got 1'})
    """

    def __init__(
        self, metric: str, by: str, groups: Mapping[str, Any], *, values: Mapping[str, Any],
        too_small: Mapping[str, str], missing: int = 0,
    ) -> None:  # fmt: skip
        self.metric, self.by, self._groups, self.missing = metric, by, dict(groups), missing
        self.group_values, self.too_small = dict(values), dict(too_small)

    def __getitem__(self, group: str) -> Any:
        return self._groups[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> rows = pd.DataFrame({"device": ["a", "a"], "latency_ms": [1.0, 2.0]})
            >>> cr.confidence_interval(rows, metric="latency_ms", by="device").to_dict()["groups"]["a"]["n"]
            2
        """
        groups = {group: estimate.to_dict() for group, estimate in self.items()}
        return {"metric": self.metric, "by": self.by, "groups": groups, "too_small": self.too_small,
                "missing": self.missing}  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row per group, in order; groups that are too small have NaN.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> rows = pd.DataFrame({"level": [4, 4, 1, 1, 16], "latency_ms": [1.0, 2.0, 3.0, 4.0, 5.0]})
            >>> cr.confidence_interval(rows, metric="latency_ms", by="level").to_frame().estimate.to_dict()
            {1: 3.5, 4: 1.5, 16: nan}
        """
        frames: list[pd.DataFrame] = [estimate.to_frame() for estimate in self.values()]
        found = pd.concat(frames, ignore_index=True)
        index = pd.Index([self.group_values[group] for group in self], name=self.by)
        whole = pd.Index(list(self.group_values.values()), name=self.by)
        return found.set_index(index).reindex(whole) if len(self) < len(whole) else found.set_index(index)

    def __repr__(self) -> str:
        notes = [f"- {note}" for note in self._notes()]
        return "\n".join([f"Estimates of {self._title()}", *text_table(self._rows(), self._header()), *notes])

    def _repr_html_(self) -> str:
        return html.view(html.table(self._rows(), self._header(), self._title()) + html.points(self._notes()))

    def to_markdown(self) -> str:
        """A Markdown table.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> rows = pd.DataFrame({"device": ["a", "a"], "latency_ms": [1.0, 2.0]})
            >>> cr.confidence_interval(rows, metric="latency_ms", by="device").to_markdown()[:21]
            '| device | latency_ms'
        """
        return markdown_table(self._rows(), self._header())

    def to_latex(self) -> str:
        r"""A LaTeX tabular with the rules of booktabs.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> rows = pd.DataFrame({"device": ["a", "a"], "latency_ms": [1.0, 2.0]})
            >>> "latency\\_ms (SE)" in cr.confidence_interval(rows, metric="latency_ms", by="device").to_latex()
            True
        """
        return latex_table(self._rows(), self._header(), self._notes())

    def _title(self) -> str:
        return f"{brief(self.metric, 60)} by {brief(self.by)}"

    def _header(self) -> list[str]:
        level = next((f"{100 * estimate.confidence:.5g}% " for estimate in self.values()), "")
        return [brief(self.by, 40), f"{brief(self.metric, 60)} (SE)", f"{level}interval", "n"]

    def _rows(self) -> list[list[str]]:
        rows = []
        for group in self.group_values:
            estimate = self._groups.get(group)
            if estimate is None:
                rows.append([brief(group, 40), "too small", "", ""])
                continue
            value = number(estimate.estimate)
            error = "" if math.isnan(estimate.standard_error) else f" ({number(estimate.standard_error)})"
            rows.append([brief(group, 40), value + error, limits_text(estimate.confidence_interval), f"{estimate.n:,}"])
        return rows

    def _notes(self) -> list[str]:
        rows = [f"{self.missing:,} rows without {self.by} are in no group"] if self.missing else []
        reasons: dict[str, list[str]] = {}
        for group, reason in self.too_small.items():
            reasons.setdefault(reason, []).append(group)
        small = [f"{listed(n)} {'is' if len(n) == 1 else 'are'} too small: {why}" for why, n in reasons.items()]
        said = [
            Said(text, "", group)
            for group, estimate in self.items()
            for text in (*estimate.assumptions[:1], *(f"warning: {text}" for text in estimate.warnings))
        ]
        return [*rows, *small, *joined_notes(said, (), [list(self)])]


def limits_text(interval: Interval) -> str:
    """Format the limits of an interval; "" if there is none.

    Examples:
        >>> limits_text(Interval(0.5, float("inf")))
        '0.5 to no limit'
    """
    low, high = interval
    return "" if math.isnan(low) and math.isnan(high) else f"{number(low)} to {number(high)}"


def estimate_groups(estimate: Callable[[pd.DataFrame], Any], data: Any, metric: str, by: str) -> Estimates:
    """Estimate a metric in each group, as if the group were alone.

    Args:
        estimate: Function from the rows of a group to its `Estimate`.
        data: DataFrame with the column.
        metric: Name of the metric.
        by: Column of the groups.

    Raises:
        SchemaError: No such column.
        StatError: Data without columns, no row with a group, or more than 200 groups.
    """
    if not isinstance(data, pd.DataFrame):
        raise checks.wrong("by", by, "None for data without columns", StatError)
    groups, missing = groups_of([data], by)
    found, too_small = {}, {}
    for group in groups:
        try:
            found[group.label] = estimate(data[group.rows[0]])
        except StatError as error:
            too_small[group.label] = str(error)
    if not found:
        raise StatError(f"by={by!r}: no group can be estimated: {next(iter(too_small.values()))}")
    values = {group.label: group.value for group in groups}
    return Estimates(metric, by, found, values=values, too_small=too_small, missing=missing)
