"""Empty figures with titles, axis ranges, and labels at the ends of lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crucible_nb.notebook.figures.theme import Palette, template_of

if TYPE_CHECKING:
    from plotly import graph_objects as go

_LABEL_GAP = 14  # minimum pixels between two labels
_FRAME = 120  # pixels of a figure taken by title and axis


def canvas(
    palette: Palette, title: str, subtitle: str, *, height: int = 360, grid: dict[str, Any] | None = None
) -> go.Figure:
    """Build a figure without traces.

    Args:
        palette: Colours.
        title, subtitle: Texts, escaped.
        height: Height in pixels.
        grid: Arguments of plotly's `make_subplots`; None for a single plot.
    """
    from plotly import graph_objects as go  # noqa: PLC0415  with the first figure
    from plotly.subplots import make_subplots  # noqa: PLC0415

    figure = go.Figure() if grid is None else make_subplots(**grid)
    titles = {"text": title, "subtitle": {"text": subtitle, "font": {"size": 12}}}
    figure.update_layout(template=template_of(palette), title=titles, height=height)
    figure.update_annotations(font={"size": 12, "color": palette.text})
    return figure


def empty_figure(palette: Palette, title: str, reason: str) -> go.Figure:
    """Build a figure that shows only why there is no data to draw."""
    figure = canvas(palette, title, "", height=240)
    figure.add_annotation(text=reason, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 14})
    return figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False})


class Scale(NamedTuple):
    """The range of an axis, in its own units: exponents of ten where it is logarithmic.

    Attributes:
        low, high: Ends of the range.
        log: Whether the axis is logarithmic.

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
        """Build a range with a margin around all values; with `zero` it starts at zero if no value is negative."""
        values = np.concatenate([np.empty(0), *series])
        values = values[np.isfinite(values) & ((values > 0) | (not log))]
        if not len(values):
            return cls(0.0, 1.0, log)
        low, high = float(values.min()), float(values.max())
        if log:
            low, high = math.log10(low), math.log10(high)
        from_zero = zero and low >= 0 and not log
        low = 0.0 if from_zero else low
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        return cls(low if from_zero else low - margin, high + margin, log)

    def with_room(self, fraction: float = 0.14) -> Scale:
        """Return the range with free space above, for markers."""
        return self._replace(high=self.high + fraction * (self.high - self.low))

    @property
    def top(self) -> float:
        """Data value just below the upper end, for markers."""
        high = self.high - 0.09 * (self.high - self.low)
        return float(10**high) if self.log else high

    def at(self, value: float) -> float:
        """Convert a data value to the units of the axis."""
        return math.log10(value) if self.log else value

    @property
    def axis(self) -> dict[str, Any]:
        """Arguments for a plotly axis."""
        logarithmic = {"type": "log", "dtick": 1} if self.log and self.high - self.low > 2 else {}
        return {"range": [self.low, self.high], "type": "log" if self.log else "linear", **logarithmic}


def is_skewed(values: np.ndarray) -> bool:
    """Whether values need a logarithmic axis: all above 0, the largest 20 times the median."""
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() > 20 * np.median(known))


def label_ends(figure: go.Figure, lines: Sequence[tuple[np.ndarray, str, str]], scale: Scale, subplot: int = 1) -> None:
    """Write the name of each line beside its last value, without overlap.

    Args:
        figure: The figure to change.
        lines: Values, escaped name and colour of each line.
        scale: Scale of the vertical axis.
        subplot: Number of the subplot, from 1.
    """
    suffix = "" if subplot == 1 else str(subplot)
    domain = figure.layout[f"yaxis{suffix}"].domain or (0, 1)
    pixels = (figure.layout.height - _FRAME) * (domain[1] - domain[0]) / (scale.high - scale.low)
    ends = [(_drawable(values, scale), name, color) for values, name, color in lines]
    last = [(scale.at(float(known[-1])), name, color) for known, name, color in ends if len(known)]
    used = -math.inf
    for end, name, color in sorted(last):
        used = max(end * pixels, used + _LABEL_GAP)
        figure.add_annotation(
            text=name, x=1, xref=f"x{suffix} domain", xanchor="left", xshift=6, y=end, yref=f"y{suffix}",
            yshift=used - end * pixels, showarrow=False, font={"color": color, "size": 12}, align="left",
        )  # fmt: skip


def _drawable(values: np.ndarray, scale: Scale) -> np.ndarray:
    known: np.ndarray = values[np.isfinite(values) & ((values > 0) | (not scale.log))]
    return known


def line_mode(values: np.ndarray) -> str:
    """Return the plotly mode of a series: with markers if it has isolated points, which no line connects."""
    known = np.isfinite(values)
    isolated = known & ~np.r_[False, known[:-1]] & ~np.r_[known[1:], False]
    return "lines+markers" if isolated.any() else "lines"
