"""Choices of the users of a dashboard: window, span, axis, columns, groups."""

from __future__ import annotations

from collections.abc import Sequence

from crucible_nb.experiment.experiment import Experiment, groupings_of
from crucible_nb.notebook import wire
from crucible_nb.notebook.page_state import PageState
from crucible_nb.notebook.page_tables import rows_of_span

Span = list[tuple[int, int]]


def common_groupings(experiments: Sequence[Experiment]) -> list[str]:
    """Return the columns whose groups each of several experiments counts live.

    Examples:
        >>> import crucible_nb as cr
        >>> common_groupings([cr.start("a", by=["tool"]), cr.start("b")])
        ['event', 'model']
    """
    first, *others = (groupings_of(experiment) for experiment in experiments)
    return [name for name in first if all(name in other for other in others)]


class Choices:
    """The choices of a page, shared by its views, and what follows from them.

    Args:
        states: The state of each experiment.

    Attributes:
        window: Name of the chosen window, a key of `wire.WINDOWS`.
        span: Start and end of each arm in UTC nanoseconds, that cards and tables show in place of the window; or None.
        by: Column to break down by, "" for none.
        picked: Columns to draw; None draws the first ones until the user picks.
        tables_of_span: Tables of the span, computed once.
    """

    def __init__(self, states: Sequence[PageState]) -> None:
        self._states = states
        self.window = "5min"
        self.span: Span | None = None
        self.by = ""
        self.picked: list[str] | None = None
        self.tables_of_span: list[wire.ArmTables] = []
        self._axis: str | None = None

    def apply(self, message: wire.BrowserMessage) -> None:
        """Take over the choices in a message from a browser."""
        if "window" in message:
            self.window, self.span = message["window"], None
        if "columns" in message:
            self.picked = message["columns"]
        if "axis" in message:
            self._axis = message["axis"]
        if "by" in message:
            self.break_down(message["by"])
        if "span" in message:
            self._select(message["span"])

    def break_down(self, by: str) -> None:
        """Show the groups of a column, "" for none; columns whose groups are not counted live are ignored."""
        if by in ("", *self.groupings):
            self.by = by
            names: list[str] = []
            for state in self._states:
                state.break_down(by, names)

    def _select(self, span: list[list[float]]) -> None:
        if not span:
            self.span = None
        elif len(span) == len(self._states):
            self.span = [(int(1e6 * start), int(1e6 * stop)) for start, stop in span]
            self.tables_of_span = [
                rows_of_span(state.experiment, start, stop)
                for state, (start, stop) in zip(self._states, self.span, strict=True)
            ]

    @property
    def of_cards(self) -> object:
        """Key of the time span that the cards show: the window, and the chosen span or None."""
        return (self.window, None if self.span is None else tuple(self.span))

    @property
    def drawn(self) -> tuple[object, ...]:
        """Columns, groups and axis that are drawn; the browser needs them to read a tick."""
        return tuple(self.columns_to_draw), tuple(self.groups), self.axis

    @property
    def columns(self) -> list[str]:
        """Numeric columns that can be drawn."""
        return list(dict.fromkeys(name for state in self._states for name in state.columns))

    @property
    def columns_to_draw(self) -> list[str]:
        """Columns that are drawn."""
        if self.picked is None:
            return list(dict.fromkeys(name for state in self._states for name in state.default_columns))
        available = self.columns
        return [name for name in self.picked if name in available]

    @property
    def has_steps(self) -> bool:
        """Whether the axis can be the step."""
        return any("step" in state.columns for state in self._states)

    @property
    def axis(self) -> str:
        """Name of the horizontal axis; trainings begin with their steps, several arms with the time since the start."""
        if self._axis is not None and (self._axis != "step" or self.has_steps):
            return self._axis
        if all(state.is_training for state in self._states):
            return "step"
        return "time" if len(self._states) == 1 else "elapsed"

    @property
    def groupings(self) -> list[str]:
        """Columns to break down by: those whose groups are counted live, in every arm."""
        return common_groupings([state.experiment for state in self._states])

    @property
    def groups(self) -> list[str]:
        """Names of the groups with lines, while the axis is time."""
        groups = self._states[0].groups
        return [] if groups is None or self.axis == "step" else list(groups.names)
