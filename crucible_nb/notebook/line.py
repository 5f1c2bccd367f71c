"""The dashboard where there are no widgets: one line of text."""

from __future__ import annotations

from typing import Any

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook import static_page


class StatusLine:
    """The result of `exp.dashboard()` in a terminal and with CRUCIBLE_UI=off; its repr is always up to date.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     print(StatusLine([exp]))
        'demo', running, 0 events
    """

    def __init__(self, experiments: Any, severity: str = "low") -> None:
        self.experiments: tuple[Experiment, ...] = tuple(experiments)
        self.severity = severity

    def close(self) -> None:
        """Do nothing; a `Dashboard` has this method."""

    def figure(self, theme: str | None = None) -> Any:
        """Draw the charts of a dashboard as one plain plotly figure; see `Dashboard.figure`.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("nothing yet") as exp:
            ...     pass
            >>> StatusLine([exp]).figure().layout.annotations[0].text
            'no events yet'
        """
        from crucible_nb.notebook.figures.panels import panels  # noqa: PLC0415  imports plotly

        return panels(self.experiments, None, (), theme)

    def __repr__(self) -> str:
        return static_page.line(self.experiments, self.severity)
