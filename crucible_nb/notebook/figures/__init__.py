"""Figures for papers and export: `exp.plot.latency()` and its like. plotly is imported with the first one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.extensions import register
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

__all__ = ["Plot"]


class Plot:
    """What `exp.plot` offers: plain `plotly.graph_objects.Figure`s of what is recorded so far.

    All take `theme`: None has no background, and greys and colours that are readable on light and on dark pages;
    "light" and "dark" bring their background. Anomalies are marked by shape and number, never by colour alone. A
    figure says how many events there were and how many points are drawn; no anomaly and no extreme is left out.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("llm.request", latency_ms=120.0)
        >>> exp.plot
        <figures of 'demo': latency, quantiles, anomalies, windows, compare>
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def __repr__(self) -> str:
        return f"<figures of {self._experiment.name!r}: latency, quantiles, anomalies, windows, compare>"

    def latency(self, *, log: bool | None = None, theme: str | None = None) -> go.Figure:
        """The latency of each event (ms) over time, with the median.

        Beyond 4,000 events the first, the last, the least and the largest of each of 1,000 instants are drawn, and
        every anomaly (M4).

        Args:
            log: Logarithmic axis; None where the largest is 20 times the median.
            theme: None, "light" or "dark".

        Raises:
            ConfigError: An argument is not what is accepted.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", latency_ms=120.0)
            >>> exp.plot.latency().data[0].y.tolist()
            [120.0]
        """
        from crucible_nb.notebook.figures.latency import latency  # noqa: PLC0415

        return latency(self._experiment, theme, checks.one_of("log", log, (None, True, False)))

    def quantiles(self, window: Any = None, *, log: bool | None = None, theme: str | None = None) -> go.Figure:
        """Latency p50, p95 and p99 (ms) by windows of time, with the beginnings of anomalies.

        Args:
            window: Length of a window, as in `windowed_metrics`; None takes a round one that gives up to 60.
            log: Logarithmic axis; None where the largest p99 is 20 times the usual one.
            theme: None, "light" or "dark".

        Raises:
            ConfigError: An argument is not what is accepted.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", clock="events") as exp:
            ...     for i in range(60):
            ...         _ = exp.record("tick", latency_ms=1.0 + i % 3, time=i * 10**9)
            >>> [trace.name for trace in exp.plot.quantiles("20s").data]
            ['p50', 'p95', 'p99']
        """
        from crucible_nb.notebook.figures.quantiles import quantiles  # noqa: PLC0415

        return quantiles(self._experiment, window, theme, checks.one_of("log", log, (None, True, False)))

    def anomalies(self, metric: str | None = None, *, theme: str | None = None) -> go.Figure:
        """What was out of line: every flagged event, the span of each anomaly, and the reasons in words.

        Args:
            metric: Column to draw; None draws those that were out of line, up to four.
            theme: None, "light" or "dark".

        Raises:
            ConfigError, SchemaError: An argument is not what is accepted; no such column.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", anomaly="z_score", clock="events") as exp:
            ...     for i in range(101):
            ...         _ = exp.record("call", latency_ms=100.0 + i % 3 if i < 100 else 900.0, time=i)
            >>> exp.plot.anomalies().layout.annotations[-1].text
            '1 00:00:00 critical, 1 event: latency_ms 900 is 791.2 sd above the mean 101'
        """
        from crucible_nb.notebook.figures.anomalies import anomalies  # noqa: PLC0415

        return anomalies(self._experiment, metric, theme)

    def windows(self, window: Any = None, columns: str | Sequence[str] = (), *, theme: str | None = None) -> go.Figure:
        """Latency quantiles, events a second, success and cost by windows of time, side by side.

        Args:
            window: Length of a window, as in `windowed_metrics`; None takes a round one that gives up to 60.
            columns: Further numeric columns, drawn by their means.
            theme: None, "light" or "dark".

        Raises:
            ConfigError, SchemaError: An argument is not what is accepted; no such column.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", clock="events") as exp:
            ...     for i in range(60):
            ...         _ = exp.record("train.step", loss=1 / (1 + i), time=i * 10**9)
            >>> [trace.name for trace in exp.plot.windows("20s", columns=["loss"]).data]
            ['events/s', 'mean of loss']
        """
        from crucible_nb.notebook.figures.panels import panels  # noqa: PLC0415

        return panels([self._experiment], window, columns, theme)

    def compare(self, other: Any, *, theme: str | None = None, **options: Any) -> go.Figure:
        """This experiment (the control) against another: how latencies are spread, and every metric's difference.

        It is a look as `cr.compare` is: a plan counts it.

        Args:
            other: Experiment or DataFrame, the treatment.
            theme: None, "light" or "dark".
            **options: Of `cr.compare`: metrics, margin, direction, ...

        Raises:
            ConfigError, SchemaError, StatError: As `cr.compare`.

        Examples:
            >>> import crucible_nb as cr
            >>> arms = [cr.start(name, clock="events") for name in ("base", "mini")]
            >>> for arm, ms in zip(arms, (100.0, 80.0)):
            ...     for i in range(200):
            ...         _ = arm.record("call", latency_ms=ms + i % 7, time=i)
            ...     arm.stop()
            >>> figure = arms[0].plot.compare(arms[1], metrics=["mean_latency_ms"])
            >>> figure.layout.title.text, figure.layout.annotations[-1].text
            ('mini against base', '<b>better</b><br>103 → 82.97 ms')
        """
        from crucible_nb.notebook.figures.compare import compared  # noqa: PLC0415

        return compared(self._experiment, other, theme, options)


register("plot")(property(Plot))
