"""An empty figure with words in the right places: title, labels at the ends of lines, a note where there is nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crucible_nb.notebook.figures.theme import Look, template_of

if TYPE_CHECKING:
    from plotly import graph_objects as go

_APART = 14  # pixels between two labels
_FRAME = 120  # pixels of a figure that are title and axis


def canvas(look: Look, title: str, said: str, *, height: int = 360, grid: dict[str, Any] | None = None) -> go.Figure:
    """A figure without traces; `title` and `said` are harmless already, `grid` makes subplots of it."""
    from plotly import graph_objects as go  # noqa: PLC0415  with the first figure
    from plotly.subplots import make_subplots  # noqa: PLC0415

    figure = go.Figure() if grid is None else make_subplots(**grid)
    subtitle = {"text": said, "font": {"size": 12}}
    figure.update_layout(template=template_of(look), title={"text": title, "subtitle": subtitle}, height=height)
    figure.update_annotations(font={"size": 12, "color": look.text})
    return figure


def empty(look: Look, title: str, said: str) -> go.Figure:
    """A figure that says why it shows nothing."""
    figure = canvas(look, title, "", height=240)
    figure.add_annotation(text=said, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 14})
    return figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False})


class Scale(NamedTuple):
    """The range of an axis, in its own units: powers of ten where it is logarithmic.

    Examples:
        >>> Scale.of([np.array([1.0, 1000.0])], log=True)
        Scale(low=-0.24, high=3.24, log=True)
        >>> Scale.of([], zero=True)
        Scale(low=0.0, high=1.0, log=False)
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def of(cls, series: Iterable[np.ndarray], *, log: bool = False, zero: bool = False) -> Scale:
        """A range with room for all values; `zero` has it begin there."""
        values = np.concatenate([np.empty(0), *series])
        values = values[np.isfinite(values) & ((values > 0) | (not log))]
        if not len(values):
            return cls(0.0, 1.0, log)
        low, high = float(values.min()), float(values.max())
        if log:
            low, high = math.log10(low), math.log10(high)
        begins = zero and low >= 0 and not log
        low = 0.0 if begins else low
        room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        return cls(low if begins else low - room, high + room, log)

    def with_room(self, share: float = 0.14) -> Scale:
        """The same with free space above, for marks."""
        return self._replace(high=self.high + share * (self.high - self.low))

    @property
    def top(self) -> float:
        """A value just below the upper end."""
        high = self.high - 0.09 * (self.high - self.low)
        return float(10**high) if self.log else high

    def at(self, value: float) -> float:
        """Where a value is, in the units of the axis."""
        return math.log10(value) if self.log else value

    @property
    def axis(self) -> dict[str, Any]:
        """What an axis is told."""
        logarithmic = {"type": "log", "dtick": 1} if self.log and self.high - self.low > 2 else {}
        return {"range": [self.low, self.high], "type": "log" if self.log else "linear", **logarithmic}


def is_skewed(values: np.ndarray) -> bool:
    """Whether values need a logarithmic axis: all above 0, the largest 20 times the median."""
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() > 20 * np.median(known))


def label_ends(figure: go.Figure, lines: Sequence[tuple[np.ndarray, str, str]], scale: Scale, place: int = 1) -> None:
    """Put the name of each line beside its last value, without one covering another.

    Args:
        lines: Values, name and colour of each; names are harmless already.
        scale: Of the vertical axis.
        place: Number of the subplot.
    """
    suffix = "" if place == 1 else str(place)
    domain = figure.layout[f"yaxis{suffix}"].domain or (0, 1)
    pixels = (figure.layout.height - _FRAME) * (domain[1] - domain[0]) / (scale.high - scale.low)
    ends = [(_drawn(values, scale), name, color) for values, name, color in lines]
    last = [(scale.at(float(known[-1])), name, color) for known, name, color in ends if len(known)]
    used = -math.inf
    for end, name, color in sorted(last):
        used = max(end * pixels, used + _APART)
        figure.add_annotation(
            text=name, x=1, xref=f"x{suffix} domain", xanchor="left", xshift=6, y=end, yref=f"y{suffix}",
            yshift=used - end * pixels, showarrow=False, font={"color": color, "size": 12}, align="left",
        )  # fmt: skip


def _drawn(values: np.ndarray, scale: Scale) -> np.ndarray:
    known: np.ndarray = values[np.isfinite(values) & ((values > 0) | (not scale.log))]
    return known


def dots(values: np.ndarray) -> str:
    """How a series is drawn: one that is no line yet needs a marker."""
    known = np.isfinite(values)
    alone = known & ~np.r_[False, known[:-1]] & ~np.r_[known[1:], False]
    return "lines+markers" if alone.any() else "lines"
