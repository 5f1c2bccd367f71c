"""`GroupedComparison`: the comparisons of two arms in each group, and whether the effect is the same in all groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from crucible_nb.comparison.result import Comparison, cells, header, notes
from crucible_nb.stats.estimates.notes import Said, joined_notes
from crucible_nb.stats.hypotests.interaction import InteractionTest
from crucible_nb.stats.printing import latex_table, markdown_table, text_table
from crucible_nb.utils import html
from crucible_nb.utils.text import brief, plain


class GroupedComparison(Mapping[str, Comparison]):
    """The comparisons of two arms by group: a mapping from group to its `Comparison`.

    P-values are corrected over all groups and metrics. A group that is too small is "inconclusive", with the reason.

    Attributes:
        by: Column of the groups.
        control, treatment: Names of the arms.
        interaction: Metric -> test whether its difference is the same in all groups.
        warnings: Reasons to doubt the groups.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> rows = pd.DataFrame({"device": ["phone"] * 6 + ["desk"] * 6, "latency_ms": [1.0, 2, 3, 4, 5, 6] * 2})
        >>> slow = rows.assign(latency_ms=rows.latency_ms + (rows.device == "phone") * 9)
        >>> result = cr.compare(rows, slow, metrics=["latency_ms"], by="device")
        >>> {group: comparison["latency_ms"].verdict for group, comparison in result.items()}
        {'desk': 'inconclusive', 'phone': 'worse'}
        >>> round(result.interaction["latency_ms"].pvalue, 5)
        1e-05
    """

    def __init__(
        self, by: str, groups: Mapping[str, Comparison], interaction: Mapping[str, InteractionTest],
        warnings: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.by, self._groups, self.interaction, self.warnings = by, dict(groups), dict(interaction), warnings
        first = next(iter(self._groups.values()))
        self.control, self.treatment = first.control, first.treatment

    def __getitem__(self, group: str) -> Comparison:
        return self._groups[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def summary(self) -> str:
        """The arms and the column of the groups in one line.

        Examples:
            >>> import crucible_nb as cr
            >>> import pandas as pd
            >>> rows = pd.DataFrame({"device": ["a"] * 6, "latency_ms": [1.0, 2, 3, 4, 5, 6]})
            >>> cr.compare(rows, rows, metrics=["latency_ms"], by="device").summary
            'treatment against control by device'
        """
        return f"{brief(self.treatment)} against {brief(self.control)} by {brief(self.by)}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data.

        Examples:
            >>> import crucible_nb as cr
            >>> import pandas as pd
            >>> rows = pd.DataFrame({"device": ["a"] * 6, "latency_ms": [1.0, 2, 3, 4, 5, 6]})
            >>> list(cr.compare(rows, rows, metrics=["latency_ms"], by="device").to_dict())
            ['by', 'groups', 'interaction', 'warnings']
        """
        return {
            "by": self.by, "groups": {group: comparison.to_dict() for group, comparison in self.items()},
            "interaction": {metric: test.to_dict() for metric, test in self.interaction.items()},
            "warnings": list(self.warnings),
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row per group and metric.

        Examples:
            >>> import crucible_nb as cr
            >>> import pandas as pd
            >>> rows = pd.DataFrame({"device": ["a"] * 6, "latency_ms": [1.0, 2, 3, 4, 5, 6]})
            >>> cr.compare(rows, rows, metrics=["latency_ms"], by="device").to_frame().estimate.to_dict()
            {('a', 'latency_ms'): 0.0}
        """
        return pd.concat({group: comparison.to_frame() for group, comparison in self.items()}, names=[self.by])

    def __repr__(self) -> str:
        lines = text_table(self._rows(), self._header())
        return "\n".join([f"Comparison: {self.summary}", *lines, *(f"- {note}" for note in self._notes())])

    def _repr_html_(self) -> str:
        return html.view(self.table_html())

    def table_html(self) -> str:
        """HTML table, followed by the notes.

        Examples:
            >>> import crucible_nb as cr
            >>> import pandas as pd
            >>> rows = pd.DataFrame({"device": ["<b>"] * 6, "latency_ms": [1.0, 2, 3, 4, 5, 6]})
            >>> "&lt;b&gt;" in cr.compare(rows, rows, metrics=["latency_ms"], by="device").table_html()
            True
        """
        return html.table(self._rows(), self._header(), self.summary) + html.points(self._notes())

    def to_markdown(self) -> str:
        """A Markdown table.

        Examples:
            >>> import crucible_nb as cr
            >>> import pandas as pd
            >>> rows = pd.DataFrame({"device": ["a"] * 6, "latency_ms": [1.0, 2, 3, 4, 5, 6]})
            >>> cr.compare(rows, rows, metrics=["latency_ms"], by="device").to_markdown()[:20]
            '| metric | device | '
        """
        below = "\n".join(f"- {note}" for note in self._notes())
        return f"{markdown_table(self._rows(), self._header())}\n\n{below}"

    def to_latex(self) -> str:
        r"""A LaTeX tabular with the rules of booktabs; notes are rows below it.

        Examples:
            >>> import crucible_nb as cr
            >>> import pandas as pd
            >>> rows = pd.DataFrame({"device_os": ["a"] * 6, "latency_ms": [1.0, 2, 3, 4, 5, 6]})
            >>> "device\\_os" in cr.compare(rows, rows, metrics=["latency_ms"], by="device_os").to_latex()
            True
        """
        return latex_table(self._rows(), self._header(), self._notes())

    def _header(self) -> list[str]:
        metric, *others = header(next(iter(self.values())))
        return [metric, brief(self.by, 40), *others]

    def _rows(self) -> list[list[str]]:
        """Rows of one metric below each other."""
        shown = {group: cells(comparison) for group, comparison in self.items()}
        return [
            [rows[at][0], brief(group, 40), *rows[at][1:]]
            for at in range(len(self.interaction))
            for group, rows in shown.items()
        ]

    def _notes(self) -> list[str]:
        tests = [note for test in self.interaction.values() for note in (test.method, *_warned(test))]
        said = [Said(note, "", group) for group, comparison in self.items() for note in notes(comparison, more=False)]
        warnings = [f"warning: {text}" for text in self.warnings]
        return [plain(note) for note in (*tests, *warnings, *joined_notes(said, (), [list(self)]))]


def _warned(test: InteractionTest) -> list[str]:
    """Warnings of a test that was made; the reason of one that was not is its sentence already."""
    return [f"warning: {text}" for text in test.warnings] if test.pvalue == test.pvalue else []
