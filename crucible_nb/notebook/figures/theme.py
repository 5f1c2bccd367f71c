"""Colours and the plotly template: light, dark, or readable on both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go


class Look(NamedTuple):
    """Colours of a figure; roles that are drawn together also differ in dash, shape or label.

    Attributes:
        paper: Behind everything.
        text, grid, shade: Of words, of lines, of paused spans.
        p50, p95, p99, rate, success, cost, column: Of series; `p50` and `p95` are those of two arms as well.
        anomaly: Of what is out of line.
    """

    paper: str
    text: str
    grid: str
    shade: str
    p50: str
    p95: str
    p99: str
    rate: str
    success: str
    cost: str
    column: str
    anomaly: str


LOOKS = {
    # grey words and middle tones: at least 3.5 : 1 and 3 : 1 against white and against #111111
    None: Look(
        "rgba(0,0,0,0)", "#767676", "rgba(128,128,128,.25)", "rgba(128,128,128,.15)",
        "#3f7fbf", "#bf6a1a", "#6a48f5", "#2a8f84", "#4a8f42", "#94781f", "#b0527f", "#d6453a",
    ),
    "light": Look(
        "#ffffff", "#3a3d42", "rgba(0,0,0,.10)", "rgba(0,0,0,.06)",
        "#3b6ea8", "#b05f14", "#4b2a70", "#2a7770", "#3f7a39", "#866812", "#a13f6b", "#b3261e",
    ),
    "dark": Look(
        "#1c1c1f", "#d3d6dc", "rgba(255,255,255,.14)", "rgba(255,255,255,.09)",
        "#82b4e6", "#e6a15a", "#8c7af0", "#6fc4b9", "#8bca84", "#d8b95c", "#e394b6", "#ff8f7d",
    ),
}  # fmt: skip


def look_of(theme: str | None) -> Look:
    """The colours of a theme.

    Raises:
        ConfigError: There is no such theme.

    Examples:
        >>> look_of("dark").paper
        '#1c1c1f'
    """
    return LOOKS[checks.one_of("theme", theme, LOOKS)]


def template_of(look: Look) -> go.layout.Template:
    """A template of these colours: no box, no legend, light grid."""
    from plotly import graph_objects as go  # noqa: PLC0415  with the first figure

    axis = {
        "gridcolor": look.grid, "linecolor": look.grid, "zerolinecolor": look.grid, "automargin": True,
        "title": {"standoff": 8}, "ticks": "outside", "ticklen": 4, "tickcolor": look.grid,
    }  # fmt: skip
    layout = go.Layout(
        paper_bgcolor=look.paper, plot_bgcolor="rgba(0,0,0,0)", showlegend=False, hovermode="closest",
        font={"color": look.text, "size": 12, "family": "system-ui, -apple-system, Segoe UI, sans-serif"},
        title={"x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 12}, "font": {"size": 15}},
        colorway=[look.p50, look.p95, look.p99, look.rate, look.success, look.cost, look.column],
        xaxis={**axis, "showgrid": False}, yaxis=axis, margin={"l": 64, "r": 72, "t": 72, "b": 48},
        hoverlabel={"align": "left", "font": {"size": 12}},
    )  # fmt: skip
    return go.layout.Template(layout=layout)
