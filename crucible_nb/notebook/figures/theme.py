"""Colours and the plotly template: light, dark, or readable on both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go


class Palette(NamedTuple):
    """Colours of a figure; series in the same chart also differ in dash, shape or label.

    Attributes:
        paper: Background colour.
        text, grid, shade: Colours of texts, grid lines and paused spans.
        p50, p95, p99, rate, success, cost, column: Colours of series; two arms use `p50` and `p95`.
        anomaly: Colour of anomalies.
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


PALETTES = {
    # grey texts and medium colours: contrast at least 3.5 : 1 and 3 : 1 against white and against #111111
    None: Palette(
        paper="rgba(0,0,0,0)", text="#767676", grid="rgba(128,128,128,.25)", shade="rgba(128,128,128,.15)",
        p50="#3f7fbf", p95="#bf6a1a", p99="#6a48f5", rate="#2a8f84", success="#4a8f42", cost="#94781f",
        column="#b0527f", anomaly="#d6453a",
    ),
    "light": Palette(
        paper="#ffffff", text="#3a3d42", grid="rgba(0,0,0,.10)", shade="rgba(0,0,0,.06)",
        p50="#3b6ea8", p95="#b05f14", p99="#4b2a70", rate="#2a7770", success="#3f7a39", cost="#866812",
        column="#a13f6b", anomaly="#b3261e",
    ),
    "dark": Palette(
        paper="#1c1c1f", text="#d3d6dc", grid="rgba(255,255,255,.14)", shade="rgba(255,255,255,.09)",
        p50="#82b4e6", p95="#e6a15a", p99="#8c7af0", rate="#6fc4b9", success="#8bca84", cost="#d8b95c",
        column="#e394b6", anomaly="#ff8f7d",
    ),
}  # fmt: skip


def palette_of(theme: str | None) -> Palette:
    """Return the colours of a theme.

    Raises:
        ConfigError: No such theme.

    Examples:
        >>> palette_of("dark").paper
        '#1c1c1f'
    """
    return PALETTES[checks.one_of("theme", theme, PALETTES)]


def template_of(palette: Palette) -> go.layout.Template:
    """Build a plotly template with these colours: no box, no legend, light grid."""
    from plotly import graph_objects as go  # noqa: PLC0415  with the first figure

    axis = {
        "gridcolor": palette.grid, "linecolor": palette.grid, "zerolinecolor": palette.grid, "automargin": True,
        "title": {"standoff": 8}, "ticks": "outside", "ticklen": 4, "tickcolor": palette.grid,
    }  # fmt: skip
    layout = go.Layout(
        paper_bgcolor=palette.paper, plot_bgcolor="rgba(0,0,0,0)", showlegend=False, hovermode="closest",
        font={"color": palette.text, "size": 12, "family": "system-ui, -apple-system, Segoe UI, sans-serif"},
        title={"x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 12}, "font": {"size": 15}},
        colorway=[palette.p50, palette.p95, palette.p99, palette.rate, palette.success, palette.cost, palette.column],
        xaxis={**axis, "showgrid": False}, yaxis=axis, margin={"l": 64, "r": 72, "t": 72, "b": 48},
        hoverlabel={"align": "left", "font": {"size": 12}},
    )  # fmt: skip
    return go.layout.Template(layout=layout)
